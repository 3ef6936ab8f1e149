package mirror

import (
	"slices"

	"github.com/alca-mount/alca-mount/safety"
)

// HasMoved reports whether an entry has to be looked at again on a side where the base has then. A zero stamp is no proof
// of anything: the entry may be gone as well as changed.
func HasMoved(then Stamp, now Found) bool { return then == Stamp{} || StampOf(now.Info) != then }

// Moved lists the paths at which a side is not as the base says, sorted. The base may have changed since the trees were
// scanned: what counts is what it says now.
func Moved(b *Base, project, mirrored *Tree) []safety.RelPath {
	var out []safety.RelPath
	for _, dir := range b.Directories() {
		out = appendMoved(out, dir, b.in(dir), project.dirs[dir], mirrored.dirs[dir])
	}
	for _, t := range [...]*Tree{project, mirrored} {
		for dir, d := range t.dirs {
			out = d.appendNew(out, dir, b.in(dir))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// appendMoved lists the base's entries of a directory that a side is not as.
func appendMoved(out []safety.RelPath, dir safety.RelPath, base []block, project, mirrored *treeDir) []safety.RelPath {
	bits := sameBlocks(base, project) && sameBlocks(base, mirrored)
	n := 0
	for _, b := range base {
		for r, _ := b.read(); r.next(); n++ {
			if bits && project.isSame(n) && mirrored.isSame(n) {
				continue
			}
			if HasMoved(r.Project, project.get(string(r.name))) || HasMoved(r.Mirror, mirrored.get(string(r.name))) {
				out = append(out, dir.Join(string(r.name)))
			}
		}
	}
	return out
}

// appendNew lists what a tree has in a directory and the base has not.
func (d *treeDir) appendNew(out []safety.RelPath, dir safety.RelPath, base []block) []safety.RelPath {
	for _, o := range d.other {
		if _, n := find(base, o.name); n < 0 {
			out = append(out, dir.Join(o.name))
		}
	}
	if sameBlocks(base, d) {
		return out
	}
	n := -1
	for name := range entriesIn(d.base) {
		if n++; !d.isSame(n) {
			continue
		}
		if _, now := find(base, name); now < 0 {
			out = append(out, dir.Join(name))
		}
	}
	return out
}

// sameBlocks reports whether the base has of a directory what it had when that was listed: blocks are never changed.
func sameBlocks(base []block, d *treeDir) bool {
	return d != nil && slices.EqualFunc(base, d.base, func(a, b block) bool { return &a[0] == &b[0] })
}
