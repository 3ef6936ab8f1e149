package safety

import (
	"errors"
	"fmt"
)

// KeepDir puts a likeness of the directory p, empty and with its mode, owner, attributes and time, into slot seq: what a
// removed directory is brought back as. The directory itself is for Rmdir, where the kernel sees to it that it is empty.
// The likeness can be entered and written to by us, whatever the mode of p: it has to be filled again. An owner that
// can't be given is left out.
func (s *Store) KeepDir(seq uint64, p RelPath) error {
	return s.both("keep directory", p, func(folder, parent int, name string) error {
		y := s.root.sys
		from, _, err := y.openListable(OpKeepWrite, parent, name)
		if err != nil {
			return err
		}
		defer closeFD(from)
		info, err := y.fstat(OpKeepWrite, from, name)
		if err != nil {
			return err
		}
		to, err := mkdirAt(y, folder, slotName(seq), info.Mode&0o777|0o700)
		if err != nil {
			return err
		}
		defer closeFD(to)
		return s.likeDir(to, from, info, name)
	})
}

func (s *Store) likeDir(to, from int, info Info, name string) error {
	y := s.root.sys
	made, err := y.fstat(OpKeepWrite, to, name)
	if err != nil {
		return err
	}
	if made.UID != info.UID || made.GID != info.GID {
		if err := y.fchown(OpKeepWrite, to, info.UID, info.GID, name); err != nil && !isDenied(err) {
			return err
		}
	}
	attrs, err := readXattrs(y, OpKeepWrite, from, name, isUserAttr)
	if err != nil {
		return err
	}
	if _, err := writeXattrs(y, OpKeepWrite, to, name, attrs); err != nil {
		return err
	}
	return y.setTimesFD(OpKeepWrite, to, info.Mtime, name)
}

// DropDir removes the likeness in slot seq. A slot that is not there is no error.
func (s *Store) DropDir(seq uint64) error {
	err := s.folder.Rmdir(slotName(seq))
	if isAbsent(err) {
		return nil
	}
	return err
}

// Adopt takes what the root home holds at q (a slot of another session's store) as staged content for p: moved, not
// copied, so that it comes back as the very inode that it was and needs no space. expect is what is at p now (Info{}:
// nothing); a directory is only for where nothing is. Where a move or a placement by rename can do no good (another mount,
// a file with further names), the error wraps errors.ErrUnsupported, and nothing was moved. Discard must not be called on
// what was adopted, but GiveBack.
func (s *Store) Adopt(seq uint64, home *Root, q, p RelPath, expect Info) (*Staged, error) {
	st := &Staged{store: s, seq: seq, path: p, expect: expect, placing: s.placing, fd: -1}
	if expect.Kind == Absent {
		st.placing = NewName
	}
	if expect.Kind == File && expect.Nlink > 1 || expect.Kind == Directory {
		return nil, fmt.Errorf("adopt for %s: %w", p, errors.ErrUnsupported)
	}
	st.name = slotName(seq)
	if st.placing == RenameAway {
		st.name = stageName(seq)
	}
	if err := home.at("adopt", q, st.moveHere); err != nil {
		closeFD(st.fd)
		return nil, err
	}
	return st, nil
}

// moveHere pins the inode first: what is staged is that and nothing else.
func (st *Staged) moveHere(from int, name string) (err error) {
	y := st.store.root.sys
	if st.fd, err = y.pin(OpPin, from, name); err != nil {
		return err
	}
	if st.info, err = y.fstat(OpStageStat, st.fd, name); err != nil {
		return err
	}
	err = st.store.folder.use(func(folder int) error {
		return y.rename(OpMoveOut, from, name, folder, st.name, noReplace)
	})
	if isOtherMount(err) || isLacking(err) {
		return fmt.Errorf("%w (%w)", errors.ErrUnsupported, err)
	}
	return err
}

// GiveBack returns what was adopted and not placed to where it came from, and releases it. After a placement it only
// releases.
func (st *Staged) GiveBack(home *Root, q RelPath) error {
	defer func() { closeFD(st.fd); st.fd = -1 }()
	if st.placed || st.fd < 0 {
		return nil
	}
	y := st.store.root.sys
	return home.at("give back", q, func(to int, name string) error {
		return st.store.folder.use(func(folder int) error {
			there, err := lstatAt(y, folder, st.name)
			if err != nil || !there.SameFile(st.info) {
				return err // the inode decides: the placement may have been made though its call failed
			}
			return y.rename(OpPutBack, folder, st.name, to, name, noReplace)
		})
	})
}

// ReturnSlot is GiveBack after a crash: what lies in slot seq, or is staged under seq, and is inode ino, goes back to q in
// the root home. It reports whether there was such a thing.
func (s *Store) ReturnSlot(seq, ino uint64, home *Root, q RelPath) (bool, error) {
	returned := false
	err := home.at("give back", q, func(to int, name string) error {
		return s.folder.use(func(folder int) error {
			for _, from := range []string{slotName(seq), stageName(seq)} {
				there, err := lstatAt(s.root.sys, folder, from)
				if err != nil {
					return err
				}
				if there.Kind != Absent && there.Ino == ino {
					returned = true
					return s.root.sys.rename(OpPutBack, folder, from, to, name, noReplace)
				}
			}
			return nil
		})
	})
	return returned, err
}
