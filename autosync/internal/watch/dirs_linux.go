package watch

import (
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
)

// dir is a watched directory. A directory that is renamed takes all below it along by changing its own name and up.
type dir struct {
	wd   int32  // its watch; 0: it has none
	seen uint32 // the generation it was last met in
	name string
	up   *dir   // nil for the top, and for one that was cut off
	sub  []*dir // sorted by name
}

// dirs knows where the directories are that have a watch. The zero value is not ready: newDirs.
//
// A directory that no longer is where it was is cut off: its events have no path until it turns up again by place, or
// is dropped.
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

// path is where d is; false when it was cut off.
func (t *dirs) path(d *dir) (safety.RelPath, bool) {
	if d == t.top {
		return safety.Top, true
	}
	n := -1
	at := d
	for ; at.up != nil; at = at.up {
		n += len(at.name) + 1
	}
	if at != t.top {
		return "", false
	}
	buf := make([]byte, n)
	for at := d; at.up != nil; at = at.up {
		n -= len(at.name)
		copy(buf[n:], at.name)
		if n--; n >= 0 {
			buf[n] = '/'
		}
	}
	return safety.RelPath(buf), true
}

// place notes that the directory with watch wd is at p. Another that was there is cut off. It reports false, and
// changes nothing, where that would put a directory below itself.
func (t *dirs) place(p safety.RelPath, wd int32) bool {
	d := t.byWD[wd]
	at := t.at(p)
	switch {
	case d != nil && d == at:
		d.seen = t.gen
		return true
	case d == nil && at != nil && at.wd == 0:
		at.wd, at.seen = wd, t.gen
		t.byWD[wd] = at
		return true
	case d != nil && (d == t.top || d.holds(p, t)):
		return false
	case p == safety.Top:
		t.replaceTop(wd)
		return true
	case d == nil:
		d = &dir{wd: wd}
		t.byWD[wd] = d
	}
	if at != nil {
		t.cut(at)
	}
	t.cut(d)
	d.seen = t.gen
	t.link(t.ensure(p.Dir()), d, p.Base())
	return true
}

// replaceTop notes that the top is watched by another watch than before.
func (t *dirs) replaceTop(wd int32) {
	delete(t.byWD, t.top.wd)
	t.top.wd, t.top.seen = wd, t.gen
	t.byWD[wd] = t.top
}

// holds reports whether p lies at or below d.
func (d *dir) holds(p safety.RelPath, t *dirs) bool {
	own, ok := t.path(d)
	return ok && p.In(own)
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

// cut takes d, with all below it, from its place.
func (t *dirs) cut(d *dir) {
	if d.up == nil {
		return
	}
	t.moves++
	i, _ := d.up.find(d.name)
	d.up.sub = slices.Delete(d.up.sub, i, i+1)
	d.up = nil
}

// drop forgets d and all below it, and returns their watches.
func (t *dirs) drop(d *dir) []int32 {
	t.cut(d)
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
