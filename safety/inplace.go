package safety

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// keepTarget puts a durable copy of the target into the slot: what InPlace is undone from.
func (st *Staged) keepTarget(ctx context.Context, folder, parent int, name string) error {
	y, slot := st.store.root.sys, slotName(st.seq)
	fd, err := y.openRewrite(OpInOpen, parent, name) // for writing: what can't be rewritten is refused here
	if err != nil {
		return goneOr(err)
	}
	src := os.NewFile(uintptr(fd), name)
	defer src.Close()
	to, err := y.create(OpKeepWrite, folder, slot, 0o600)
	if err != nil {
		return err
	}
	defer closeFD(to)
	st.kept = true
	if _, err := st.store.root.copier.copyTo(ctx, OpKeepWrite, to, src, endOf); err != nil {
		return err
	}
	if err := errors.Join(
		y.fchmod(OpKeepWrite, to, st.expect.Mode&0o777, slot),
		y.setTimesFD(OpKeepWrite, to, st.expect.Mtime, slot)); err != nil {
		return err
	}
	// Also where nothing else is fsynced: this copy is all there is while the target is half old, half new.
	if err := y.fsync(OpKeepFsync, to, slot); err != nil {
		return err
	}
	now, err := y.fstat(OpPin, fd, name)
	if err == nil && !unchanged(st.expect, now) {
		err = ErrChanged
	}
	return err
}

// rewriteTarget gives the target's own inode the new content, and the old one again if that fails.
//
// RACE: another process may write to the same inode meanwhile, as with every editor that saves in place.
// A crash leaves the intent in the journal, the old content in the slot and the new at StagePath.
func (st *Staged) rewriteTarget(folder, parent int, name string) (Displaced, error) {
	s, y := st.store, st.store.root.sys
	fd, err := y.openRewrite(OpInOpen, parent, name)
	if err != nil {
		return Displaced{}, goneOr(err)
	}
	defer closeFD(fd)
	now, err := y.fstat(OpPin, fd, name)
	if err != nil {
		return Displaced{}, err
	}
	if !unchanged(st.expect, now) {
		return Displaced{}, ErrChanged
	}
	kept, err := y.lstat(OpInspect, folder, slotName(st.seq))
	if err != nil {
		return Displaced{}, err
	}
	out := Displaced{Info: kept, Slot: s.SlotPath(st.seq), Expected: true}
	// A full disk shows before the first byte is changed.
	if err := y.reserve(OpInReserve, fd, st.info.Size, name); err != nil {
		return Displaced{}, err
	}
	if err := s.rewrite(fd, st.fd, st.info.Size, st.shape, name); err != nil {
		if undo := st.undoRewrite(fd, folder, name); undo != nil {
			st.placed = true // both versions stay: neither is whole at the path
			return out, fmt.Errorf("%w; the old content is kept at %s: %w", err, out.Slot, undo)
		}
		return Displaced{}, err
	}
	st.placed = true
	if now, err := y.fstat(OpStageStat, fd, name); err == nil {
		st.info = now
	}
	s.drop(OpStageDrop, folder, stageName(st.seq)) // a leftover is dropped with the slot
	return out, nil
}

// rewrite makes dst, open for writing, a file of size bytes from src. It truncates last, so that a failure before
// leaves no less than there was.
func (s *Store) rewrite(dst, src int, size int64, shape Shape, name string) error {
	y := s.root.sys
	buf := s.root.copier.buffer()
	defer s.root.copier.buffers.Put(buf)
	off := int64(0)
	for off < size {
		n, err := y.readAt(OpRead, src, (*buf)[:min(int64(len(*buf)), size-off)], off, name)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("staged content ends at %d of %d bytes", off, size)
		}
		if err := y.writeAll(OpInWrite, dst, (*buf)[:n], off, name); err != nil {
			return err
		}
		off += int64(n)
	}
	if err := y.ftruncate(OpInWrite, dst, size, name); err != nil {
		return err
	}
	return s.dress(dst, shape, name)
}

// dress gives the rewritten file mode and time, and makes it durable.
func (s *Store) dress(fd int, shape Shape, name string) error {
	y := s.root.sys
	now, err := y.fstat(OpInMeta, fd, name)
	if err != nil {
		return err
	}
	if now.Mode != shape.Mode { // only the owner may, and only exec bits are ours to set
		if err := y.fchmod(OpInMeta, fd, shape.Mode, name); err != nil && now.Exec() != (shape.Mode&0o100 != 0) {
			return err
		}
	}
	if shape.Mtime != 0 {
		if err := y.setTimesFD(OpInMeta, fd, shape.Mtime, name); err != nil && !isDenied(err) {
			return err
		}
	}
	if !s.durable {
		return nil
	}
	return y.fsync(OpInFsync, fd, name)
}

// undoRewrite writes the kept copy back.
func (st *Staged) undoRewrite(fd, folder int, name string) error {
	s, y := st.store, st.store.root.sys
	if err := y.may(OpInUndo, name); err != nil {
		return err
	}
	kept, err := y.openFile(OpInUndo, folder, slotName(st.seq))
	if err != nil {
		return err
	}
	defer closeFD(kept)
	return s.rewrite(fd, kept, st.expect.Size, Shape{Mode: st.expect.Mode, Mtime: st.expect.Mtime}, name)
}
