package watch

import (
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
)

// dir is a watched directory. A directory that is renamed takes all below it along by changing its own name and up.
type dir struct {
	wd   int32   // its watch; 0: it has none, only something below it has
	seen uint32  // the generation it was last met in
	id   inodeID // zero: unknown
	name string
	up   *dir   // nil for the top
	sub  []*dir // sorted by name
}

// inodeID tells directories apart.
type inodeID struct{ dev, ino uint64 }

// dirs knows where the directories are that have a watch. The zero value is not ready: newDirs.
type dirs struct {
	top   *dir
	byWD  map[int32]*dir
	gen   uint32 // generation: place marks what it meets
	moves uint64 // counts what makes paths other than they were
}

func newDirs() *dirs { return &dirs{top: &dir{}, byWD: map[int32]*dir{}} }

func (d *dir) find(name string) (int, bool) {
	return slices.BinarySearchFunc(d.sub, name, func(s *dir, name string) int { return strings.Compare(s.name, name) })
}

// at is the directory known at p, or nil.
func (t *dirs) at(p safety.RelPath) *dir {
	d := t.top
	if p == safety.Top {
		return d
	}
	for name := range strings.SplitSeq(string(p), "/") {
		i, ok := d.find(name)
		if !ok {
			return nil
		}
		d = d.sub[i]
	}
	return d
}

// path is where d is.
func (t *dirs) path(d *dir) safety.RelPath {
	if d == t.top {
		return safety.Top
	}
	n := -1
	for at := d; at.up != nil; at = at.up {
		n += len(at.name) + 1
	}
	buf := make([]byte, n)
	for at := d; at.up != nil; at = at.up {
		n -= len(at.name)
		copy(buf[n:], at.name)
		if n--; n >= 0 {
			buf[n] = '/'
		}
	}
	return safety.RelPath(buf)
}

// place notes that the directory id with watch wd is at p: a new one, or one that was known elsewhere with all that is
// below it. It returns the watches of another that was known at p and is dropped. It reports false, and changes
// nothing, where that would put a directory below itself.
func (t *dirs) place(p safety.RelPath, wd int32, id inodeID) (dropped []int32, ok bool) {
	d, at := t.byWD[wd], t.at(p)
	switch {
	case d != nil && d == at:
	case d != nil && (d == t.top || p.In(t.path(d))):
		return nil, false
	case d != nil:
		t.unlink(d)
		if at = t.at(p); at != nil {
			dropped = t.drop(at)
		}
		t.link(t.ensure(p.Dir()), d, p.Base())
	case at != nil && (at.wd == 0 || at == t.top):
		delete(t.byWD, at.wd)
		d = at
	default:
		if at != nil {
			dropped = t.drop(at)
		}
		d = &dir{}
		t.link(t.ensure(p.Dir()), d, p.Base())
	}
	d.wd, d.id, d.seen = wd, id, t.gen
	t.byWD[wd] = d
	return dropped, true
}

// ensure is the directory at p; where it is not known it gets a place without a watch.
func (t *dirs) ensure(p safety.RelPath) *dir {
	d := t.top
	if p == safety.Top {
		return d
	}
	for name := range strings.SplitSeq(string(p), "/") {
		i, ok := d.find(name)
		if !ok {
			t.link(d, &dir{seen: t.gen}, name)
		}
		d = d.sub[i]
	}
	return d
}

func (t *dirs) link(up, d *dir, name string) {
	t.moves++
	i, _ := up.find(name)
	d.up, d.name = up, strings.Clone(name) // not a part of a longer path, which it would keep in memory
	up.sub = slices.Insert(up.sub, i, d)
}

func (t *dirs) unlink(d *dir) {
	t.moves++
	if d.up == nil {
		return
	}
	i, _ := d.up.find(d.name)
	d.up.sub = slices.Delete(d.up.sub, i, i+1)
	d.up = nil
}

// drop forgets d and all below it, and returns their watches.
func (t *dirs) drop(d *dir) []int32 {
	t.unlink(d)
	var wds []int32
	for todo := []*dir{d}; len(todo) > 0; {
		d := todo[len(todo)-1]
		todo = append(todo[:len(todo)-1], d.sub...)
		d.sub = nil
		if d.wd != 0 {
			wds = append(wds, d.wd)
			delete(t.byWD, d.wd)
		}
		d.wd = 0
	}
	return wds
}

// unmet drops the directories that place has not met in this generation, and returns their watches.
func (t *dirs) unmet() []int32 {
	var wds []int32
	for _, d := range t.byWD {
		if d.seen != t.gen && d != t.top {
			wds = append(wds, t.drop(d)...)
		}
	}
	return wds
}
