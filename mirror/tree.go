package mirror

import (
	"iter"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
)

// Tree is one side as a scan found it. It keeps the names directory by directory: a path of its own for each of a
// million entries would be most of it.
type Tree struct {
	dirs  map[safety.RelPath][]named // what each directory holds, sorted by name
	count int

	Trouble []Skipped // what could not be looked at, sorted; nothing may be concluded of these paths and below
}

type named struct {
	name string
	Found
}

// Get returns what the scan found at p; the zero Found, whose kind is Absent, where there is nothing.
func (t *Tree) Get(p safety.RelPath) Found {
	dir, name := split(p)
	in := t.dirs[dir]
	n, ok := slices.BinarySearchFunc(in, name, func(e named, name string) int { return strings.Compare(e.name, name) })
	if !ok {
		return Found{}
	}
	return in[n].Found
}

// Len is the number of entries.
func (t *Tree) Len() int { return t.count }

// All yields the entries sorted by path as strings, in the order of [Base.All].
func (t *Tree) All() iter.Seq2[safety.RelPath, Found] {
	return func(yield func(safety.RelPath, Found) bool) { t.walk(safety.Top, yield) }
}

// turn is an entry of a directory or, for below, all that lies under it. As strings, "a" is before "a-b" and that
// before "a/b": what is below a directory comes after some of its siblings.
type turn struct {
	key   string // name, with a slash for below
	entry *named
	below bool
}

func (t *Tree) walk(dir safety.RelPath, yield func(safety.RelPath, Found) bool) bool {
	for _, turn := range turns(t.dirs, dir) {
		p := dir.Join(turn.entry.name)
		if turn.below {
			if !t.walk(p, yield) {
				return false
			}
		} else if !yield(p, turn.entry.Found) {
			return false
		}
	}
	return true
}

func turns(dirs map[safety.RelPath][]named, dir safety.RelPath) []turn {
	in := dirs[dir]
	out := make([]turn, 0, len(in)+len(in)/4)
	for i := range in {
		e := &in[i]
		out = append(out, turn{key: e.name, entry: e})
		if e.Info.Kind == safety.Directory {
			out = append(out, turn{key: e.name + "/", entry: e, below: true})
		}
	}
	if len(out) > len(in) {
		slices.SortFunc(out, func(a, b turn) int { return strings.Compare(a.key, b.key) })
	}
	return out
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
