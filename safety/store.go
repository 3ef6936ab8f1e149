package safety

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Placing is how a Store gets a file into its root.
type Placing uint8

// The ways, best first.
const (
	// Exchange: renameat2(RENAME_EXCHANGE). The path always holds the old or the new version.
	Exchange Placing = iota
	// RenameAway: the target goes to the store, then the new file is renamed in with no-replace; a short absence.
	RenameAway
	// InPlace: a durable copy of the target is kept in the slot, then its content is rewritten; the inode stays.
	InPlace
	// NewName: there was nothing at the path; an unnamed file is linked in (or renamed in with no-replace).
	NewName
)

var placingNames = [...]string{"exchange", "rename-away", "in-place", "new-name"}

func (p Placing) String() string { return placingNames[p] }

// Store is a folder of numbered slots on the same mount as its root. New content is staged in a slot, and the one
// call that places it puts the displaced version into the same slot, so that no temporary name ever shows in the root
// and no version is ever without a name.
//
// Different slots may be worked on concurrently.
type Store struct {
	root    *Root
	folder  *Dir
	dir     string
	durable bool
	placing Placing
	reach   reach
}

// reservedPrefix begins every name that a Store may use inside a root or at the top of its mount.
const reservedPrefix = ".alca-mount-"

// Reserved reports whether an entry called name at the top of a root is one of ours: the marker or a store.
func Reserved(name string) bool { return name == MarkerName || strings.HasPrefix(name, reservedPrefix) }

// Path is the folder of the store.
func (s *Store) Path() string { return s.dir }

// Placing is the way this store replaces files on its mount: Exchange or RenameAway.
func (s *Store) Placing() Placing { return s.placing }

func slotName(seq uint64) string  { return fmt.Sprintf("%08d", seq) }
func stageName(seq uint64) string { return slotName(seq) + ".new" }

// SlotPath is where slot seq is.
func (s *Store) SlotPath(seq uint64) string { return filepath.Join(s.dir, slotName(seq)) }

// StagePath is where content waits whose way needs the slot for the old version: RenameAway and InPlace.
func (s *Store) StagePath(seq uint64) string { return filepath.Join(s.dir, stageName(seq)) }

// LastSeq is the highest number that any slot or staged file in the store has; 0 in an empty one. A crash between
// staging and the journal leaves numbers in use that no journal knows.
func (s *Store) LastSeq() (uint64, error) {
	names, err := s.folder.ReadDir()
	last := uint64(0)
	for _, n := range names {
		// Base 10 keeps leading zeros from meaning anything; other names are not ours.
		if seq, err := strconv.ParseUint(strings.TrimSuffix(n.Name, ".new"), 10, 64); err == nil {
			last = max(last, seq)
		}
	}
	return last, err
}

// Sync makes the names in the store durable.
func (s *Store) Sync() error { return s.folder.Sync() }

// Close releases the store's folder; what is in it stays.
func (s *Store) Close() error { return s.folder.Close() }

// Slot describes what lies in slot seq; an empty slot is Info{}.
func (s *Store) Slot(seq uint64) (Info, error) { return s.folder.Lstat(slotName(seq)) }

// Open opens the regular file in slot seq for reading: to hash it, or to see whether it still has a writer.
func (s *Store) Open(seq uint64) (*os.File, Info, error) { return s.folder.Open(slotName(seq)) }

// both calls do with the descriptors of the store's folder and of the directory that holds p.
func (s *Store) both(what string, p RelPath, do func(folder, parent int, name string) error) error {
	return s.root.at(what, p, func(parent int, name string) error {
		return s.folder.use(func(folder int) error { return do(folder, parent, name) })
	})
}

// Displaced is what a placement or a delete took out of the root.
type Displaced struct {
	Info     Info   // what lies in the slot now
	Slot     string // its path; empty when nothing was displaced
	Expected bool   // it is what the caller decided on: same inode, size, mtime, mode and owner
	Open     bool   // by somebody, for writing, when it came out: what is written later goes into the slot
}

// sameVersion compares what came out of the root with what was expected there. Ctime is left out: the rename itself
// moves it on ext4, xfs, btrfs, tmpfs and overlay.
func sameVersion(expect, out Info) bool {
	return expect.SameFile(out) && expect.Size == out.Size && expect.Mtime == out.Mtime &&
		expect.Mode == out.Mode && expect.UID == out.UID && expect.GID == out.GID
}

// unchanged compares two looks at a path without a rename of ours between them, so that ctime must hold too: it tells
// of a write whose size and mtime are those of before. Blocks may settle later without a change.
func unchanged(expect, now Info) bool {
	return sameVersion(expect, now) && (expect.Ctime == now.Ctime || expect.Ctime == 0)
}

// Restore moves the content of slot seq back to p, where nothing may be; something there is an error that wraps
// ErrChanged.
func (s *Store) Restore(seq uint64, p RelPath) error { return s.restore(slotName(seq), p) }

// RestoreStage moves what waits at StagePath(seq) to p, where nothing may be: recovery goes on with a RenameAway.
func (s *Store) RestoreStage(seq uint64, p RelPath) error { return s.restore(stageName(seq), p) }

func (s *Store) restore(from string, p RelPath) error {
	return s.both("restore", p, func(folder, parent int, name string) error {
		info, err := s.root.sys.lstat(OpInspect, folder, from)
		if err != nil {
			return err
		}
		return s.moveIn(OpRestore, folder, from, parent, name, info.Kind)
	})
}

// moveIn renames without replacing; a name that is there already is an error that wraps ErrChanged.
func (s *Store) moveIn(op Op, fromfd int, from string, tofd int, to string, kind Kind) error {
	y := s.root.sys
	err := y.rename(op, fromfd, from, tofd, to, noReplace)
	if isLacking(err) && kind == Directory {
		err = y.rename(op, fromfd, from, tofd, to, overwrite) // replaces an empty directory at most
	} else if isLacking(err) {
		// A link fails where the name exists. A crash before the unlink leaves two names of one version.
		if err = y.link(op, fromfd, from, tofd, to); err == nil {
			err = y.unlink(OpStageDrop, fromfd, from)
		}
	}
	if isExist(err) {
		return fmt.Errorf("something new is there: %w (%w)", ErrChanged, err)
	}
	return err
}

// Drop removes slot seq and what is staged under seq. A slot that is not there is no error.
func (s *Store) Drop(seq uint64) error {
	err := s.folder.use(func(folder int) error {
		return errors.Join(s.drop(OpDrop, folder, slotName(seq)), s.drop(OpDrop, folder, stageName(seq)))
	})
	return explain("drop", s.SlotPath(seq), err)
}

func (s *Store) drop(op Op, folder int, name string) error {
	err := s.root.sys.unlink(op, folder, name)
	if isAbsent(err) {
		return nil
	}
	return err
}

// Delete moves the file or link at p, which must look like expect, into slot seq. What came out and is not what was
// expected is put straight back and the error wraps ErrChanged. Where it can't be put back, because something new is
// at p by then, it stays in the slot: Displaced names it with Expected false, and there is no error.
func (s *Store) Delete(seq uint64, p RelPath, expect Info) (Displaced, error) {
	var out Displaced
	err := s.both("delete", p, func(folder, parent int, name string) (err error) {
		now, err := s.root.sys.lstat(OpPin, parent, name)
		if isAbsent(err) || err == nil && !unchanged(expect, now) || expect.Kind == Directory {
			return fmt.Errorf("%w (%v)", ErrChanged, now.Kind)
		}
		if err != nil {
			return err
		}
		// RACE: from here to the rename a save may change the path; what came out tells.
		out, err = s.takeOut(OpDelete, folder, parent, name, seq, expect)
		if err == nil && !out.Expected {
			err = s.giveBack(&out, folder, parent, name, seq)
		}
		return err
	})
	return out, err
}

// takeOut renames the entry into its slot and looks what it was. The slot must be free.
func (s *Store) takeOut(op Op, folder, parent int, name string, seq uint64, expect Info) (Displaced, error) {
	y, slot := s.root.sys, slotName(seq)
	err := y.renameToFree(op, parent, name, folder, slot)
	if isAbsent(err) {
		err = fmt.Errorf("%w: %w", ErrChanged, err)
	}
	if err != nil {
		return Displaced{}, err
	}
	out := Displaced{Slot: s.SlotPath(seq)}
	out.Info, err = y.lstat(OpInspect, folder, slot)
	if err != nil { // not known what came out: as if it were not the expected
		return out, nil
	}
	out.Expected, out.Open = sameVersion(expect, out.Info), out.Info.Kind == File && s.isWritten(folder, slot)
	return out, nil
}

// giveBack puts what takeOut took back to its path, never over something new there.
func (s *Store) giveBack(out *Displaced, folder, parent int, name string, seq uint64) error {
	err := s.moveIn(OpPutBack, folder, slotName(seq), parent, name, out.Info.Kind)
	if errors.Is(err, ErrChanged) {
		return nil // two versions now: the new one at the path, this one kept and named in out
	}
	if err != nil {
		return fmt.Errorf("kept at %s: %w", out.Slot, err)
	}
	*out = Displaced{}
	return ErrChanged
}
