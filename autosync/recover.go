package autosync

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/alca-mount/alca-mount/autosync/internal/journal"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// Settle ends what a crash cut short in a session's stores and brings nothing across: calls whose end is not in the
// journal are found out, finished or taken back, and told in Changes.Recovered. Once and Start begin with the same.
// The caller has the session's lock.
func Settle(m *mirror.Mirror, opts Options) (Changes, error) {
	e, err := openEngine(m, opts)
	if err != nil {
		return Changes{}, err
	}
	err = e.close()
	return e.result(), err
}

// recover settles the intents that a crash cut short. Each row looks anew and can be done again, so recovery itself may
// be cut short anywhere. A path at which that fails stays as it is, keeps the mirror from going, and is tried again when
// the session is opened next.
func (e *engine) recover() error {
	unfinished := e.history.unfinished()
	for _, r := range unfinished {
		f, err := e.find(r)
		if err == nil {
			err = e.settle(f)
		}
		if err != nil {
			e.failNow(safety.RelPath(r.Path), fmt.Errorf("recover the %s of %s: %w", r.Op, r.Path, err))
			e.unsettled = e.changes.Failed
		}
	}
	clear(e.history.open)
	if len(unfinished) == 0 {
		return nil
	}
	if err := e.relockDirs(); err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	if err := e.flush(); err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	return nil
}

// find looks what there is of an intent.
func (e *engine) find(r record) (f finding, err error) {
	return findIn(r, e.stores[r.Side], e.root(r.Side))
}

// findIn is find in a store; nil is one that is not there.
func findIn(r record, store *safety.Store, root *safety.Root) (f finding, err error) {
	p := safety.RelPath(r.Path)
	f.intent = r
	if store != nil {
		f.slot, err = store.Slot(r.Seq)
	}
	if err == nil && store != nil {
		f.stage, err = store.Stage(r.Seq)
	}
	if err != nil {
		return f, err
	}
	if f.path, err = root.Lstat(p); err != nil {
		return f, err
	}
	f.placed = wasPlaced(r, f.path, birthOf(root, p, f.path))
	both := f.slot.Kind == safety.File && f.stage.Kind == safety.File
	if r.Op == opInPlace && both && isInode(f.path, r.Expect) {
		f.rewrite, err = store.LookInPlace(r.Seq, p, r.Expect.Ino)
	}
	return f, err
}

// settle does what a finding asks for and writes its end.
func (e *engine) settle(f finding) error {
	r := f.intent
	s := step{path: safety.RelPath(r.Path), side: r.Side, keep: r.Keep}
	e.unlock(s.side, s.path.Dir())
	v := judge(f)
	var err error
	switch v {
	case wasDone, wasDoneOver:
		e.finished(s, f, v == wasDone)
	case redo:
		if err = e.stores[s.side].RedoInPlace(r.Seq, s.path, r.Expect.Ino); err == nil {
			e.finished(s, f, true)
		}
	case bringIn:
		if err = e.stores[s.side].RestoreStage(r.Seq, s.path); err == nil {
			e.finished(s, f, isVersion(f.slot, r.Expect))
		}
	case wentBack:
		err = e.putBack(s, f)
	case overtaken:
		e.keepStray(s, r.Seq, safety.Displaced{Info: f.slot, Slot: e.stores[s.side].SlotPath(r.Seq)})
		e.drops = append(e.drops, slot{s.side, r.Seq})
		e.none(r.Seq)
	case notDone:
		e.undone(f)
	}
	if err != nil && !errors.Is(err, safety.ErrChanged) {
		return err
	}
	if err != nil { // something newer came: the path is left as it is, and what came out of it is kept
		e.keepStray(s, r.Seq, safety.Displaced{Info: f.slot, Slot: e.stores[s.side].SlotPath(r.Seq)})
		e.none(r.Seq)
		v = overtaken
	}
	e.changes.Recovered = append(e.changes.Recovered, PathNote{Path: s.path, Why: r.Op + ": " + v.String()})
	e.dirty[sidePath{s.side, s.path.Dir()}] = true
	return nil
}

// stampAfter is what the call of an intent left at its path, unproven: who wrote there since is found out by the next
// look.
func stampAfter(r record) mirror.Stamp {
	if r.Staged == nil {
		return mirror.Stamp{}
	}
	stamp := mirror.Unproven(*r.Staged)
	if r.Op == opInPlace { // the inode stayed
		stamp.Ino, stamp.Dev = r.Expect.Ino, r.Expect.Dev
	}
	return stamp
}

// finished ends a call that was made.
func (e *engine) finished(s step, f finding, expected bool) {
	r := f.intent
	entry := r.entry()
	*stampAt(&entry, s.side) = stampAfter(r)
	kept := ""
	switch {
	case f.slot.Kind == safety.Absent || isInode(f.slot, r.Staged): // a second name of what was placed
		e.drops = append(e.drops, slot{s.side, r.Seq})
	default:
		open := f.slot.Kind == safety.File && e.slotIsWritten(s.side, r.Seq)
		kept = e.settleDisplaced(s, r.Seq, safety.Displaced{Info: f.slot, Slot: e.stores[s.side].SlotPath(r.Seq), Expected: expected, Open: open})
	}
	if err := e.stores[s.side].DropStage(r.Seq); err != nil {
		e.failNow(s.path, err)
	}
	e.done(s, r.Op, r.Seq, entry, kept)
}

// putBack gives a path back what a call took out of it. Where our file is there, the two change places.
func (e *engine) putBack(s step, f finding) error {
	r, store := f.intent, e.stores[s.side]
	var err error
	if f.placed && (r.Op == opExchange || r.Op == opRenameAway) {
		err = store.TakeBackPlaced(r.Seq, s.path, f.path)
	} else {
		err = store.Restore(r.Seq, s.path)
	}
	if err != nil {
		return err
	}
	e.drops = append(e.drops, slot{s.side, r.Seq}) // what was staged
	e.none(r.Seq)
	return nil
}

// undone drops what was staged for a call that was not made. In place the old version is kept in the slot, unless the
// path holds it as it was.
func (e *engine) undone(f finding) {
	r := f.intent
	staged := f.slot.Kind == safety.Absent || isInode(f.slot, r.Staged)
	if f.slot.Kind == safety.Directory { // the likeness of one that was to be removed
		if err := e.stores[r.Side].DropDir(r.Seq); err != nil {
			e.failNow(safety.RelPath(r.Path), err)
		}
	} else if staged || r.Op == opInPlace && f.rewrite == safety.RewriteNotBegun {
		e.drops = append(e.drops, slot{r.Side, r.Seq})
	} else if err := e.stores[r.Side].DropStage(r.Seq); err != nil {
		e.failNow(safety.RelPath(r.Path), err)
	}
	e.none(r.Seq)
}

// relockDirs takes the write bits again that a step gave directories of the mirror, or that they have while they are
// filled: a crash leaves them.
func (e *engine) relockDirs() error {
	var errs []error
	for p, entry := range e.m.Base.All() {
		if entry.State.Kind != safety.Directory {
			continue
		}
		errs = append(errs, relockDir(e.m.Root, p, entry.Mirror.Mode))
		if e.history.made[p] { // others are the user's to open up
			errs = append(errs, relockDir(e.m.Project, p, entry.Project.Mode))
		}
	}
	return errors.Join(errs...)
}

func relockDir(root *safety.Root, p safety.RelPath, mode uint32) error {
	if mode == 0 || mode&0o300 == 0o300 {
		return nil
	}
	info, err := root.Lstat(p)
	if err != nil || info.Kind != safety.Directory || info.Mode != mode|0o300 {
		return err
	}
	err = root.Chmod(p, info, mode)
	if errors.Is(err, safety.ErrChanged) {
		return nil
	}
	return err
}

// foresight brings a mirror's base up to its journal, as recovery would, and changes nothing. It returns what a crash
// left unfinished, and what would become of it.
func foresight(m *mirror.Mirror) ([]PathNote, error) {
	h := newHistory()
	err := journal.Read(filepath.Join(m.Session.Dir(), "journal"), func(r record) error {
		h.replay(m.Base, r)
		return nil
	})
	if err != nil || len(h.open) == 0 {
		return nil, err
	}
	var notes []PathNote
	for _, r := range h.unfinished() {
		f, err := foreseen(m, r)
		if err != nil {
			return nil, fmt.Errorf("look at what was left unfinished: %w", err)
		}
		v := judge(f)
		if v == wasDone || v == wasDoneOver {
			entry := r.entry()
			*stampAt(&entry, r.Side) = stampAfter(r)
			m.Base.Put(safety.RelPath(r.Path), entry)
		}
		notes = append(notes, PathNote{Path: safety.RelPath(r.Path), Why: r.Op + ": " + v.String()})
	}
	return notes, nil
}

// foreseen is find without an open session.
func foreseen(m *mirror.Mirror, r record) (finding, error) {
	root := m.Project
	if r.Side == mirror.MirrorSide {
		root = m.Root
	}
	store, err := safety.LookIntoStore(root, m.Session.Stores[r.Side])
	if isAbsent(err) {
		return findIn(r, nil, root)
	}
	if err != nil {
		return finding{}, err
	}
	defer store.Close()
	return findIn(r, store, root)
}
