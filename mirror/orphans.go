package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// OrphansFolder is the folder of a project's, in the state directory, that holds what agents made at hidden paths: a
// folder for each session with the paths below it, so that two sessions' versions of one path lie apart.
const OrphansFolder = "orphans"

// Orphan is an entry, perhaps a whole directory, that an agent made at a path hidden by a rule.
type Orphan struct {
	Path    safety.RelPath
	Session string
	Place   string // where it lies
	Kind    safety.Kind
	Files   int
	Bytes   int64
	Stored  time.Time

	in safety.RelPath // where it lies below the orphans' folder
}

// Orphans lists what is kept of a project's (real path) orphans, by path, the newest of a path last. A directory that
// policy hides is one orphan; what it does not hide any more is listed file by file.
func (s *StateDir) Orphans(project string, policy *dotfiles.Policy) ([]Orphan, error) {
	found, root, err := s.openOrphans(project, policy)
	if root != nil {
		root.Close()
	}
	return found, err
}

// openOrphans is Orphans with a root of the folder that they lie in; nil where there is none.
func (s *StateDir) openOrphans(project string, policy *dotfiles.Policy) ([]Orphan, *safety.Root, error) {
	dir := filepath.Join(s.ProjectDir(project), OrphansFolder)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	root, err := safety.OpenRoot(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("orphans: %w", err)
	}
	l := orphanLister{root: root, policy: policy}
	if err := l.sessions(); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("orphans: %w", err), root.Close())
	}
	slices.SortFunc(l.found, func(a, b Orphan) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), a.Stored.Compare(b.Stored), cmp.Compare(a.in, b.in))
	})
	return l.found, root, nil
}

type orphanLister struct {
	root   *safety.Root
	policy *dotfiles.Policy
	found  []Orphan
}

func (l *orphanLister) sessions() error {
	top, err := l.root.OpenDir(safety.Top)
	if err != nil {
		return err
	}
	defer top.Close()
	names, err := top.ReadDir()
	for _, n := range names {
		if err == nil && n.Kind == safety.Directory {
			err = l.below(safety.RelPath(n.Name))
		}
	}
	return err
}

// below lists the orphans in the folder of a session.
func (l *orphanLister) below(in safety.RelPath) error {
	return l.root.Walk(in, func(p safety.RelPath, info safety.Info) error {
		own := p[len(in)+1:]
		if info.Kind == safety.Directory && l.policy.Access(string(own), true) != dotfiles.Hidden {
			return nil
		}
		if err := l.add(in, own, info); err != nil || info.Kind != safety.Directory {
			return err
		}
		return fs.SkipDir
	})
}

func (l *orphanLister) add(in, p safety.RelPath, info safety.Info) error {
	session, _, _ := strings.Cut(string(in), "~") // a second version of the session's lies in ID~2
	o := Orphan{Path: p, Session: session, Kind: info.Kind, Stored: time.Unix(0, info.Ctime), in: in + "/" + p}
	o.Place = filepath.Join(l.root.Path(), filepath.FromSlash(string(o.in)))
	err := l.measure(&o, info)
	l.found = append(l.found, o)
	return err
}

// measure counts what there is of an orphan.
func (l *orphanLister) measure(o *Orphan, info safety.Info) error {
	count := func(_ safety.RelPath, info safety.Info) error {
		if info.Kind != safety.Directory {
			o.Files++
			o.Bytes += info.Size
		}
		return nil
	}
	if info.Kind == safety.Directory {
		return l.root.Walk(o.in, count)
	}
	return count(o.in, info)
}

// CopyOrphan copies an orphan to the directory dir, below which it gets its own path. Nothing may be there.
func (s *StateDir) CopyOrphan(ctx context.Context, project string, o Orphan, dir string) (string, error) {
	from, err := safety.OpenRoot(filepath.Join(s.ProjectDir(project), OrphansFolder))
	if err != nil {
		return "", err
	}
	defer from.Close()
	to, err := safety.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer to.Close()
	if err := to.MkdirAll(o.Path.Dir(), 0o700); err != nil {
		return "", err
	}
	return filepath.Join(to.Path(), filepath.FromSlash(string(o.Path))), from.CopyOut(ctx, o.in, to, o.Path)
}

// RemoveOrphan removes an orphan for good.
func (s *StateDir) RemoveOrphan(project string, o Orphan) error {
	return removeOrphan(s.ProjectDir(project), o.in)
}

// removeOrphan removes an orphan and the directories above it that it leaves empty. All happens below a handle of the
// orphans' folder.
func removeOrphan(projectDir string, in safety.RelPath) error {
	root, err := os.OpenRoot(filepath.Join(projectDir, OrphansFolder))
	if err != nil {
		return err
	}
	defer root.Close()
	if err := removeTree(root, filepath.FromSlash(string(in))); err != nil {
		return err
	}
	for dir := in.Dir(); dir != safety.Top; dir = dir.Dir() {
		if root.Remove(filepath.FromSlash(string(dir))) != nil { // it holds more
			break
		}
	}
	_ = os.Remove(filepath.Join(projectDir, OrphansFolder)) // only when it was the last; so too the project's folder
	_ = os.Remove(projectDir)
	return nil
}

// BroughtOrphan is an orphan of an earlier session that a mirror was built with.
type BroughtOrphan struct {
	Path string `json:"path"`
	In   string `json:"in"` // below the orphans' folder
}

// bringOrphans gives the mirror the newest version of each orphan whose path is still hidden by a rule, where the mirror
// has the directory for it and nothing else. What can't be brought is told and stays where it is.
func (m *Mirror) bringOrphans(ctx context.Context) error {
	dir := m.Session.projectDir()
	found, from, err := (&StateDir{path: filepath.Dir(dir)}).openOrphans(m.Project.Path(), m.Policy)
	if err != nil || from == nil {
		return err
	}
	defer from.Close()
	for i, o := range found {
		if i+1 < len(found) && found[i+1].Path == o.Path || !m.takesOrphan(o) {
			continue
		}
		if err := from.CopyOut(ctx, o.in, m.Root, o.Path); err != nil {
			if ctx.Err() != nil {
				return err
			}
			m.Built.Skipped = append(m.Built.Skipped, Skipped{Path: o.Path, Why: "kept from an earlier session in " + o.Place + ": " + reason(err)})
			continue
		}
		m.Session.note(func(r *Record) { // the engine of a container may be noted at this moment
			r.Orphans = append(r.Orphans, BroughtOrphan{Path: string(o.Path), In: string(o.in)})
		})
	}
	return nil
}

// mayBringOrphans reports whether there are orphans that bringOrphans may bring into any directory.
func (m *Mirror) mayBringOrphans() (bool, error) {
	_, err := os.Lstat(filepath.Join(m.Session.projectDir(), OrphansFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// takesOrphan reports whether an orphan may lie in the mirror. One at a policy file's path may not: it would be taken for
// rules there. Nor does the mirror get a directory for its sake: that would cross to the project.
func (m *Mirror) takesOrphan(o Orphan) bool {
	v := m.Policy.Explain(string(o.Path), o.Kind == safety.Directory)
	if v.Access != dotfiles.Hidden || v.Rule.Source == dotfiles.SourceDefault {
		return false
	}
	there, err := m.Root.Lstat(o.Path)
	if err != nil || there.Kind != safety.Absent {
		return false
	}
	if o.Path.Dir() == safety.Top {
		return o.Path.Base() != safety.MarkerName
	}
	dir, err := m.Root.Lstat(o.Path.Dir())
	return err == nil && dir.Kind == safety.Directory
}

// Brought returns the orphan of an earlier session that the mirror was built with at p.
func (m *Mirror) Brought(p safety.RelPath) (BroughtOrphan, bool) {
	i := slices.IndexFunc(m.Session.Orphans, func(o BroughtOrphan) bool { return o.Path == string(p) })
	if i < 0 {
		return BroughtOrphan{}, false
	}
	return m.Session.Orphans[i], true
}

// IsAsBrought reports whether what the mirror holds at p is an orphan of an earlier session, as that is still kept.
func (m *Mirror) IsAsBrought(ctx context.Context, p safety.RelPath) bool {
	o, ok := m.Brought(p)
	if !ok {
		return false
	}
	kept, err := safety.OpenRoot(filepath.Join(m.Session.projectDir(), OrphansFolder))
	if err != nil {
		return false
	}
	defer kept.Close()
	return sameEntry(ctx, kept, safety.RelPath(o.In), m.Root, p)
}

// Supersede removes the version that the mirror was built with at p: the agent went on from it, and the newer one is
// kept by now.
func (m *Mirror) Supersede(p safety.RelPath) error {
	o, ok := m.Brought(p)
	if !ok {
		return nil
	}
	return removeOrphan(m.Session.projectDir(), safety.RelPath(o.In))
}

// projectDir is the folder that holds all that is kept for the session's project.
func (s *Session) projectDir() string { return filepath.Dir(filepath.Dir(s.dir)) }

// sameEntry compares two entries and all that is below them: kind, execute bit, content, link target.
func sameEntry(ctx context.Context, a *safety.Root, p safety.RelPath, b *safety.Root, q safety.RelPath) bool {
	x, errX := a.Lstat(p)
	y, errY := b.Lstat(q)
	if errX != nil || errY != nil || x.Kind != y.Kind {
		return false
	}
	switch x.Kind {
	case safety.File:
		return x.Size == y.Size && x.Exec() == y.Exec() && sameContent(ctx, a, p, b, q)
	case safety.Symlink:
		s, errS := a.Readlink(p)
		t, errT := b.Readlink(q)
		return errS == nil && errT == nil && s == t
	case safety.Directory:
		return sameDir(ctx, a, p, b, q)
	}
	return x.Kind == safety.Absent
}

func sameContent(ctx context.Context, a *safety.Root, p safety.RelPath, b *safety.Root, q safety.RelPath) bool {
	x, _, err := Hash(ctx, a, p)
	if err != nil {
		return false
	}
	y, _, err := Hash(ctx, b, q)
	return err == nil && x == y
}

func sameDir(ctx context.Context, a *safety.Root, p safety.RelPath, b *safety.Root, q safety.RelPath) bool {
	x, errX := namesIn(a, p)
	y, errY := namesIn(b, q)
	if errX != nil || errY != nil || !slices.Equal(x, y) {
		return false
	}
	for _, name := range x {
		if ctx.Err() != nil || !sameEntry(ctx, a, p.Join(name), b, q.Join(name)) {
			return false
		}
	}
	return true
}

func namesIn(r *safety.Root, p safety.RelPath) ([]string, error) {
	d, err := r.OpenDir(p)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	list, err := d.ReadDir()
	var names []string
	for _, n := range list {
		names = append(names, n.Name)
	}
	slices.Sort(names)
	return names, err
}
