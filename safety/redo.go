package safety

import (
	"errors"
	"fmt"
)

// What a Store can tell of, and do about, a placement that a crash interrupted. Each of these may be called again.

// Stage describes what waits at StagePath(seq); nothing is Info{}.
func (s *Store) Stage(seq uint64) (Info, error) { return s.folder.Lstat(stageName(seq)) }

// DropStage removes what waits at StagePath(seq) and leaves the slot. A stage that is not there is no error.
func (s *Store) DropStage(seq uint64) error {
	err := s.folder.use(func(folder int) error { return s.drop(OpDrop, folder, stageName(seq)) })
	return explain("drop", s.StagePath(seq), err)
}

// Rewrite is how far an InPlace placement came.
type Rewrite uint8

// How far. Foreign is neither old, nor new, nor the one going over into the other: somebody else wrote there.
const (
	RewriteForeign Rewrite = iota
	RewriteNotBegun
	RewriteBegun
)

// LookInPlace compares the file at p, if it is still inode ino, with the old content in slot seq and the new one at
// StagePath(seq). A rewrite goes from front to back and cuts last, so what it leaves when it is interrupted is new
// content up to some byte and old from there.
func (s *Store) LookInPlace(seq uint64, p RelPath, ino uint64) (Rewrite, error) {
	way := RewriteForeign
	err := s.both("look at", p, func(folder, parent int, name string) error {
		y := s.root.sys
		target, err := y.openFile(OpInOpen, parent, name)
		if err != nil {
			return goneOr(err)
		}
		defer closeFD(target)
		now, err := y.fstat(OpPin, target, name)
		if err != nil || now.Ino != ino || now.Kind != File {
			return err
		}
		before, err := y.openFile(OpInOpen, folder, slotName(seq))
		if err != nil {
			return err
		}
		defer closeFD(before)
		after, err := y.openFile(OpInOpen, folder, stageName(seq))
		if err != nil {
			return err
		}
		defer closeFD(after)
		way, err = s.compareRewrite(target, before, after, name)
		return err
	})
	return way, err
}

// rewriteSizes are the lengths of the three files in a rewrite.
type rewriteSizes struct{ target, before, after int64 }

// possible reports whether a rewrite can leave a target of that length.
func (z rewriteSizes) possible() bool {
	return z.target == z.after || z.target >= z.before && z.target <= max(z.before, z.after)
}

func (s *Store) compareRewrite(target, before, after int, name string) (Rewrite, error) {
	z, err := s.sizes(target, before, after, name)
	if err != nil || !z.possible() {
		return RewriteForeign, err
	}
	asAfter, err := s.sharedLength(target, after, 0, name)
	if err != nil {
		return RewriteForeign, err
	}
	asBefore, err := s.sharedLength(target, before, 0, name)
	if err != nil {
		return RewriteForeign, err
	}
	if asBefore == z.target && z.target == z.before {
		return RewriteNotBegun, nil
	}
	if asAfter == z.target {
		return RewriteBegun, nil
	}
	tail, err := s.sharedLength(target, before, asAfter, name)
	if err == nil && asAfter+tail == z.target && z.target == z.before {
		return RewriteBegun, nil
	}
	return RewriteForeign, err
}

func (s *Store) sizes(target, before, after int, name string) (z rewriteSizes, err error) {
	for _, f := range []struct {
		fd int
		at *int64
	}{{target, &z.target}, {before, &z.before}, {after, &z.after}} {
		info, err := s.root.sys.fstat(OpInspect, f.fd, name)
		if err != nil {
			return z, err
		}
		*f.at = info.Size
	}
	return z, nil
}

// sharedLength is for how many bytes from off on two files hold the same.
func (s *Store) sharedLength(a, b int, off int64, name string) (int64, error) {
	y := s.root.sys
	bufs := [2]*[]byte{s.root.copier.buffer(), s.root.copier.buffer()}
	defer s.root.copier.buffers.Put(bufs[0])
	defer s.root.copier.buffers.Put(bufs[1])
	for shared := int64(0); ; {
		n, err := y.readAt(OpRead, a, *bufs[0], off+shared, name)
		if err != nil || n == 0 {
			return shared, err
		}
		m, err := y.readAt(OpRead, b, (*bufs[1])[:n], off+shared, name)
		if err != nil || m == 0 {
			return shared, err
		}
		for i := range m {
			if (*bufs[0])[i] != (*bufs[1])[i] {
				return shared + int64(i), nil
			}
		}
		shared += int64(m)
	}
}

// RedoInPlace finishes an InPlace placement that a crash interrupted: the file at p, if it is still inode ino, gets
// content, mode and time of what waits at StagePath(seq). Another inode there is an error that wraps ErrChanged.
//
// RACE: a save into the same inode between [Store.LookInPlace] and here is written over.
func (s *Store) RedoInPlace(seq uint64, p RelPath, ino uint64) error {
	return s.both("redo", p, func(folder, parent int, name string) error {
		y := s.root.sys
		fd, err := y.openRewrite(OpInOpen, parent, name)
		if err != nil {
			return goneOr(err)
		}
		defer closeFD(fd)
		now, err := y.fstat(OpPin, fd, name)
		if err != nil || now.Ino != ino || now.Kind != File {
			return errors.Join(ErrChanged, err)
		}
		src, err := y.openFile(OpInOpen, folder, stageName(seq))
		if err != nil {
			return err
		}
		defer closeFD(src)
		staged, err := y.fstat(OpStageStat, src, name)
		if err != nil {
			return err
		}
		if err := s.rewrite(fd, src, staged.Size, Shape{Mode: staged.Mode, Mtime: staged.Mtime}, name); err != nil {
			return fmt.Errorf("the old content is kept at %s: %w", s.SlotPath(seq), err)
		}
		return s.drop(OpStageDrop, folder, stageName(seq))
	})
}

// LookIntoStore opens the store in dir as it is, to look into it: nothing is made or probed.
func LookIntoStore(root *Root, dir string) (*Store, error) {
	fd, pathOnly, err := root.sys.openRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", dir, err)
	}
	return &Store{root: root, dir: dir, folder: &Dir{sys: root.sys, name: dir, fd: fd, pathOnly: pathOnly}}, nil
}
