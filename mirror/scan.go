package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// Side is one of the two trees.
type Side uint8

// The two sides.
const (
	ProjectSide Side = iota
	MirrorSide
)

func (s Side) String() string { return [...]string{"project", "mirror"}[s] }

// Found is one entry of a scan.
type Found struct {
	Info   safety.Info
	Target string // of a symlink, as readlink gives it: DecideLink says what that is in the mirror
	Access dotfiles.Access
}

// Scan lists one side of the mirror, in parallel. On the project side it does not look into what the policy hides or
// excludes; on the mirror side entries at hidden paths are listed (the top-most of each; what lies below only where the
// base still has the directory, which is hidden since), excluded ones are not. Under [Git], both sides are without what git ignores and does not track. .git is never listed: a copy
// of it is not synced file by file. The marker is never listed, nor is the README while it is ours.
// An entry that vanishes while it is scanned is absent. A directory that can't be listed, or was replaced by something
// else, is in Trouble; only a top that can't be listed is an error.
func (m *Mirror) Scan(ctx context.Context, side Side) (*Tree, error) {
	return m.scan(ctx, side, Meeting{}, workersOr(m.Options.Workers))
}

// ScanBoth scans both sides, by Side, at the same time, for somebody who does something of his own with each directory.
func (m *Mirror) ScanBoth(ctx context.Context, met [2]Meeting) (trees [2]*Tree, err error) {
	var errs [2]error
	var both sync.WaitGroup
	for side := range trees { // each with workers of its own: they are less in each other's way than those of one side
		both.Go(func() {
			trees[side], errs[side] = m.scan(ctx, Side(side), met[side], max(workersOr(m.Options.Workers)/2, 1))
		})
	}
	both.Wait()
	return trees, errors.Join(errs[:]...)
}

// Meeting is told of the directories that a scan or a build meets: Entering of each that is looked into, before it is listed, those
// above before those below; Passing of each entry that may be a directory and is not looked into; Made, by a build, of each
// directory that it has made in the mirror, when all in it is made, those below before those above. They may be called
// concurrently. Nil: nobody is told.
type Meeting struct {
	Entering, Made func(p safety.RelPath, open *safety.Dir)
	Passing        func(safety.RelPath)
}

func (m *Mirror) scan(ctx context.Context, side Side, meeting Meeting, workers int) (*Tree, error) {
	v := m.view(side)
	v.meeting = meeting
	only, err := m.population(ctx, side)
	if err != nil {
		return nil, err
	}
	v.only = only
	return scan(ctx, v, workers)
}

func (m *Mirror) view(side Side) view {
	root := m.Project
	if side == MirrorSide {
		root = m.Root
	}
	return view{root: root, side: side, policy: m.Policy, links: m.Options.Links, ownReadme: m.Base.ownReadme, base: m.Base}
}

// view is which entries of a side count.
type view struct {
	root      *safety.Root
	side      Side
	policy    *dotfiles.Policy
	links     Links
	only      filter // nil: all
	ownReadme bool
	base      *Base
	meeting   Meeting

	unprotected bool // read-only entries are taken as writable: nothing flows back
	apart       bool // what is left out is what is wanted
}

// enters reports whether the directory p is looked into. One of the mirror's that is hidden by now, and was not when both
// sides last agreed, holds copies that have to go.
func (v view) enters(p safety.RelPath, access dotfiles.Access) bool {
	return access.Mirrored() || v.side == MirrorSide && access == dotfiles.Hidden && v.base.Get(p).State.Kind == safety.Directory
}

// filter narrows a side down further than the policy.
type filter func(p safety.RelPath, isDir bool) bool

// scanJob is a directory to list.
type scanJob struct {
	path   safety.RelPath
	access dotfiles.Access
}

// scanPart is what one worker found.
type scanPart struct {
	dirs    []listing
	trouble []Skipped
}

type listing struct {
	path safety.RelPath
	*treeDir
}

func scan(ctx context.Context, v view, workers int) (*Tree, error) {
	parts := make([]scanPart, workers)
	top := scanJob{path: safety.Top, access: dotfiles.Writable}
	err := runPool(ctx, len(parts), top, func(worker int, job scanJob, push func(scanJob)) error {
		err := parts[worker].list(v, job, push)
		if err != nil && job.path != safety.Top {
			parts[worker].note(job.path, err)
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("scan the %s: %w", v.side, err)
	}
	return joinParts(parts), nil
}

func joinParts(parts []scanPart) *Tree {
	t := &Tree{dirs: map[safety.RelPath]*treeDir{}}
	for _, part := range parts {
		for _, l := range part.dirs {
			t.dirs[l.path] = l.treeDir
			t.count += l.count
		}
		t.Trouble = append(t.Trouble, part.trouble...)
	}
	sortSkipped(t.Trouble)
	return t
}

func (s *scanPart) note(p safety.RelPath, err error) {
	s.trouble = append(s.trouble, Skipped{Path: p, Why: reason(err)})
}

// list lists one directory and pushes those below.
func (s *scanPart) list(v view, job scanJob, push func(scanJob)) error {
	d, err := v.root.OpenDir(job.path)
	if err != nil {
		return err
	}
	defer d.Close()
	v.enter(job.path, d)
	names, err := d.ReadDir()
	if err != nil {
		return err
	}
	out := newTreeDirMaker(v.side, v.base.in(job.path))
	for _, n := range names {
		if v.ours(job.path, n.Name) {
			continue
		}
		found, err := v.look(d, job, n)
		if err != nil {
			s.note(job.path.Join(n.Name), err)
			found = Found{}
		}
		if found.Info.Kind != safety.Absent {
			out.add(n.Name, found)
		}
		if found.Info.Kind == safety.Directory && v.enters(job.path.Join(n.Name), found.Access) {
			push(scanJob{job.path.Join(n.Name), found.Access})
		} else if mayBeDirectory(n.Kind, found.Info.Kind) {
			v.pass(job.path.Join(n.Name))
		}
	}
	s.dirs = append(s.dirs, listing{job.path, out.treeDir})
	return nil
}

// enter tells that the directory p, open as d, is about to be looked into.
func (v view) enter(p safety.RelPath, d *safety.Dir) {
	if v.meeting.Entering != nil {
		v.meeting.Entering(p, d)
	}
}

// pass tells that p is not looked into.
func (v view) pass(p safety.RelPath) {
	if v.meeting.Passing != nil {
		v.meeting.Passing(p)
	}
}

// mayBeDirectory judges by what a listing and a look say; Absent is what neither knows.
func mayBeDirectory(listed, found safety.Kind) bool {
	return listed == safety.Directory || found == safety.Directory || listed == safety.Absent && found == safety.Absent
}

// ours reports whether the entry belongs to the mirror and not to what is mirrored. While the README is ours, a
// project file of that name, made later, does not cross either.
func (v view) ours(dir safety.RelPath, name string) bool {
	return dir == safety.Top && (name == safety.MarkerName || name == ReadmeName && v.ownReadme)
}

// look describes one entry; the zero Found is one that does not count.
func (v view) look(d *safety.Dir, job scanJob, n safety.Dirent) (Found, error) {
	access := v.access(job, n.Name, n.Kind)
	if n.Kind != safety.Absent && !v.counts(job, n, access) { // no lstat for what is left out
		return Found{}, nil
	}
	info, err := d.Lstat(n.Name)
	if err != nil || info.Kind == safety.Absent {
		return Found{}, err
	}
	// RACE: a name may be another kind of entry by now than readdir said; the access is of what lstat saw.
	if info.Kind != n.Kind {
		n.Kind = info.Kind
		if access = v.access(job, n.Name, n.Kind); !v.counts(job, n, access) {
			return Found{}, nil
		}
	}
	found := Found{Info: info, Access: access}
	if info.Kind != safety.Symlink {
		return found, nil
	}
	found.Target, err = d.Readlink(n.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return Found{}, nil
	}
	return found, err
}

func (v view) access(job scanJob, name string, kind safety.Kind) dotfiles.Access {
	access := v.policy.AccessBelow(string(job.path), job.access, name, kind == safety.Directory)
	if v.unprotected && access == dotfiles.ReadOnly || v.apart && access == dotfiles.Excluded && name != ".git" {
		return dotfiles.Writable
	}
	return access
}

// counts reports whether an entry, whose access is known, is one of the side's.
func (v view) counts(job scanJob, n safety.Dirent, access dotfiles.Access) bool {
	return v.shows(access) && (v.only == nil || v.only(job.path.Join(n.Name), n.Kind == safety.Directory))
}

// shows reports whether entries of an access are listed on the side.
func (v view) shows(access dotfiles.Access) bool {
	switch access {
	case dotfiles.Excluded, dotfiles.OneWay:
		return false
	case dotfiles.Hidden:
		return v.side == MirrorSide
	}
	return true
}

// reason is an error as a user reads it beside its path.
func reason(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "permission denied"
	case errors.Is(err, fs.ErrNotExist):
		return "vanished"
	case errors.Is(err, safety.ErrChanged):
		return "changed meanwhile"
	case errors.Is(err, safety.ErrTooDeep):
		return safety.ErrTooDeep.Error()
	}
	return err.Error()
}
