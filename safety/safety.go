// Package safety touches nothing outside the roots it was given.
//
// It holds what may be done to a user's files: root checks ([CheckRoots]), file operations confined below a
// directory ([Root], [Dir]), placing a file in one atomic call with the displaced version kept ([Store]), markers
// and locks. It follows no symbolic link below a root, opens no device or FIFO, and never overwrites a version of
// a file without keeping it.
package safety

import "errors"

var (
	// ErrGone means that a root no longer is the directory that was opened: removed, replaced, unmounted.
	ErrGone = errors.New("the directory is gone or was replaced")
	// ErrChanged means that an entry is not what the caller decided on; look again and decide anew.
	ErrChanged = errors.New("changed meanwhile")
	// ErrNotRegular means that a regular file was expected and something else was found.
	ErrNotRegular = errors.New("not a regular file")
	// ErrNoMarker means that a directory does not carry the marker of a mirror and so may not be removed.
	ErrNoMarker = errors.New("no alca-mount marker")
)

// Kind is what an entry of a directory is. The zero value is Absent.
type Kind uint8

// The kinds of entries. Special stands for FIFOs, sockets and devices, which are never opened or carried.
const (
	Absent Kind = iota
	File
	Directory
	Symlink
	Special
)

var kindNames = [...]string{"absent", "file", "directory", "symlink", "special"}

func (k Kind) String() string { return kindNames[k] }

// Info is one entry as lstat sees it. The zero value is an absent entry.
type Info struct {
	Kind     Kind
	Mode     uint32 // permission bits with setuid, setgid and sticky: st_mode & 07777
	Size     int64  // bytes
	Mtime    int64  // nanoseconds since 1970
	Ctime    int64  // nanoseconds since 1970; 0 where the platform has none
	Ino, Dev uint64
	Nlink    uint64
	UID, GID uint32
	Blocks   int64 // 512-byte blocks allocated; 0 where unknown
}

// Exec reports whether the owner may execute the entry.
func (i Info) Exec() bool { return i.Mode&0o100 != 0 }

// SameFile reports whether both are the same inode of the same device.
func (i Info) SameFile(o Info) bool { return i.Ino == o.Ino && i.Dev == o.Dev && i.Kind == o.Kind }
