package autosync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// maxRounds is how often a pass is begun anew because files changed under its hands.
const maxRounds = 4

// Once compares both sides with the base and brings them into step, once.
//
// Trouble with a path is reported in Changes.Failed and the rest goes on; an error means that nothing more could be done.
// When a root is gone, was replaced or is suddenly empty, nothing is done: Changes.Halted says why and the error wraps
// safety.ErrGone. When ctx ends, Once stops between two files and returns what was done with ctx's error.
// The caller has the session's lock.
func Once(ctx context.Context, m *mirror.Mirror, opts Options) (Changes, error) {
	if opts.DryRun {
		return preview(ctx, m, opts)
	}
	e, err := openEngine(m, opts)
	if err != nil {
		return Changes{}, err
	}
	err = errors.Join(e.finish(ctx), e.close())
	return e.result(), err
}

// SyncBack brings changed and new writable files from the mirror to the project, base-aware, and never deletes.
// With paths it does so for those only. It returns how many files it wrote; when ctx ends, the count so far and ctx's error.
func SyncBack(ctx context.Context, m *mirror.Mirror, paths ...string) (int, error) {
	opts := Options{OnlyToProject: true}
	for _, s := range paths {
		p, err := safety.ParseRelPath(s)
		if err != nil {
			return 0, err
		}
		opts.Paths = append(opts.Paths, p)
	}
	changes, err := Once(ctx, m, opts)
	if err == nil {
		err = changes.Err()
	}
	return len(changes.ToProject), err
}

// Err joins what failed; nil when nothing did.
func (c Changes) Err() error {
	var errs []error
	for _, f := range c.Failed {
		errs = append(errs, errors.New(f.Why))
	}
	return errors.Join(errs...)
}

// finish does full passes until nothing changes under its hands any more.
func (e *engine) finish(ctx context.Context) error {
	e.leaving = e.opts.Final
	err := e.rounds(ctx)
	e.changes.Failed = slices.DeleteFunc(e.changes.Failed, func(n PathNote) bool { return e.isNeedless(n.Path) })
	for _, n := range e.changes.Failed {
		e.tellFailing(n)
	}
	if e.opts.Final && err == nil && len(e.changes.Failed) == 0 {
		e.changes.sort()
		e.setAsideLeft(ctx)
	}
	if !e.opts.Final && err == nil {
		err = e.mended()
	}
	switch {
	case e.opts.Final || e.opts.DryRun || err != nil || e.discarded != nil: // a repository that was turned down brings nothing
	case e.commitsDoubted():
		e.noteRefused(repository, whyCommitsDoubt+"; alca-mount apply brings what is there", "")
	default:
		e.bringCommits(ctx, filepath.Join(e.m.Root.Path(), repository))
	}
	return err
}

// isNeedless reports whether what failed at a path is not to bring anything home: all that the mirror, which is about to
// go, has there is what both sides last agreed on. Of a directory that can't be told.
func (e *engine) isNeedless(p safety.RelPath) bool {
	if !e.leaving || p == ofJournal || slices.ContainsFunc(e.unsettled, func(n PathNote) bool { return n.Path == p }) {
		return false
	}
	last := e.m.Base.Get(p)
	now, err := e.m.Root.Lstat(p)
	if err != nil || now.Kind == safety.Directory || last.State.Kind == safety.Directory {
		return false
	}
	if now.Kind == safety.Absent {
		there, err := e.m.Project.Lstat(p)
		return last.State.Absent() && err == nil && there.Kind != safety.Directory
	}
	return last.Mirror != mirror.Stamp{} && last.Mirror == mirror.StampOf(now)
}

func (e *engine) rounds(ctx context.Context) error {
	for range maxRounds {
		pl, err := e.lookWhenQuiet(ctx)
		if err != nil {
			return e.halt(err)
		}
		e.again = e.view.again
		err = e.run(ctx, pl)
		if e.learns != nil {
			e.learns(e.view, pl)
		}
		if err != nil {
			return e.halt(err)
		}
		if len(e.again) == 0 {
			return nil
		}
	}
	e.changes.Failed = append(e.changes.Failed, e.again...)
	return nil
}

// look sees what both sides are and plans. What is only reported replaces the reports of the round before.
func (e *engine) look(ctx context.Context) (plan, error) {
	if err := e.verify(); err != nil {
		return plan{}, err
	}
	v, err := lookAround(ctx, e.m, e.guard, e.watching)
	if err != nil {
		return plan{}, err
	}
	e.view = v
	e.takeBackFollowers()
	e.watching.done()
	e.watching = nil
	if err := e.noteAlive(); err != nil {
		return plan{}, err
	}
	if err := v.checkEmptied(visible(e.m), e.opts.AllowMassDelete || e.opts.Approved); err != nil {
		return plan{}, err
	}
	l := limitsFor(e.opts, v.startFiles)
	if e.remembers != nil {
		e.remembers(v, &l)
	}
	if e.discarded != nil {
		e.turnDown(v)
	}
	pl := makePlan(v.looks, l)
	pl.orphans = newOrphans(ctx, e.m, pl.orphans)
	e.changes.adoptNotes(pl, slices.Concat(e.unsettled, v.trouble))
	e.left = map[safety.RelPath]bool{}
	for _, n := range pl.refused {
		e.left[n.Path] = true
	}
	return pl, nil
}

// checkEmptied refuses to conclude from an empty side that everything was deleted.
func (v *view) checkEmptied(expected, allowed bool) error {
	switch {
	case !expected:
		return nil
	case v.project.Len() == 0:
		return ErrProjectEmptied
	case v.mirrored.Len() == 0 && !allowed && !v.interrupted: // else what is missing is not taken for deleted
		return ErrMirrorEmptied
	}
	return nil
}

// visible reports whether both sides agreed on anything that the rules of now show: else both look empty by right.
func visible(m *mirror.Mirror) bool {
	for p, e := range m.Base.Unsorted() {
		if m.Policy.Access(string(p), e.State.Kind == safety.Directory).Mirrored() {
			return true
		}
	}
	return false
}

// halt notes that a root is gone.
func (e *engine) halt(err error) error {
	if errors.Is(err, safety.ErrGone) || errors.Is(err, safety.ErrNoMarker) {
		e.changes.Halted = err.Error()
		e.emit(Halted, "", 0, err.Error(), "")
		if !errors.Is(err, safety.ErrGone) {
			err = fmt.Errorf("%w: %w", safety.ErrGone, err)
		}
	}
	return err
}

func limitsFor(o Options, startFiles int) limits {
	l := limits{deletes: o.Deletes, toMirror: !o.OnlyToProject, allowMassDelete: o.AllowMassDelete || o.Approved, approved: o.Approved, startFiles: startFiles}
	if len(o.Paths) > 0 {
		l.selected = func(p safety.RelPath) bool {
			return slices.ContainsFunc(o.Paths, func(dir safety.RelPath) bool { return p.In(dir) })
		}
	}
	return l
}

// adoptNotes takes over what a plan only reports.
func (c *Changes) adoptNotes(pl plan, trouble []PathNote) {
	c.Lost = append(c.Lost, pl.lost...)
	c.Held, c.Orphans, c.PendingDelete = pl.held, pl.orphans, paths(pl.pending)
	c.Refused = append(slices.DeleteFunc(c.Refused, func(n PathNote) bool {
		return n.Kept == "" && !strings.HasPrefix(n.Why, "read-only: the") && !strings.HasPrefix(n.Why, "discarded: ")
	}), pl.refused...)
	c.Failed = slices.Clone(trouble)
}

func paths(notes []PathNote) []safety.RelPath {
	var out []safety.RelPath
	for _, n := range notes {
		out = append(out, n.Path)
	}
	return out
}

// result is what was done, sorted, with what is left in the mirror's excluded directories.
func (e *engine) result() Changes {
	c := e.changes
	c.NewInExcluded = newInExcluded(e.m)
	c.sort()
	return c
}

// clone is a copy that shares no list.
func (c Changes) clone() Changes {
	for _, list := range []*[]safety.RelPath{&c.ToProject, &c.ToMirror, &c.PendingDelete, &c.NewInExcluded, &c.Lost} {
		*list = slices.Clone(*list)
	}
	for _, list := range []*[]PathNote{&c.Deleted, &c.Conflicts, &c.Refused, &c.Held, &c.Orphans, &c.Failed, &c.Recovered} {
		*list = slices.Clone(*list)
	}
	c.Commits = slices.Clone(c.Commits)
	return c
}

func (c *Changes) sort() {
	for _, list := range []*[]safety.RelPath{&c.ToProject, &c.ToMirror, &c.PendingDelete, &c.NewInExcluded, &c.Lost} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	for _, list := range []*[]PathNote{&c.Deleted, &c.Conflicts, &c.Refused, &c.Held, &c.Orphans, &c.Failed, &c.Recovered} {
		slices.SortStableFunc(*list, func(a, b PathNote) int { return cmp.Compare(a.Path, b.Path) })
	}
}

// newInExcluded names the build directories that the agent filled: they never cross and go with the mirror.
func newInExcluded(m *mirror.Mirror) []safety.RelPath {
	var out []safety.RelPath
	for _, name := range []safety.RelPath{"build", "dist", "env", "out"} {
		info, err := m.Root.Lstat(name)
		if err == nil && info.Kind == safety.Directory && !m.Policy.Access(string(name), true).Mirrored() {
			out = append(out, name)
		}
	}
	return out
}

// preview says what Once would do.
func preview(ctx context.Context, m *mirror.Mirror, opts Options) (Changes, error) {
	v, pl, unfinished, err := foresee(ctx, m, opts)
	if err != nil {
		return Changes{}, err
	}
	var c Changes
	if err := v.checkEmptied(visible(m), opts.AllowMassDelete); err != nil {
		c.Halted = err.Error()
		return c, err
	}
	pl.orphans = newOrphans(ctx, m, pl.orphans)
	c.adoptNotes(pl, slices.Concat(v.trouble, v.again))
	for _, s := range slices.Concat(pl.clear, pl.put, pl.remove) {
		c.foresee(s)
	}
	c.NewInExcluded, c.Recovered = newInExcluded(m), unfinished
	c.sort()
	return c, nil
}

func (c *Changes) foresee(s step) {
	note := PathNote{Path: s.path, Why: s.action.String()}
	if s.keep == keepConflict && !s.from.Absent() {
		c.Conflicts = append(c.Conflicts, note)
	}
	if s.side == mirror.MirrorSide && (s.action == RestoreMirror || s.keep == keepRefused) {
		c.Refused = append(c.Refused, note)
	}
	switch {
	case s.to.Kind == safety.Directory || s.to.Absent() && s.from.Kind == safety.Directory:
	case s.side == mirror.MirrorSide:
		c.ToMirror = append(c.ToMirror, s.path)
	case s.to.Absent():
		c.Deleted = append(c.Deleted, note)
	default:
		c.ToProject = append(c.ToProject, s.path)
	}
}
