package safety

import (
	"context"
	"errors"
	"fmt"
)

// hashLimit is up to which size Place reads a displaced file again to compare its content with ExpectSum.
const hashLimit = 1 << 20

// Place brings a staged file to its path in one atomic call and says what came out. When what came out is not of the
// kind that was expected (a directory where a file was), it is exchanged straight back and the error wraps ErrChanged.
// A name that turned up where nothing was expected is an error that wraps ErrChanged. After an error the path holds
// what it held before, or something newer; when Displaced names a slot even so, that version is only there.
// A file that came out and is not what was expected is the user's newer version: Expected is false, and it is kept.
func (s *Store) Place(st *Staged) (Displaced, error) {
	var out Displaced
	err := s.both("place", st.path, func(folder, parent int, name string) (err error) {
		before := s.dirTime(parent)
		defer func() { st.dirTimes = [2]int64{before, s.dirTime(parent)} }()
		switch st.placing {
		case NewName:
			err = st.placeNew(folder, parent, name)
		case Exchange:
			out, err = st.exchange(folder, parent, name)
		case RenameAway:
			out, err = st.renameAway(folder, parent, name)
		case InPlace:
			out, err = st.rewriteTarget(folder, parent, name)
		}
		return err
	})
	return out, err
}

// dirTime is the mtime of a directory in which a name is about to change, or just was: what undo gives back to it. 0
// where nobody asks for it.
func (s *Store) dirTime(parent int) int64 {
	if !s.durable {
		return 0
	}
	info, err := s.root.sys.fstat(OpDirStat, parent, ".")
	if err != nil {
		return 0
	}
	return info.Mtime
}

// settle takes the staged inode's new ctime into its Info.
//
// RACE: a save through the path right after the placement must not get into the stamp. It moves size or mtime; then
// the old Info stays, and so does the difference.
func (st *Staged) settle() {
	st.placed = true
	now, err := st.store.root.sys.fstat(OpStageStat, st.fd, st.name)
	if err == nil && now.Size == st.info.Size && now.Mtime == st.info.Mtime {
		st.info = now
	}
}

// placeNew gives the file its name. Neither call replaces anything.
func (st *Staged) placeNew(folder, parent int, name string) error {
	s := st.store
	if st.name != "" {
		if err := s.moveIn(OpBringIn, folder, st.name, parent, name, st.info.Kind); err != nil {
			return err
		}
		st.settle()
		return nil
	}
	err := s.root.sys.linkUnnamed(OpLink, st.fd, parent, name)
	if isExist(err) {
		return fmt.Errorf("something new is there: %w (%w)", ErrChanged, err)
	}
	if err != nil {
		return err
	}
	st.settle()
	return nil
}

// look opens the target as it is and compares it with what was decided on, ctime included: the last moment at which
// ctime tells of a write.
func (st *Staged) look(parent int, name string) error {
	y := st.store.root.sys
	now, err := y.lstat(OpPin, parent, name)
	if isAbsent(err) {
		return fmt.Errorf("%w: %w", ErrChanged, err)
	}
	if err == nil && !unchanged(st.expect, now) {
		err = ErrChanged
	}
	return err
}

// exchange is the one call, with a look before and an inspection after.
//
// RACE: a save between look and exchange comes out into the slot, and the inspection sees it by inode, size, mtime,
// mode or owner; one that keeps all of them is seen only with ExpectSum. A writer that has the file open goes on
// writing into the slot: see [HasWriter].
func (st *Staged) exchange(folder, parent int, name string) (Displaced, error) {
	if err := st.look(parent, name); err != nil {
		return Displaced{}, err
	}
	s, slot := st.store, slotName(st.seq)
	if err := s.root.sys.rename(OpExchange, folder, slot, parent, name, exchange); err != nil {
		return Displaced{}, goneOr(err)
	}
	out := Displaced{Slot: s.SlotPath(st.seq)}
	info, err := s.root.sys.lstat(OpInspect, folder, slot)
	out.Info = info
	if err != nil || info.Kind != st.expect.Kind {
		return st.exchangeBack(out, folder, parent, name, err)
	}
	out.Expected, out.Open = st.inspect(folder, slot, info)
	st.settle()
	return out, nil
}

func goneOr(err error) error {
	if isAbsent(err) {
		return fmt.Errorf("%w: %w", ErrChanged, err)
	}
	return err
}

// inspect decides whether what came out is what was decided on, and looks whether somebody has it open for writing.
func (st *Staged) inspect(folder int, slot string, info Info) (expected, open bool) {
	expected = sameVersion(st.expect, info)
	if info.Kind != File {
		return expected, false
	}
	hashes := expected && st.hasSum && info.Size <= hashLimit
	fd, err := st.store.root.sys.openFile(OpInspect, folder, slot)
	if err != nil {
		return expected && !hashes, false
	}
	defer closeFD(fd)
	if hashes {
		sum, size, err := st.store.root.sum(context.Background(), OpInspect, fd, slot, info.Size)
		expected = err == nil && size == info.Size && sum == st.sum
	}
	return expected, writing(fd) == Writes
}

// isWritten reports whether somebody has the regular file in a slot open for writing.
func (s *Store) isWritten(folder int, slot string) bool {
	fd, err := s.root.sys.openFile(OpInspect, folder, slot)
	if err != nil {
		return false
	}
	defer closeFD(fd)
	return writing(fd) == Writes
}

// exchangeBack undoes an exchange that brought out something unexpected, say a directory.
//
// RACE: by now the user may have saved over our file; then that save comes out, and stays in the slot.
func (st *Staged) exchangeBack(out Displaced, folder, parent int, name string, cause error) (Displaced, error) {
	y, slot := st.store.root.sys, slotName(st.seq)
	st.placed = true // until the slot is known to hold our own file again
	if err := y.rename(OpPutBack, folder, slot, parent, name, exchange); err != nil {
		// The path itself went meanwhile: then nothing is replaced by putting it back.
		if err = st.store.moveIn(OpPutBack, folder, slot, parent, name, out.Info.Kind); err != nil {
			return out, fmt.Errorf("%w: kept at %s: %w", ErrChanged, out.Slot, errors.Join(cause, err))
		}
		return Displaced{}, errors.Join(ErrChanged, cause)
	}
	back, err := y.lstat(OpInspect, folder, slot)
	if err == nil && back.SameFile(st.info) {
		if back.Size == st.info.Size && back.Mtime == st.info.Mtime {
			st.placed = false
			return Displaced{}, errors.Join(ErrChanged, cause)
		}
	}
	out.Info = back
	return out, fmt.Errorf("%w: a newer version is kept at %s", ErrChanged, out.Slot)
}

// TakeBack undoes a Place that displaced something unexpected: the version in the slot goes back to its path and the
// staged file goes. When the path holds the staged file no more, or it was written in place, nothing is done, the error
// wraps ErrChanged and both versions stay.
//
// RACE: a save over our file between look and exchange comes out into the slot; it is put back in turn.
func (s *Store) TakeBack(st *Staged) error {
	if st.placing == InPlace {
		return fmt.Errorf("take back %s: %w", st.path, ErrChanged)
	}
	return s.TakeBackPlaced(st.seq, st.path, st.info)
}

// TakeBackPlaced is TakeBack for recovery, which knows of the staged file only how it looked. Its ctime does not count.
func (s *Store) TakeBackPlaced(seq uint64, p RelPath, placed Info) error {
	return s.both("take back", p, func(folder, parent int, name string) error {
		now, err := s.root.sys.lstat(OpTakeBack, parent, name)
		if err != nil || !now.SameFile(placed) {
			return errors.Join(ErrChanged, err)
		}
		if s.placing == Exchange {
			return s.exchangeAgain(seq, folder, parent, name, placed)
		}
		return s.putBackByHand(seq, folder, parent, name, placed)
	})
}

func (s *Store) exchangeAgain(seq uint64, folder, parent int, name string, placed Info) error {
	y, slot := s.root.sys, slotName(seq)
	if err := y.rename(OpTakeBack, folder, slot, parent, name, exchange); err != nil {
		return goneOr(err)
	}
	out, err := y.lstat(OpTakeBack, folder, slot)
	if err != nil {
		return err
	}
	if !out.SameFile(placed) {
		return errors.Join(ErrChanged, y.rename(OpTakeBack, folder, slot, parent, name, exchange))
	}
	if out.Size != placed.Size || out.Mtime != placed.Mtime {
		return fmt.Errorf("%w: an edit of the file taken back is kept at %s", ErrChanged, s.SlotPath(seq))
	}
	return s.drop(OpStageDrop, folder, slot)
}

// putBackByHand is exchangeAgain for file systems without exchange: ours out to where it was staged, the other one in,
// and nothing ever replaced. A crash in between leaves the path empty, slot and stage full, which recovery puts back.
//
// RACE: a save over our file in the last instant goes back in turn; when another one has come by then, it stays staged.
func (s *Store) putBackByHand(seq uint64, folder, parent int, name string, placed Info) error {
	y, slot, stage := s.root.sys, slotName(seq), stageName(seq)
	if err := y.renameToFree(OpTakeBack, parent, name, folder, stage); err != nil {
		return goneOr(err)
	}
	out, err := y.lstat(OpTakeBack, folder, stage)
	if err != nil || !out.SameFile(placed) || out.Size != placed.Size || out.Mtime != placed.Mtime { // a save of that instant
		if err := s.moveIn(OpPutBack, folder, stage, parent, name, out.Kind); err != nil {
			return fmt.Errorf("%w: a newer version is kept at %s: %w", ErrChanged, s.StagePath(seq), err)
		}
		return errors.Join(ErrChanged, err)
	}
	if err := s.moveIn(OpTakeBack, folder, slot, parent, name, File); err != nil {
		return errors.Join(err, s.drop(OpStageDrop, folder, stage))
	}
	return s.drop(OpStageDrop, folder, stage)
}

// renameAway is for file systems without exchange: old out, new in, nothing ever replaced.
func (st *Staged) renameAway(folder, parent int, name string) (Displaced, error) {
	if err := st.look(parent, name); err != nil {
		return Displaced{}, err
	}
	s := st.store
	out, err := s.takeOut(OpTakeAway, folder, parent, name, st.seq, st.expect)
	if err != nil {
		return out, err
	}
	if out.Info.Kind != st.expect.Kind {
		if err := s.giveBack(&out, folder, parent, name, st.seq); err != nil {
			return out, err
		}
		return out, fmt.Errorf("%w: what was there is kept at %s", ErrChanged, out.Slot)
	}
	if out.Expected && st.hasSum {
		out.Expected, out.Open = st.inspect(folder, slotName(st.seq), out.Info)
	}
	err = s.moveIn(OpBringIn, folder, st.name, parent, name, st.info.Kind)
	if errors.Is(err, ErrChanged) {
		return out, err // the user saved in the absence: that is the newest, and what it replaced is kept
	}
	if err != nil {
		if back := s.giveBack(&out, folder, parent, name, st.seq); back != nil && !errors.Is(back, ErrChanged) {
			err = errors.Join(err, back)
		}
		return out, err
	}
	st.settle()
	return out, nil
}
