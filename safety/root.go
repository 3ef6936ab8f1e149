package safety

import (
	"context"
	"errors"
	"os"
)

// Root is an open directory below which everything happens: no path given to its methods leads outside, whatever
// is renamed or linked meanwhile. On Linux the parent directory of a path is opened by openat2 with
// RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS|RESOLVE_NO_MAGICLINKS and the last name is used with at-calls that do not
// follow; elsewhere (and where openat2 is missing) os.Root with no-follow checks does it.
type Root struct{ path string }

// Dir is an open directory below a Root; its methods take one name and follow nothing.
type Dir struct{}

// Dirent is one name of a directory, byte for byte as readdir returned it.
type Dirent struct {
	Name string
	Kind Kind // Absent where the file system does not tell; Lstat then does
}

// OpenRoot opens dir, resolving symbolic links in dir itself once.
func OpenRoot(dir string) (*Root, error) { return nil, errors.ErrUnsupported }

// Path is the real, absolute path that the root was opened at.
func (r *Root) Path() string { return r.path }

// Info is the root directory as it was when it was opened.
func (r *Root) Info() Info { return Info{} }

// Close releases the root. Files and Dirs opened from it stay usable.
func (r *Root) Close() error { return nil }

// Verify looks whether the root's path still names the directory that was opened (device and inode).
// Otherwise the error wraps ErrGone.
func (r *Root) Verify() error { return errors.ErrUnsupported }

// OpenDir opens the directory p. A symbolic link anywhere in p is an error that wraps ErrChanged.
func (r *Root) OpenDir(p RelPath) (*Dir, error) { return nil, errors.ErrUnsupported }

// Lstat describes the entry p. An absent entry (also one with an absent parent) is Info{} and a nil error.
func (r *Root) Lstat(p RelPath) (Info, error) { return Info{}, errors.ErrUnsupported }

// Open opens the regular file p for reading, without blocking and without following, and describes what was opened.
// Anything else than a regular file is an error that wraps ErrNotRegular.
func (r *Root) Open(p RelPath) (*os.File, Info, error) { return nil, Info{}, errors.ErrUnsupported }

// Readlink returns the target of the symbolic link p.
func (r *Root) Readlink(p RelPath) (string, error) { return "", errors.ErrUnsupported }

// Mkdir makes the directory p with exactly the permission bits of mode (no umask). It fails where p exists.
func (r *Root) Mkdir(p RelPath, mode uint32) error { return errors.ErrUnsupported }

// Rmdir removes the empty directory p.
func (r *Root) Rmdir(p RelPath) error { return errors.ErrUnsupported }

// Chmod gives the entry p, which must still be the inode of expect, the permission bits of mode.
// Another entry there is an error that wraps ErrChanged. A symbolic link is never followed.
func (r *Root) Chmod(p RelPath, expect Info, mode uint32) error { return errors.ErrUnsupported }

// Sync makes the names in directory p durable (fsync of the directory).
func (r *Root) Sync(p RelPath) error { return errors.ErrUnsupported }

// ReadDir lists the directory, sorted by name.
func (d *Dir) ReadDir() ([]Dirent, error) { return nil, errors.ErrUnsupported }

// Lstat describes the entry name; an absent one is Info{} and a nil error.
func (d *Dir) Lstat(name string) (Info, error) { return Info{}, errors.ErrUnsupported }

// Stat describes the directory itself.
func (d *Dir) Stat() (Info, error) { return Info{}, errors.ErrUnsupported }

// OpenDir opens the directory called name.
func (d *Dir) OpenDir(name string) (*Dir, error) { return nil, errors.ErrUnsupported }

// Open opens the regular file called name for reading, as Root.Open does.
func (d *Dir) Open(name string) (*os.File, Info, error) { return nil, Info{}, errors.ErrUnsupported }

// Create makes the file called name, which must not exist, open for writing.
func (d *Dir) Create(name string, mode uint32) (*os.File, error) { return nil, errors.ErrUnsupported }

// Mkdir makes the directory called name with exactly the permission bits of mode and opens it.
func (d *Dir) Mkdir(name string, mode uint32) (*Dir, error) { return nil, errors.ErrUnsupported }

// Readlink returns the target of the link called name.
func (d *Dir) Readlink(name string) (string, error) { return "", errors.ErrUnsupported }

// Symlink makes a link called name, which must not exist.
func (d *Dir) Symlink(target, name string) error { return errors.ErrUnsupported }

// SetTimes sets the modification time of the entry called name (of a link: its own), in nanoseconds.
func (d *Dir) SetTimes(name string, mtime int64) error { return errors.ErrUnsupported }

// Chmod gives the directory itself the permission bits of mode.
func (d *Dir) Chmod(mode uint32) error { return errors.ErrUnsupported }

// Close releases the directory.
func (d *Dir) Close() error { return nil }

// Method is how the bytes of a file were copied.
type Method uint8

// The methods, from cheapest to dearest.
const (
	Nothing   Method = iota // an empty file
	Reflink                 // FICLONE: the file system shares the extents
	CopyRange               // copy_file_range: inside the kernel
	ReadWrite               // through this process
)

// Copied tells how a copy went.
type Copied struct {
	Method Method
	Bytes  int64
	Sum    [16]byte // 128-bit xxh3 of the content when the bytes passed through this process; else zero
}

// CopyContent copies all that src holds to the empty file dst: as a reflink, else by copy_file_range for large
// files, else by read and write (which also hashes). Holes stay holes. It checks ctx between chunks.
func CopyContent(ctx context.Context, dst, src *os.File) (Copied, error) {
	return Copied{}, errors.ErrUnsupported
}

// CopyXattrs copies the extended attributes (POSIX ACLs among them) that both sides can hold.
// Attributes that dst cannot hold are left out without an error.
func CopyXattrs(dst, src *os.File) error { return errors.ErrUnsupported }
