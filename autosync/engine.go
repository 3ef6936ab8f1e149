package autosync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/alca-mount/alca-mount/autosync/internal/journal"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// engine does what plans say, for one mirror, one step at a time.
type engine struct {
	m        *mirror.Mirror
	opts     Options
	journal  *journal.Journal
	history  *history
	keepRoot *safety.Root     // the project's folder in the state directory: sessions and orphans
	stores   [2]*safety.Store // by side: where new content is staged and displaced content goes
	seq      uint64
	view     *view
	guard    *guard
	changes  Changes

	unlocked map[safety.RelPath]safety.Info // mirror directories made writable for a step
	looked   map[safety.RelPath]bool        // mirror directories of which this pass knows whether they have to be
	modes    []finalMode                    // directories whose mode is set when they are full
	made     map[safety.RelPath]finalMode   // directories that we made, with the mode that they have from us
	dirty    map[sidePath]bool              // directories whose names have to be made durable
	dirTimes [2]int64                       // mtimes of the project's directory before and after a name changes in it; 0: not looked yet
	left     map[safety.RelPath]bool        // refused versions that still lie in the mirror
	leaving  bool                           // the mirror goes after this pass
	noRoom   bool                           // a disk was full
	again    []PathNote                     // what changed under our hands: to be looked at again

	unsettled []PathNote // what recovery could not settle: no look finds it, and the mirror may not go

	rewritten []safety.RelPath // in place, by this pass: who had the file open before still has

	discarded map[safety.RelPath]bool // of Discard: what the project's version is put back over; nil: this is none

	told    told
	failing map[safety.RelPath]string // what could not be carried so far, and why, as it was told

	watching *Watched // what the next look at everything sets watches of; nil: nothing

	displaced []displacedFile // still open for writing when they were displaced

	aside     []safety.RelPath // below keepRoot: moved out of the mirror, and not known to be on the disk
	keptTimes map[string]int   // by folder and path: where to begin to look for a free place
	others    others

	ends     []record  // of calls whose names may not be durable yet: see endCalls
	endsFrom time.Time // of the first of them
	drops    []slot    // not needed once the ends are written

	remembers func(*view, *limits) // brings in what a live session knows from before; nil: nothing
	learns    func(*view, plan)    // takes in what a pass did; nil: nothing
}

type sidePath struct {
	side mirror.Side
	path safety.RelPath
}

type slot struct {
	side mirror.Side
	seq  uint64
}

type finalMode struct {
	sidePath
	mode uint32
}

// openEngine opens a mirror's journal and stores. The caller has the session's lock.
func openEngine(m *mirror.Mirror, opts Options) (*engine, error) {
	e := &engine{m: m, opts: opts, unlocked: map[safety.RelPath]safety.Info{}, looked: map[safety.RelPath]bool{}, keptTimes: map[string]int{}, made: map[safety.RelPath]finalMode{}, dirty: map[sidePath]bool{}, told: told{}, failing: map[safety.RelPath]string{}}
	e.others = others{dir: filepath.Dir(m.Session.Dir()), own: m.Session.ID}
	var err error
	if !opts.OnlyToProject {
		if err := m.Session.BeginWriting(); err != nil {
			return nil, err
		}
	}
	if e.journal, e.history, err = openJournal(filepath.Join(m.Session.Dir(), "journal"), m.Project.Before(), m.Base); err != nil {
		return nil, err
	}
	if err := e.open(); err != nil {
		for _, store := range e.stores {
			store.Abandon()
		}
		if e.keepRoot != nil {
			err = errors.Join(err, e.keepRoot.Close())
		}
		return nil, errors.Join(err, e.journal.Close())
	}
	return e, nil
}

func (e *engine) open() error {
	if err := e.openStores(); err != nil {
		return err
	}
	if err := e.recordStores(); err != nil {
		return err
	}
	var err error
	if e.guard, err = newGuard(e.m, e.opts); err != nil {
		return err
	}
	if e.keepRoot, err = safety.OpenRootWith(filepath.Dir(filepath.Dir(e.m.Session.Dir())), e.m.Project.Before()); err != nil {
		return err
	}
	e.seq = e.history.lastSeq
	if err := e.skipUsedSlots(); err != nil {
		return err
	}
	return e.recover()
}

// openStores opens both stores, where they were if that can be: the session's record has room for one place each, and
// what is kept in another would be forgotten.
func (e *engine) openStores() error {
	m, dir := e.m, e.m.Session.Dir()
	for side, root := range [...]*safety.Root{m.Project, m.Root} {
		// Only the project and the store are worth waiting for a disk: a mirror can be built again.
		durable := mirror.Side(side) == mirror.ProjectSide
		folder := filepath.Join(dir, [...]string{"store", "mirror-store"}[side])
		if err := makeFolder(folder, root.Before()); err != nil {
			return fmt.Errorf("make the store: %w", err)
		}
		places := []string{folder}
		if then := m.Session.Stores[side]; then != "" && then != folder {
			places = []string{then, folder}
		}
		store, err := safety.OpenStore(root, durable, m.Session.ID, places...)
		if err != nil {
			return fmt.Errorf("open the %s's store: %w", mirror.Side(side), err)
		}
		e.stores[side] = store
		if then := places[0]; store.Path() != then && len(e.history.unfinished()) > 0 && isThere(root, then) {
			return fmt.Errorf("what was cut short is in %q, and nothing can be moved from there into %q now", then, root.Path())
		}
	}
	return nil
}

// isThere reports whether a store may still hold something.
func isThere(root *safety.Root, dir string) bool {
	store, err := safety.ReopenStore(root, dir)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	defer store.Close()
	last, err := store.LastSeq()
	return last > 0 || err != nil
}

// skipUsedSlots goes on behind every number in use. A kill between staging and the intent leaves a slot that the
// journal does not know; to stage into it again would fail for ever.
func (e *engine) skipUsedSlots() error {
	for _, store := range e.stores {
		last, err := store.LastSeq()
		if err != nil {
			return fmt.Errorf("look into the store: %w", err)
		}
		e.seq = max(e.seq, last)
	}
	return nil
}

// makeFolder makes a folder of the session's. One that is something else by now was put there by somebody else.
func makeFolder(folder string, before safety.Before) error {
	if before != nil {
		if err := before(safety.OpMkdir, folder); err != nil {
			return err
		}
	}
	err := os.Mkdir(folder, 0o700)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(folder)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory any more: %w", folder, safety.ErrChanged)
	}
	return err
}

// recordStores remembers where displaced files are: a store may lie on another mount than the session.
func (e *engine) recordStores() error {
	stores := [2]string{e.stores[0].Path(), e.stores[1].Path()}
	if e.m.Session.Stores == stores {
		return nil
	}
	e.m.Session.Stores = stores
	return e.m.Session.Save()
}

// close makes all durable and gives the journal back.
func (e *engine) close() error {
	e.settleLateWriters(true)
	aside := e.syncAside()
	flushed, stored, closed := e.flush(), e.closeStores(), e.closeJournal()
	if flushed != nil && closed != nil {
		closed = nil // it tried to write the same once more
	}
	return errors.Join(e.relock(), aside, flushed, stored, closed, e.keepRoot.Close())
}

// closeJournal closes the journal. Of a unsettled session whose mirror goes now, nobody has to know; see Session.Settle.
func (e *engine) closeJournal() error {
	if e.opts.Final && e.m.Session.Unsettled() {
		return e.journal.CloseSoon()
	}
	return e.journal.Close()
}

func (e *engine) root(side mirror.Side) *safety.Root {
	if side == mirror.ProjectSide {
		return e.m.Project
	}
	return e.m.Root
}

func (e *engine) tree(side mirror.Side) *mirror.Tree {
	if side == mirror.ProjectSide {
		return e.view.project
	}
	return e.view.mirrored
}

func other(side mirror.Side) mirror.Side { return 1 - side }

func (e *engine) nextSeq() uint64 {
	e.seq++
	return e.seq
}

// verify looks whether both roots are what they were and the mirror still carries our marker.
// Nothing may be deleted on either side when one is not.
func (e *engine) verify() error {
	if err := e.m.Project.Verify(); err != nil {
		return fmt.Errorf("the project: %w", err)
	}
	if err := e.m.Root.Verify(); err != nil {
		return fmt.Errorf("the mirror: %w", err)
	}
	session, err := safety.ReadMarker(e.m.Root)
	if err != nil {
		return fmt.Errorf("the mirror: %w", err)
	}
	if session != e.m.Session.ID {
		return fmt.Errorf("the mirror is marked as that of session %s: %w", session, safety.ErrGone)
	}
	return nil
}

func (e *engine) emit(t EventType, p safety.RelPath, d Direction, reason, kept string) {
	if e.opts.Events != nil {
		e.opts.Events(Event{Time: time.Now(), Type: t, Session: e.m.Session.ID, Path: p, Direction: d, Reason: reason, Kept: kept})
	}
}

// fail notes what went wrong at a path; the rest goes on. A path that changed under our hands is looked at again.
func (e *engine) fail(p safety.RelPath, err error) {
	n := PathNote{Path: p, Why: err.Error()}
	if errors.Is(err, safety.ErrChanged) {
		e.again = append(e.again, n)
		return
	}
	e.noRoom = e.noRoom || safety.IsNoRoom(err)
	e.changes.Failed = append(e.changes.Failed, n)
}

// failNow is fail where no look follows: what changed under our hands is left behind as well.
func (e *engine) failNow(p safety.RelPath, err error) {
	e.changes.Failed = append(e.changes.Failed, PathNote{Path: p, Why: err.Error()})
}

// run does a plan. It returns an error only when nothing more can be done: ctx is done or a root is gone.
func (e *engine) run(ctx context.Context, pl plan) error {
	e.moveBase(pl)
	if err := e.each(ctx, pl.clear, e.clear); err != nil {
		return err
	}
	if err := e.putAll(ctx, pl.put); err != nil {
		return err
	}
	return e.removeAll(ctx, pl.remove)
}

// groupEnds and groupTime bound how many ends of calls wait for one sync of their directories, and how long they do
// while there is work. A burst changes names in the same directories again and again.
const (
	groupEnds = 1024
	groupTime = time.Second
)

// endIfDue ends calls now and then. What could not be synced waits for the next time; close tells of it.
func (e *engine) endIfDue() {
	if len(e.ends) >= groupEnds || len(e.ends) > 0 && time.Since(e.endsFrom) >= groupTime {
		_ = e.endCalls()
	}
}

// endCalls writes the ends of calls to the journal. Their names are made durable first: an end that survives a power cut
// which the call does not survive would make the version of before look like a new one. Only then may versions go that
// nobody needs: until then they prove what was done.
func (e *engine) endCalls() error {
	if err := e.syncDirs(); err != nil {
		return err
	}
	for _, r := range e.ends {
		e.append(r)
	}
	e.ends = nil
	if err := e.journal.Flush(false); err != nil {
		return err
	}
	for _, s := range e.drops {
		_ = e.stores[s.side].Drop(s.seq) // what is left in the store goes with the session
	}
	e.drops = nil
	return nil
}

// flush makes all that is known durable; of a unsettled session, which changed nothing, nobody has to know.
func (e *engine) flush() error {
	if err := e.endCalls(); err != nil {
		return err
	}
	return e.journal.Flush(!e.m.Session.Unsettled())
}

// end notes what became of a call, or of the base without one.
func (e *engine) end(r record) {
	if len(e.ends) == 0 {
		e.endsFrom = time.Now()
	}
	e.ends = append(e.ends, r)
}

// none notes that nothing came of an intent.
func (e *engine) none(seq uint64) { e.end(record{Type: recordNone, Seq: seq}) }

// each does removals: only while both roots are what they were.
func (e *engine) each(ctx context.Context, steps []step, do func(step) error) error {
	if len(steps) == 0 {
		return nil
	}
	if err := e.verify(); err != nil {
		return err
	}
	for _, s := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := do(s); err != nil {
			e.fail(s.path, err)
		}
	}
	return nil
}

// moveBase records what both sides agree on already.
func (e *engine) moveBase(pl plan) {
	for _, p := range pl.adopt {
		e.setBase(p, mirror.Entry{
			State:   e.view.state(p),
			Project: mirror.SeenStamp(e.view.project.Get(p).Info, e.view.began),
			Mirror:  mirror.SeenStamp(e.view.mirrored.Get(p).Info, e.view.began),
		})
	}
	for _, p := range pl.forget {
		e.setBase(p, mirror.Entry{})
	}
	for _, lk := range e.view.looks {
		if lk.project.Kind == safety.Directory && lk.mirrored.Kind == safety.Directory {
			e.followMode(lk.path)
		}
	}
}

func (e *engine) setBase(p safety.RelPath, entry mirror.Entry) {
	e.m.Base.Put(p, entry)
	e.end(record{Type: recordBase, Path: []byte(p), Base: &entry, Target: []byte(entry.State.Target)})
}

// append adds a record to the journal's buffer. Encoding our own types can't fail, and no path is too long for a record:
// see safety.MaxDirPath.
func (e *engine) append(r record) {
	if err := e.journal.Append(r); err != nil {
		panic("BUG: " + err.Error())
	}
}

// intend announces calls, durably when they touch the project.
func (e *engine) intend(durable bool, rs ...record) error {
	if err := e.m.Session.Settle(); err != nil { // else a power cut would leave changes of a session that nobody knows of
		return err
	}
	e.endIfDue()
	for _, r := range rs {
		r.Type = recordIntent
		e.append(r)
	}
	if err := e.journal.Flush(durable); err != nil {
		for _, r := range rs { // should they come to be written with what follows
			e.none(r.Seq)
		}
		return err
	}
	return nil
}

// done records the end of a call and the base since then.
func (e *engine) done(s step, op string, seq uint64, entry mirror.Entry, kept string) {
	e.m.Base.Put(s.path, entry)
	r := record{Type: recordDone, Seq: seq, Op: op, Side: s.side, Path: []byte(s.path), Kept: []byte(kept)}
	r.setEntry(entry)
	if e.dirTimes[0] != 0 && op != opChmod {
		if e.dirTimes[1] == 0 {
			e.dirTimes[1] = e.dirTime(s)
		}
		r.Dir, e.dirTimes = e.dirTimes, [2]int64{}
	}
	e.end(r)
	e.dirty[sidePath{s.side, s.path.Dir()}] = true
	if s.side == mirror.ProjectSide {
		e.history.place(s.path, op, entry.Project)
	}
}

// dirTime is the mtime of the project's directory that holds a step's path: what undo gives back to it. 0 for the mirror's.
func (e *engine) dirTime(s step) int64 {
	if s.side != mirror.ProjectSide {
		return 0
	}
	info, err := e.m.Project.Lstat(s.path.Dir())
	if err != nil {
		return 0
	}
	return info.Mtime
}

// syncDirs makes the names in the project's changed directories durable.
func (e *engine) syncDirs() error {
	var dirs []sidePath
	for d := range e.dirty {
		if d.side == mirror.ProjectSide {
			dirs = append(dirs, d)
			continue
		}
		delete(e.dirty, d)
	}
	errs := make([]error, len(dirs))
	var g errgroup.Group
	g.SetLimit(syncsAtOnce)
	for i, d := range dirs {
		g.Go(func() error {
			errs[i] = e.m.Project.Sync(d.path)
			return nil
		})
	}
	_ = g.Wait() // each has its own
	for i, d := range dirs {
		if isAbsent(errs[i]) || errors.Is(errs[i], safety.ErrChanged) || errors.Is(errs[i], syscall.ENOTDIR) { // it is gone since
			errs[i] = nil
		}
		if errs[i] == nil {
			delete(e.dirty, d)
		}
	}
	return errors.Join(errs...)
}
