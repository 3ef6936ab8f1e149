package autosync

import (
	"cmp"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// versions finds the kept versions of a session. One that an undo brought back, and an undo of that undo displaced again,
// lies in the latter's store by now.
type versions struct {
	of     *mirror.Session
	undos  []pastUndo              // of the project, oldest first
	roots  map[string]*safety.Root // by folder
	before safety.Before
}

// pastUndo is an undo that was made in the project.
type pastUndo struct {
	session *mirror.Session
	records []record
	changes map[safety.RelPath]changed
}

// place is where a version lies.
type place struct {
	root *safety.Root // nil: nowhere
	path safety.RelPath
	err  error // it may lie where nobody can look
}

func (p place) String() string {
	return filepath.Join(p.root.Path(), filepath.FromSlash(string(p.path)))
}

func findVersions(state *mirror.StateDir, s *mirror.Session, before safety.Before) (*versions, error) {
	v := &versions{of: s, roots: map[string]*safety.Root{}, before: before}
	all, err := state.List(s.Project)
	if err != nil {
		return nil, err
	}
	for _, other := range all {
		if other.Undoes == "" || other.Damaged != nil || other.ID == s.ID {
			continue
		}
		past := pastUndo{session: other, changes: map[safety.RelPath]changed{}}
		if past.records, err = readRecords(other); err != nil {
			return nil, err
		}
		changes, _ := changesIn(past.records)
		for _, c := range changes {
			past.changes[c.path] = c
		}
		v.undos = append(v.undos, past)
	}
	// Ids of one moment are in any order.
	slices.SortStableFunc(v.undos, func(a, b pastUndo) int { return a.session.Created.Compare(b.session.Created) })
	return v, nil
}

// later are the records of the undos that were made after the session began, oldest first.
func (v *versions) later() []record {
	var out []record
	for _, u := range v.undos {
		if v.after(u) {
			out = append(out, u.records...)
		}
	}
	return out
}

// after reports whether an undo was made after the session began.
func (v *versions) after(u pastUndo) bool { return u.session.Created.After(v.of.Created) }

// latest returns what the latest undo of the session, or undo of an undo, made of a path.
func (v *versions) latest(p safety.RelPath) (changed, bool) {
	for i := len(v.undos) - 1; i >= 0 && v.after(v.undos[i]); i-- {
		if c, ok := v.undos[i].changes[p]; ok {
			return c, true
		}
	}
	return changed{}, false
}

// find returns where a former version lies; a place without a root where it is kept no more.
func (v *versions) find(c changed) place {
	first := v.in(v.of, c.before.kept)
	if first.root != nil {
		return first
	}
	for i := len(v.undos) - 1; i >= 0; i-- {
		other, ok := v.undos[i].changes[c.path]
		if !ok || other.before.kept == "" || !sameEntry(other.before.stamp, c.before.stamp) {
			continue
		}
		at := v.in(v.undos[i].session, other.before.kept)
		if at.root != nil {
			return at
		}
		first.err = cmp.Or(first.err, at.err)
	}
	return first
}

// in finds a kept version of a session, which must lie in a folder of that session: the path comes from a file that
// others may have written.
func (v *versions) in(s *mirror.Session, kept string) (at place) {
	store := filepath.Join(s.Dir(), "store")
	for _, c := range []struct{ top, path string }{
		{s.Stores[0], kept}, {s.Dir(), kept},
		{store, filepath.Join(store, filepath.Base(kept))}, // a store in the project was brought home
	} {
		rel, below := strings.CutPrefix(c.path, c.top+string(filepath.Separator))
		p, err := safety.ParseRelPath(filepath.ToSlash(rel))
		if kept == "" || c.top == "" || !below || err != nil {
			continue
		}
		root, err := v.open(c.top)
		if root != nil {
			var info safety.Info
			if info, err = root.Lstat(p); err == nil && info.Kind != safety.Absent {
				return place{root: root, path: p}
			}
		}
		at.err = cmp.Or(at.err, err)
	}
	return at
}

// open returns the folder; nil where there is none.
func (v *versions) open(top string) (*safety.Root, error) {
	if root, tried := v.roots[top]; tried {
		return root, nil
	}
	root, err := safety.OpenRootWith(top, v.before)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	v.roots[top] = root
	return root, nil
}

// sync makes durable that names went from the stores.
func (v *versions) sync() error {
	var errs []error
	for _, root := range v.roots {
		if root != nil {
			errs = append(errs, root.Sync(safety.Top))
		}
	}
	return errors.Join(errs...)
}

func (v *versions) close() error {
	var errs []error
	for _, root := range v.roots {
		if root != nil {
			errs = append(errs, root.Close())
		}
	}
	return errors.Join(errs...)
}
