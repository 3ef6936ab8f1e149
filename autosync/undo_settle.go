package autosync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/alca-mount/alca-mount/autosync/internal/journal"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// settleUndos finishes the undos of a project that were cut short.
func settleUndos(state *mirror.StateDir, project string) error {
	all, err := state.List(project)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.Undoes == "" || s.Damaged != nil || s.State == mirror.SessionEnded {
			continue
		}
		if err := SettleUndo(s); err != nil {
			var running *safety.LockedError
			if errors.As(err, &running) {
				continue // it is not cut short: it has the session that it undoes
			}
			return err
		}
	}
	return nil
}

// SettleUndo finishes an undo that was cut short: each version that was on its way is, afterwards, at its path or where
// it was kept, and the journal says which. It does not go on with the rest: the next Undo of the same session does.
// It can itself be cut short and run again.
func SettleUndo(s *mirror.Session) error {
	if err := s.Lock(); err != nil {
		return err
	}
	err := settleUndo(s)
	if err == nil {
		s.State, s.Ended = mirror.SessionEnded, time.Now()
		err = s.Save()
	}
	if err != nil {
		err = fmt.Errorf("settle undo %s: %w", s.ID, err)
	}
	return errors.Join(err, s.Unlock())
}

func settleUndo(s *mirror.Session) error {
	open := map[uint64]record{}
	var order []uint64
	j, err := journal.Open(filepath.Join(s.Dir(), "journal"), func(r record) error {
		switch r.Type {
		case recordIntent:
			open[r.Seq] = r
			order = append(order, r.Seq)
		case recordDone:
			delete(open, r.Seq)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if s.Stores[0] == "" {
		return j.Close()
	}
	order = slices.DeleteFunc(order, func(seq uint64) bool { _, ok := open[seq]; return !ok })
	return errors.Join(settleIntents(s, j, order, open), j.Close())
}

// settleIntents settles what is open, in the order in which it was intended, and leaves nothing in the project but the
// user's files.
func settleIntents(s *mirror.Session, j *journal.Journal, order []uint64, open map[uint64]record) error {
	project, err := safety.OpenRoot(s.Project)
	if len(order) == 0 && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer project.Close()
	store, err := safety.ReopenStore(project, s.Stores[0])
	if errors.Is(err, fs.ErrNotExist) {
		return nil // with all that was in it
	}
	if err != nil {
		return err
	}
	defer store.Close()
	for _, seq := range order {
		if err := settleIntent(project, store, j, open[seq]); err != nil {
			return err
		}
	}
	if err := store.Sync(); err != nil {
		return err
	}
	return undoStoreHome(project, s)
}

// undoStoreHome brings home the store of an undo that had to lie in the project.
func undoStoreHome(project *safety.Root, s *mirror.Session) error {
	home, err := safety.OpenRoot(s.Dir())
	if err != nil {
		return err
	}
	defer home.Close()
	return bringHome(context.Background(), project, s.Stores[0], home, "store") // bounded by what the undo displaced
}

// settleIntent finds out what became of one call. A version that had left its store and not come to its path goes back.
func settleIntent(project *safety.Root, store *safety.Store, j *journal.Journal, r record) error {
	p := safety.RelPath(r.Path)
	if r.Op == opBring && r.Staged != nil {
		returned, err := returnVersion(store, r)
		if err != nil || returned {
			return err
		}
	}
	slot, err := store.Slot(r.Seq)
	if err != nil {
		return err
	}
	now, err := project.Lstat(p)
	if err != nil {
		return err
	}
	done := record{Type: recordDone, Seq: r.Seq, Op: r.Op, Path: r.Path}
	switch {
	case r.Op == opDelete && slot.Kind == safety.Directory && now.Kind == safety.Directory:
		return store.DropDir(r.Seq) // a likeness; the directory is still there
	case slot.Kind != safety.Absent:
		done.Kept = []byte(store.SlotPath(r.Seq))
	case r.Op == opBring && r.Staged != nil && r.Expect.Kind == safety.Absent && now.Ino == r.Staged.Ino && now.Kind == r.Staged.Kind:
	default:
		return nil // not done
	}
	if r.Op == opBring {
		entry := mirror.Entry{State: mirror.State{Kind: r.Staged.Kind}, Project: *r.Staged}
		if now.Ino == r.Staged.Ino && now.Kind == r.Staged.Kind {
			entry.Project = mirror.StampOf(now)
		}
		done.Base = &entry
	}
	return j.Append(done)
}

// returnVersion puts a version that waits in the undo's slot back to where it was kept.
func returnVersion(store *safety.Store, r record) (bool, error) {
	from := string(r.From)
	home, err := safety.OpenRoot(filepath.Dir(from))
	if err != nil {
		return false, nil // the session it was kept for is gone: it stays in the slot
	}
	defer home.Close()
	return store.ReturnSlot(r.Seq, r.Staged.Ino, home, safety.RelPath(filepath.Base(from)))
}
