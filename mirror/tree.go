package mirror

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// Tree is one side as a scan found it. Of files that are as the base says it keeps no more than that: of a million files
// few have moved.
type Tree struct {
	dirs  map[safety.RelPath]*treeDir
	count int

	Trouble []Skipped // what could not be looked at, sorted; nothing may be concluded of these paths and below
}

// treeDir is what a directory holds.
type treeDir struct {
	side  Side
	base  []block  // what the base had of the directory when it was listed
	same  []uint64 // bit n: a file, and it was found just as the base's entry n is on this side
	usual usual    // of all of these
	other []named  // sorted by name
	count int
}

// usual is what a base does not say of an entry.
type usual struct {
	uid, gid uint32
	access   dotfiles.Access
}

type named struct {
	name string
	Found
}

// Get returns what the scan found at p; the zero Found, whose kind is Absent, where there is nothing.
func (t *Tree) Get(p safety.RelPath) Found {
	dir, name := split(p)
	return t.dirs[dir].get(name)
}

func (d *treeDir) get(name string) Found {
	if d == nil {
		return Found{}
	}
	i, ok := slices.BinarySearchFunc(d.other, name, func(e named, name string) int { return strings.Compare(e.name, name) })
	if ok {
		return d.other[i].Found
	}
	if d.same == nil {
		return Found{}
	}
	if e, n := find(d.base, name); n >= 0 && d.isSame(n) {
		return d.found(e)
	}
	return Found{}
}

func (d *treeDir) isSame(n int) bool { return n/64 < len(d.same) && d.same[n/64]&(1<<(n%64)) != 0 }

// found is what was found of a file that is as the base says.
func (d *treeDir) found(e Entry) Found {
	s := e.stamp(d.side)
	return Found{
		Info: safety.Info{
			Kind: s.Kind, Mode: s.Mode, Size: s.Size, Mtime: s.Mtime, Ctime: s.Ctime, Ino: s.Ino, Dev: s.Dev,
			Nlink: 1, UID: d.usual.uid, GID: d.usual.gid,
		},
		Access: d.usual.access,
	}
}

func (e *Entry) stamp(side Side) Stamp {
	if side == ProjectSide {
		return e.Project
	}
	return e.Mirror
}

// Len is the number of entries.
func (t *Tree) Len() int { return t.count }

// All yields the entries sorted by path as strings, in the order of [Base.All].
func (t *Tree) All() iter.Seq2[safety.RelPath, Found] {
	return func(yield func(safety.RelPath, Found) bool) {
		w := sortedWalk[Found]{
			below: func(dir safety.RelPath) []string { return t.dirs[dir].below() },
			in:    func(dir safety.RelPath) iter.Seq2[string, Found] { return t.dirs[dir].all() },
		}
		w.walk(safety.Top, yield)
	}
}

// below lists the directories in a directory. They are never taken for the base's: its stamp of one says too little.
func (d *treeDir) below() (names []string) {
	if d == nil {
		return nil
	}
	for _, e := range d.other {
		if e.Info.Kind == safety.Directory {
			names = append(names, e.name)
		}
	}
	return names
}

// all yields what a directory holds, sorted by name.
func (d *treeDir) all() iter.Seq2[string, Found] {
	return func(yield func(string, Found) bool) {
		if d == nil {
			return
		}
		other, n := d.other, -1
		for name, e := range entriesIn(d.base) {
			if n++; !d.isSame(n) {
				continue
			}
			for ; len(other) > 0 && other[0].name < name; other = other[1:] {
				if !yield(other[0].name, other[0].Found) {
					return
				}
			}
			if !yield(name, d.found(e)) {
				return
			}
		}
		for _, o := range other {
			if !yield(o.name, o.Found) {
				return
			}
		}
	}
}

// Links yields the symbolic links, sorted by path.
func (t *Tree) Links() iter.Seq2[safety.RelPath, Found] {
	return func(yield func(safety.RelPath, Found) bool) {
		for _, dir := range slices.Sorted(maps.Keys(t.dirs)) {
			for _, e := range t.dirs[dir].other {
				if e.Info.Kind == safety.Symlink && !yield(dir.Join(e.name), e.Found) {
					return
				}
			}
		}
	}
}

// treeDirMaker takes in a directory's entries in the order of their names, and holds each against the base's.
type treeDirMaker struct {
	*treeDir
	left []block     // of the base's, not begun
	r    blockReader // in the block before
	at   int         // the number of the reader's entry; those before it are passed
	has  bool        // the reader has an entry
}

func newTreeDirMaker(side Side, base []block) *treeDirMaker {
	return &treeDirMaker{treeDir: &treeDir{side: side, base: base}, left: base, at: -1}
}

// add takes in an entry. The name is to be as it will be kept.
func (m *treeDirMaker) add(name string, f Found) {
	m.count++
	if m.pass(name) && m.fits(f) {
		if m.same == nil {
			m.same = make([]uint64, (entriesOf(m.base)+63)/64)
			m.usual = usual{f.Info.UID, f.Info.GID, f.Access}
		}
		m.same[m.at/64] |= 1 << (m.at % 64)
		return
	}
	m.other = append(m.other, named{name, f})
}

// pass goes on in the base to the entry called name, and reports whether there is one.
func (m *treeDirMaker) pass(name string) bool {
	for !m.has || string(m.r.name) < name {
		m.has = m.r.next()
		if m.has {
			m.at++
			continue
		}
		if len(m.left) == 0 {
			return false
		}
		m.r, _ = m.left[0].read()
		m.left = m.left[1:]
	}
	return string(m.r.name) == name
}

// fits reports whether the base, and what is usual in the directory, says all that was found.
func (m *treeDirMaker) fits(f Found) bool {
	then := m.r.Entry.stamp(m.side)
	return f.Info.Kind == safety.File && then == StampOf(f.Info) && f.Info.Nlink == 1 &&
		(m.same == nil || m.usual == usual{f.Info.UID, f.Info.GID, f.Access})
}

// split is p.Dir() and p.Base() without a copy.
func split(p safety.RelPath) (dir safety.RelPath, name string) {
	if i := strings.LastIndexByte(string(p), '/'); i >= 0 {
		return p[:i], string(p[i+1:])
	}
	return safety.Top, string(p)
}

func sortSkipped(s []Skipped) {
	slices.SortFunc(s, func(a, b Skipped) int { return strings.Compare(string(a.Path), string(b.Path)) })
}
