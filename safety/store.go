package safety

import (
	"context"
	"errors"
	"os"
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

// Store is a folder of numbered slots on the same mount as its root. New content is staged in a slot, and the one
// call that places it puts the displaced version into the same slot, so that no temporary name ever shows in the root
// and no version is ever without a name.
type Store struct {
	root    *Root
	dir     string
	durable bool
}

// OpenStore finds the first of dirs, then of the fallbacks, in which a real probe exchange with root works: the same
// device number is not enough (EXDEV across bind mounts and btrfs subvolumes, EBUSY on mount points). The fallbacks
// are a 0700 folder ".alca-mount-UID/NAME" at the top of the root's mount, then a reserved hidden name in root itself.
// With durable set, what is staged and placed is fsynced before it may replace anything.
func OpenStore(root *Root, durable bool, name string, dirs ...string) (*Store, error) {
	return nil, errors.ErrUnsupported
}

// Path is the folder of the store.
func (s *Store) Path() string { return s.dir }

// Placing is the way this store replaces files on its mount: Exchange or RenameAway.
func (s *Store) Placing() Placing { return Exchange }

// SlotPath is where slot seq is.
func (s *Store) SlotPath(seq uint64) string { return "" }

// Shape is what a staged file is to look like besides its bytes.
type Shape struct {
	Mode  uint32 // permission bits; a replacement takes the target's and only the exec bits from here
	Mtime int64  // nanoseconds; 0: now
}

// Staged is new content that is complete but not yet placed.
type Staged struct{}

// Info describes the staged inode as it will be placed: the new stamp of that side.
func (st *Staged) Info() Info { return Info{} }

// Copied tells how the content came in.
func (st *Staged) Copied() Copied { return Copied{} }

// Placing is how it will be placed.
func (st *Staged) Placing() Placing { return Exchange }

// Seq is the slot that it is staged in and that will hold the displaced version.
func (st *Staged) Seq() uint64 { return 0 }

// Discard removes what is staged. After the file was placed it does nothing.
func (st *Staged) Discard() error { return nil }

// StageReplacement stages src to replace the file or link at p, which must look like expect: with the target's owner,
// mode (exec bits from shape), ACL and xattrs. Where a new inode would do harm (owner, group, ACL or label can't be
// reproduced, more than one link, a sticky or unwritable directory with a writable file) it plans InPlace and
// keeps a durable copy of the target in the slot.
func (s *Store) StageReplacement(ctx context.Context, seq uint64, src *os.File, shape Shape, p RelPath, expect Info) (*Staged, error) {
	return nil, errors.ErrUnsupported
}

// StageNew stages src as a new file at p: unnamed in p's directory (O_TMPFILE, so that default ACLs and setgid groups
// are inherited), else in the slot. As root the new file takes the directory's owner.
func (s *Store) StageNew(ctx context.Context, seq uint64, src *os.File, shape Shape, p RelPath) (*Staged, error) {
	return nil, errors.ErrUnsupported
}

// StageLink stages a symbolic link to target for p; expect is what is there now (Info{}: nothing).
func (s *Store) StageLink(seq uint64, target string, p RelPath, expect Info) (*Staged, error) {
	return nil, errors.ErrUnsupported
}

// Displaced is what a placement or a delete took out of the root.
type Displaced struct {
	Info     Info   // what lies in the slot now
	Slot     string // its path; empty when nothing was displaced
	Expected bool   // it is what the caller decided on: same inode, size, mtime and ctime as far as they must hold
}

// Place brings a staged file to its path in one atomic call and says what came out. When what came out is not of the
// kind that was expected (a directory where a file was), it is exchanged straight back and the error wraps ErrChanged.
// A name that turned up where nothing was expected is an error that wraps ErrChanged. After an error the path holds
// what it held before; a version that was displaced is in the slot in every other case.
func (s *Store) Place(st *Staged) (Displaced, error) { return Displaced{}, errors.ErrUnsupported }

// Delete moves the file or link at p, which must look like expect, into slot seq. What came out and is not what was
// expected is put straight back (never over something new there) and the error wraps ErrChanged.
func (s *Store) Delete(seq uint64, p RelPath, expect Info) (Displaced, error) {
	return Displaced{}, errors.ErrUnsupported
}

// Restore moves the content of slot seq back to p, where nothing may be.
func (s *Store) Restore(seq uint64, p RelPath) error { return errors.ErrUnsupported }

// Drop removes slot seq. A slot that is not there is no error.
func (s *Store) Drop(seq uint64) error { return errors.ErrUnsupported }

// HasWriter reports whether some process has the file open for writing, or may have (where that can't be told).
func HasWriter(f *os.File) bool { return false }
