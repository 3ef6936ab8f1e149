package autosync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/alca-mount/alca-mount/autosync/internal/journal"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// UndoOptions of [Undo].
type UndoOptions struct {
	Paths  []safety.RelPath // only these and what is below; nil: all
	DryRun bool
	Force  bool // what the user changed since is undone as well; it is kept first

	before safety.Before // of tests: sees every call
}

// Undone is what an undo did. All lists are sorted by path.
type Undone struct {
	Session  string           // the undo's own, by which it can be undone; "" when nothing was done
	Restored []safety.RelPath // are as they were before
	Removed  []safety.RelPath // were made by the session, and went to the store
	Left     []PathNote       // the user changed these since: they stay
	Failed   []PathNote
	Kept     []PathNote // versions of the user's that Force displaced, or that were saved that very moment
	Already  int        // paths that were as before already
}

// Undo takes back what session s changed in its project: overwritten and deleted entries come back, made ones go to a
// store. What comes back is moved out of the session's store, the very inode, so that it needs no space and has all that
// it had. What the undo displaces is kept in a session of its own, whose journal is like any other's: Undo undoes that,
// too. Trouble with a path is in Undone.Failed, and the rest goes on.
//
// The caller has s's lock. An undo that a crash cut short is settled by the next one in the project.
func Undo(ctx context.Context, state *mirror.StateDir, s *mirror.Session, opts UndoOptions) (Undone, error) {
	if !opts.DryRun {
		if err := settleUndos(state, s.Project); err != nil {
			return Undone{}, err
		}
	}
	u, err := planUndo(ctx, state, s, opts)
	if err != nil {
		return Undone{}, err
	}
	defer u.close()
	if opts.DryRun || len(u.steps)+len(u.touched) == 0 {
		u.foresee()
		return u.result(), nil
	}
	if err := u.begin(state, s); err != nil {
		return Undone{}, err
	}
	err = errors.Join(u.run(ctx), u.end())
	return u.result(), err
}

// undoing is one undo on its way.
type undoing struct {
	of      *mirror.Session
	project *safety.Root
	policy  *dotfiles.Policy
	records []record // of the session that is undone
	places  *versions
	dirs    map[safety.RelPath]dirTimes
	steps   []undoStep              // sorted by path
	stay    map[safety.RelPath]bool // directories in which something stays as the session left it

	session *mirror.Session
	store   *safety.Store
	journal *journal.Journal
	seq     uint64
	touched map[safety.RelPath]*touchedDir
	linked  map[uint64]bool        // inodes of several names, one of which was taken or brought
	inPlace map[uint64]safety.Info // inodes that were rewritten, as they were left; nil: none
	uses    map[string]int         // how many paths a kept version is of
	out     Undone
}

// undoStep is what is done at one path.
type undoStep struct {
	changed
	fate fate
	now  safety.Info
	seq  uint64
	gone bool // what the session made there is away
	user bool // what is there is the user's, and goes by force
	kept string
	// apart: what came there instead has several names by now, which stay as they are.
	apart bool
}

// touchedDir is a directory in which the undo changes names.
type touchedDir struct {
	was  int64   // its mtime before
	mode *uint32 // what it is to have when it is full, of a directory that came back
}

// planUndo looks at everything and changes nothing.
func planUndo(ctx context.Context, state *mirror.StateDir, s *mirror.Session, opts UndoOptions) (*undoing, error) {
	records, err := readRecords(s)
	if err != nil {
		return nil, err
	}
	u, err := openUndoing(state, s, opts.before)
	if err != nil {
		return nil, err
	}
	u.records = records
	if err := u.look(ctx, opts); err != nil {
		return nil, errors.Join(err, u.close())
	}
	return u, nil
}

// openUndoing opens the project of a session and the places of its versions, for what is going to be planned.
func openUndoing(state *mirror.StateDir, s *mirror.Session, before safety.Before) (*undoing, error) {
	u := &undoing{of: s, stay: map[safety.RelPath]bool{}, touched: map[safety.RelPath]*touchedDir{}, linked: map[uint64]bool{}}
	var err error
	if u.policy, err = dotfiles.New(s.Rules); err != nil {
		return nil, err
	}
	if u.places, err = findVersions(state, s, before); err != nil {
		return nil, err
	}
	if u.project, err = safety.OpenRootWith(s.Project, before); err != nil {
		return nil, errors.Join(err, u.places.close())
	}
	return u, nil
}

func readRecords(s *mirror.Session) ([]record, error) {
	var out []record
	err := journal.Read(filepath.Join(s.Dir(), "journal"), func(r record) error {
		out = append(out, r)
		return nil
	})
	return out, err
}

// look finds out what is to be done at each path.
func (u *undoing) look(ctx context.Context, opts UndoOptions) error {
	changes, _ := changesIn(u.records)
	_, u.dirs = changesIn(slices.Concat(u.records, u.places.later()))
	u.uses = map[string]int{}
	for _, c := range changes {
		u.uses[c.before.kept]++
	}
	wanted := wantedChanges(changes, opts.Paths)
	for _, c := range changes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !wanted[c.path] {
			u.stay[c.path.Dir()] = true
			continue
		}
		u.consider(ctx, c, opts.Force)
	}
	u.findLateTimes()
	return nil
}

// findLateTimes finds directories whose time an undo that was cut short did not come to give back.
func (u *undoing) findLateTimes() {
	for dir, then := range u.dirs {
		info, err := u.project.Lstat(dir)
		if err == nil && info.Kind == safety.Directory && then.before != then.after && info.Mtime == then.after && !u.stay[dir] {
			u.touched[dir] = &touchedDir{was: info.Mtime}
		}
	}
}

// wantedChanges are the changes at the paths that are asked for and, of directories that are gone, those above them.
func wantedChanges(changes []changed, paths []safety.RelPath) map[safety.RelPath]bool {
	wanted := map[safety.RelPath]bool{}
	selected := limitsFor(Options{Paths: paths}, 0).selected
	for _, c := range changes {
		if selected != nil && !selected(c.path) {
			continue
		}
		wanted[c.path] = true
		for _, dir := range c.path.Parents() {
			wanted[dir] = c.before.stamp.Kind != safety.Absent || wanted[dir]
		}
	}
	return wanted
}

func (u *undoing) consider(ctx context.Context, c changed, force bool) {
	now, err := u.lookAt(c.path)
	var ours bool
	if err == nil && !u.mayTouch(c, now) {
		err = errors.New("it is not the agent's to write: left alone")
	}
	if err == nil {
		ours, err = isAsLeft(ctx, u.project, c, now)
	}
	if last, ok := u.places.latest(c.path); ok && err == nil && !ours {
		ours, err = isAsLeft(ctx, u.project, last, now) // an undo that was cut short is not the user
	}
	if err != nil {
		u.fail(c.path, err)
		return
	}
	switch f := fateOf(c, now, ours, force); f {
	case fateBack:
		u.out.Already++
	case fateChanged:
		u.leave(c.path, "changed since the session")
	default:
		there := now.Kind != safety.Absent
		apart := now.Nlink > 1 && c.before.stamp.Ino != now.Ino // else the session rewrote it under all of them
		u.steps = append(u.steps, undoStep{changed: c, fate: f, now: now, gone: !there, user: !ours && there && now.Kind != safety.Directory, apart: apart})
	}
}

// lookAt describes what is at p in just this spelling: where case is folded, what was renamed to another is not there.
func (u *undoing) lookAt(p safety.RelPath) (safety.Info, error) {
	info, err := u.project.Lstat(p)
	if err != nil || info.Kind == safety.Absent || !u.policy.Folds() {
		return info, err
	}
	if spelling, err := mirror.Spelling(u.project, p); spelling != p || err != nil {
		return safety.Info{}, err
	}
	return info, nil
}

// mayTouch reports whether the session's rules let the agent write the path: a journal that says otherwise is not to be
// believed.
func (u *undoing) mayTouch(c changed, now safety.Info) bool {
	for _, kind := range []safety.Kind{c.before.stamp.Kind, c.after.State.Kind, now.Kind} {
		if kind != safety.Absent && u.policy.Access(string(c.path), kind == safety.Directory) != dotfiles.Writable {
			return false
		}
	}
	return true
}

// isAsLeft reports whether the path is as the session left it: by its stamp, else by what it holds.
func isAsLeft(ctx context.Context, project *safety.Root, c changed, now safety.Info) (bool, error) {
	was := c.after
	switch {
	case mirror.StampOf(now) == was.Project:
		return true, nil
	case now.Kind != was.State.Kind:
		return false, nil
	case now.Kind == safety.Directory:
		return true, nil
	case now.Kind == safety.Symlink:
		target, err := project.Readlink(c.path)
		return target == was.State.Target, err
	case !was.State.Content.Known():
		return sameEntry(mirror.StampOf(now), was.Project), nil
	case now.Exec() != was.State.Exec || now.Size != was.State.Content.Size:
		return false, nil
	}
	content, _, err := mirror.Hash(ctx, project, c.path)
	return content == was.State.Content, err
}

// leave notes a path that stays as it is.
func (u *undoing) leave(p safety.RelPath, why string) {
	u.out.Left = append(u.out.Left, PathNote{Path: p, Why: why})
	u.stay[p.Dir()] = true
}

func (u *undoing) fail(p safety.RelPath, err error) {
	u.out.Failed = append(u.out.Failed, PathNote{Path: p, Why: err.Error()})
	u.stay[p.Dir()] = true
}

// foresee notes what the steps would do.
func (u *undoing) foresee() {
	for _, s := range u.steps {
		u.noteDone(s)
	}
}

func (u *undoing) noteDone(s undoStep) {
	if s.user {
		u.out.Kept = append(u.out.Kept, PathNote{Path: s.path, Why: "changed since the session", Kept: s.kept})
	}
	if s.fate == fateTake {
		u.out.Removed = append(u.out.Removed, s.path)
		return
	}
	u.out.Restored = append(u.out.Restored, s.path)
}

func (u *undoing) result() Undone {
	slices.Sort(u.out.Restored)
	slices.Sort(u.out.Removed)
	for _, list := range [][]PathNote{u.out.Left, u.out.Failed, u.out.Kept} {
		slices.SortStableFunc(list, func(a, b PathNote) int { return cmp.Compare(a.Path, b.Path) })
	}
	return u.out
}

// begin makes the undo's session with its journal and store.
func (u *undoing) begin(state *mirror.StateDir, s *mirror.Session) error {
	session, err := state.New(s.Project, mirror.Record{Rules: s.Rules, Agent: s.Agent, Undoes: s.ID})
	if err != nil {
		return err
	}
	u.session = session
	folder := filepath.Join(session.Dir(), "store")
	if err = makeFolder(folder, u.project.Before()); err == nil {
		u.store, err = safety.OpenStore(u.project, true, session.ID, folder)
	}
	if err == nil {
		session.Stores[0] = u.store.Path()
		err = session.Save()
	}
	if err == nil {
		u.journal, err = journal.Open(filepath.Join(session.Dir(), "journal"), func(record) error { return nil })
	}
	if err != nil {
		u.store.Abandon()
		return errors.Join(fmt.Errorf("begin the undo: %w", err), session.Remove())
	}
	u.out.Session = session.ID
	return nil
}

// end makes all durable, before the journal says that it is done, and ends the undo's session. One that did nothing goes.
// Where that fails, the session stays as one that was cut short, and what comes next settles it.
func (u *undoing) end() error {
	nothing := len(u.out.Restored)+len(u.out.Removed) == 0
	err := errors.Join(u.syncAll(), u.journal.Close(), u.store.Close())
	if err == nil && len(u.out.Failed) > 0 {
		err = settleUndo(u.session) // a version may be on its way, and the call that puts it back failed, too
	} else if err == nil {
		err = undoStoreHome(u.project, u.session)
	}
	if err == nil && nothing && !u.session.KeepsVersions() {
		u.out.Session = ""
		return errors.Join(u.session.Remove(), u.session.Unlock())
	}
	if err == nil {
		u.session.State, u.session.Ended = mirror.SessionEnded, time.Now()
		err = u.session.Save()
	}
	return errors.Join(err, u.session.Unlock())
}

// syncAll makes the changed names durable on both sides of each rename.
func (u *undoing) syncAll() error {
	errs := []error{u.store.Sync(), u.places.sync()}
	for dir := range u.touched {
		if err := u.project.Sync(dir); err != nil && !isAbsent(err) && !errors.Is(err, safety.ErrChanged) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (u *undoing) close() error { return errors.Join(u.places.close(), u.project.Close()) }
