package autosync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// Version is one version of a file or link, where it lies. The zero value is none.
type Version struct {
	Kind   safety.Kind
	Mode   uint32
	Target string // of a link

	root *safety.Root
	path safety.RelPath
}

// Content reads a file's bytes or gives a link's target; nothing for an absent version.
func (v Version) Content() ([]byte, error) {
	switch v.Kind {
	case safety.Symlink:
		return []byte(v.Target), nil
	case safety.File:
		f, _, err := v.root.Open(v.path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return io.ReadAll(f)
	}
	return nil, nil
}

// versionAt looks at what lies at a path; a directory is none.
func versionAt(root *safety.Root, p safety.RelPath) (Version, error) {
	info, err := root.Lstat(p)
	if err != nil || info.Kind != safety.File && info.Kind != safety.Symlink {
		return Version{}, err
	}
	v := Version{Kind: info.Kind, Mode: info.Mode, root: root, path: p}
	if info.Kind == safety.Symlink {
		v.Target, err = root.Readlink(p)
	}
	return v, err
}

// Proposal is one change of a file or link that a session would bring to its project.
type Proposal struct {
	Path     safety.RelPath
	From     safety.RelPath // the path before a rename; else ""
	Old, New Version        // in the project, and as it would be
	Held     string         // why it waits for the user's word; "": it need not
}

// Proposals are what a session would bring to its project, sorted by path. What they name is read when it is asked for:
// Close them when done.
type Proposals struct {
	List    []Proposal
	Trouble []PathNote // what could not be looked at
	close   []io.Closer
}

// Close releases what the versions are read from.
func (p *Proposals) Close() error {
	var errs []error
	for _, c := range p.close {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Propose says what the mirror would bring to the project: deletions and held changes, too; guard as in Options.Guarded.
// It changes nothing.
func Propose(ctx context.Context, m *mirror.Mirror, guard *dotfiles.Guard, paths []safety.RelPath) (*Proposals, error) {
	opts := Options{Deletes: true, OnlyToProject: true, Paths: paths, Guarded: guard}
	v, pl, _, err := foresee(ctx, m, opts)
	if err != nil {
		return nil, err
	}
	out := &Proposals{Trouble: slices.Concat(v.trouble, v.again)}
	for _, s := range slices.Concat(pl.clear, pl.put, pl.remove) {
		if s.side == mirror.ProjectSide {
			out.add(m, s.path, "", s.to.Absent())
		}
	}
	for _, n := range pl.held {
		out.add(m, n.Path, n.Why, v.lookOf(n.Path).mirrored.Absent())
	}
	out.settle()
	out.findRenames(v)
	return out, nil
}

func (ps *Proposals) add(m *mirror.Mirror, p safety.RelPath, held string, deleted bool) {
	old, err := versionAt(m.Project, p)
	var made Version
	if err == nil && !deleted {
		made, err = versionAt(m.Root, p)
	}
	ps.propose(Proposal{Path: p, Old: old, New: made, Held: held}, err)
}

func (ps *Proposals) propose(p Proposal, err error) {
	switch {
	case err != nil:
		ps.Trouble = append(ps.Trouble, PathNote{Path: p.Path, Why: err.Error()})
	case p.Old.Kind != safety.Absent || p.New.Kind != safety.Absent:
		ps.List = append(ps.List, p)
	}
}

// settle sorts the list and leaves one proposal to a path: what is cleared away for another kind of entry comes twice.
func (ps *Proposals) settle() {
	slices.SortStableFunc(ps.List, func(a, b Proposal) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(b.New.Kind, a.New.Kind))
	})
	ps.List = slices.CompactFunc(ps.List, func(a, b Proposal) bool { return a.Path == b.Path })
}

// findRenames makes one of a deletion and a creation of the very same file.
func (ps *Proposals) findRenames(v *view) {
	made := map[safety.RelPath]int{}
	for i, p := range ps.List {
		if p.Old.Kind == safety.Absent && p.New.Kind == safety.File {
			made[p.Path] = i
		}
	}
	gone := map[int]bool{}
	for i, p := range ps.List {
		to, ok := made[v.lookOf(p.Path).movedTo]
		if p.Old.Kind == safety.File && p.New.Kind == safety.Absent && ok && ps.List[to].From == "" {
			ps.List[to].From, ps.List[to].Old = p.Path, p.Old
			ps.List[to].Held = cmp.Or(ps.List[to].Held, p.Held)
			gone[i] = true
		}
	}
	kept := ps.List[:0]
	for i, p := range ps.List {
		if !gone[i] {
			kept = append(kept, p)
		}
	}
	ps.List = kept
}

// foresee looks at both sides and plans, and changes nothing. It says as well what a crash left unfinished.
func foresee(ctx context.Context, m *mirror.Mirror, opts Options) (*view, plan, []PathNote, error) {
	unfinished, err := foresight(m)
	if err != nil {
		return nil, plan{}, nil, err
	}
	g, err := newGuard(m, opts)
	if err != nil {
		return nil, plan{}, nil, err
	}
	v, err := lookAround(ctx, m, g, nil)
	if err != nil {
		return nil, plan{}, nil, err
	}
	return v, makePlan(v.looks, limitsFor(opts, v.startFiles)), unfinished, nil
}

// ProposeHeld says what waits in a session whose mirror is gone.
func ProposeHeld(s *mirror.Session, paths []safety.RelPath) (*Proposals, error) {
	held, err := ReadHeld(s.Dir())
	if err != nil {
		return nil, err
	}
	out := &Proposals{}
	project, kept, err := out.open(s)
	if err != nil {
		return nil, err
	}
	selected := limitsFor(Options{Paths: paths}, 0).selected
	for _, h := range held {
		if selected != nil && !selected(h.Path) {
			continue
		}
		old, err := versionAt(project, h.Path)
		var made Version
		if err == nil && h.Kept != "" {
			made, err = versionAt(kept, relativeTo(s.Dir(), h.Kept))
			if made.Kind == safety.Absent && err == nil {
				continue // a directory, or brought home by an apply that was cut short
			}
		}
		out.propose(Proposal{Path: h.Path, Old: old, New: made, Held: h.Why}, err)
	}
	return out, nil
}

// relativeTo is a path below dir, as one.
func relativeTo(dir, path string) safety.RelPath {
	return safety.RelPath(filepath.ToSlash(strings.TrimPrefix(path, dir+string(filepath.Separator))))
}

func (ps *Proposals) open(s *mirror.Session) (project, kept *safety.Root, err error) {
	if project, err = safety.OpenRoot(s.Project); err != nil {
		return nil, nil, err
	}
	ps.close = append(ps.close, project)
	if kept, err = safety.OpenRoot(s.Dir()); err != nil {
		return nil, nil, errors.Join(err, ps.Close())
	}
	ps.close = append(ps.close, kept)
	return project, kept, nil
}

// LostConflicts shows the versions that lost a conflict in a session, against what is in the project now.
func LostConflicts(s *mirror.Session, paths []safety.RelPath) (*Proposals, error) {
	out := &Proposals{}
	project, kept, err := out.open(s)
	if err != nil {
		return nil, err
	}
	selected := limitsFor(Options{Paths: paths}, 0).selected
	for n, folder := 2, safety.RelPath(conflictsFolder); ; n++ {
		info, err := kept.Lstat(folder)
		if err != nil || info.Kind != safety.Directory {
			break
		}
		err = walkKept(kept, folder, func(at safety.RelPath) {
			p := relativeTo(string(folder), filepath.FromSlash(string(at)))
			if selected != nil && !selected(p) {
				return
			}
			lost, err := versionAt(kept, at)
			var won Version
			if err == nil {
				won, err = versionAt(project, p)
			}
			out.propose(Proposal{Path: p, Old: lost, New: won}, err)
		})
		if err != nil {
			return nil, errors.Join(err, out.Close())
		}
		folder = safety.RelPath(fmt.Sprintf("%s~%d", conflictsFolder, n))
	}
	slices.SortStableFunc(out.List, func(a, b Proposal) int { return cmp.Compare(a.Path, b.Path) })
	return out, nil
}

func walkKept(root *safety.Root, at safety.RelPath, visit func(safety.RelPath)) error {
	d, err := root.OpenDir(at)
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := d.ReadDir()
	for _, n := range names {
		if err != nil {
			return err
		}
		if n.Kind == safety.Directory {
			err = walkKept(root, at.Join(n.Name), visit)
			continue
		}
		visit(at.Join(n.Name))
	}
	return err
}
