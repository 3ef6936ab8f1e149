package container

import (
	"path"
	"slices"
	"strings"
)

// MaxBinds is how many binds protect a mirror's read-only files at most: each costs the start some time, and engines have
// limits.
const MaxBinds = 512

// Entry is a path of a mirror, relative, and what the command may do there.
type Entry struct {
	Path     string
	Dir      bool
	Link     bool // a symbolic link: nothing can be mounted over it
	ReadOnly bool
}

// Protection is how read-only paths of a mirror are held inside.
type Protection struct {
	ReadOnly []string // bound read-only: files, and directories of which all is read-only
	Pinned   []string // directories bound as they are, so that they can't be renamed away with what is bound in them
	Open     []string // what mode bits alone protect: links, and what is beyond the most binds
}

// Binds is how many it takes.
func (p Protection) Binds() int { return len(p.ReadOnly) + len(p.Pinned) }

// Protect decides. entries are all of a mirror, sorted so that directories come before what is in them. Where a bind for
// each would be too many, directories that hold nothing but read-only files are bound whole: nothing can be made in them then.
func Protect(entries []Entry, most int) Protection {
	p := protect(entries, func(e Entry, all bool) bool { return e.ReadOnly && all })
	if p.Binds() > most {
		p = protect(entries, func(_ Entry, all bool) bool { return all })
	}
	return p.cut(most)
}

// protect binds directories whole where whole says so; it gets whether all in the directory is read-only.
func protect(entries []Entry, whole func(e Entry, all bool) bool) Protection {
	writable := writableDirs(entries)
	var p Protection
	covered := map[string]bool{}
	for _, e := range entries {
		if slices.ContainsFunc(parents(e.Path), func(dir string) bool { return covered[dir] }) {
			continue
		}
		switch {
		case e.Dir && whole(e, !writable[e.Path]):
			covered[e.Path] = true
			p.ReadOnly = append(p.ReadOnly, e.Path)
		case e.Dir || !e.ReadOnly:
		case e.Link:
			p.Open = append(p.Open, e.Path)
		default:
			p.ReadOnly = append(p.ReadOnly, e.Path)
		}
	}
	slices.Sort(p.ReadOnly)
	p.pin()
	return p
}

// writableDirs are the directories with something writable in them, at any depth; an empty directory that is not
// read-only counts as that.
func writableDirs(entries []Entry) map[string]bool {
	filled, out := map[string]bool{}, map[string]bool{}
	for _, e := range entries {
		for _, dir := range parents(e.Path) {
			filled[dir] = filled[dir] || !e.Dir
		}
	}
	for _, e := range entries {
		if e.ReadOnly || e.Dir && filled[e.Path] {
			continue
		}
		if e.Dir {
			out[e.Path] = true
		}
		for _, dir := range parents(e.Path) {
			out[dir] = true
		}
	}
	return out
}

// pin makes the directories above what is bound mount points: the kernel renames and removes none.
func (p *Protection) pin() {
	seen := map[string]bool{}
	p.Pinned = nil
	for _, path := range p.ReadOnly {
		for _, dir := range parents(path) {
			if !seen[dir] {
				seen[dir] = true
				p.Pinned = append(p.Pinned, dir)
			}
		}
	}
	slices.Sort(p.Pinned)
}

// cut leaves as much as fits, the paths nearest to the top first.
func (p Protection) cut(most int) Protection {
	if p.Binds() <= most {
		return p
	}
	byDepth := slices.Clone(p.ReadOnly)
	slices.SortStableFunc(byDepth, func(a, b string) int { return strings.Count(a, "/") - strings.Count(b, "/") })
	out := Protection{Open: p.Open}
	pinned := map[string]bool{}
	for _, path := range byDepth {
		var more []string
		for _, dir := range parents(path) {
			if !pinned[dir] {
				more = append(more, dir)
			}
		}
		if len(out.ReadOnly)+len(pinned)+1+len(more) > most {
			out.Open = append(out.Open, path)
			continue
		}
		out.ReadOnly = append(out.ReadOnly, path)
		for _, dir := range more {
			pinned[dir] = true
		}
	}
	slices.Sort(out.ReadOnly)
	slices.Sort(out.Open)
	out.pin()
	return out
}

// parents are the directories above a relative path, outermost first, without the top.
func parents(rel string) []string {
	var out []string
	for i, c := range rel {
		if c == '/' {
			out = append(out, rel[:i])
		}
	}
	return out
}

// Inside is where a mirror's path is in a container that has the mirror at target.
func Inside(target, rel string) string { return path.Join(target, rel) }
