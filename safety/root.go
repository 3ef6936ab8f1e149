package safety

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Root is an open directory below which everything happens: no path given to its methods leads outside, whatever
// is renamed or linked meanwhile. On Linux the parent directory of a path is opened by openat2 with
// RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS|RESOLVE_NO_MAGICLINKS; elsewhere, and where openat2 is missing, element by
// element, each without following. The last name is then used with at-calls that do not follow.
// Its methods may be called concurrently.
type Root struct {
	sys    *sys
	top    Dir
	path   string
	info   Info
	copier *Copier
}

// Dir is an open directory below a Root; its methods take one name and follow nothing.
// Its methods may be called concurrently.
type Dir struct {
	sys  *sys
	name string // for messages

	mu       sync.RWMutex // held for reading during each call: a closed descriptor's number may soon mean another directory
	fd       int          // -1 once closed
	listing  sync.Mutex   // held while somebody lists by fd
	pathOnly bool         // opened without the permission to list
}

// Dirent is one name of a directory, byte for byte as readdir returned it.
type Dirent struct {
	Name string
	Kind Kind // Absent where neither the list nor a look tells it
}

// OpenRoot opens dir, resolving symbolic links in dir itself once.
func OpenRoot(dir string) (*Root, error) { return OpenRootWith(dir, nil) }

// OpenRootWith is OpenRoot with a function that sees, and may fail, every file-system call made through the root,
// its Dirs and its Store. It is there for tests of what a failing disk does; nil is none.
func OpenRootWith(dir string, before Before) (*Root, error) {
	return openRoot(dir, sys{before: before})
}

func openRoot(dir string, s sys) (*Root, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open root %q: %w", dir, err)
	}
	if err := s.may(OpRootOpen, abs); err != nil {
		return nil, fmt.Errorf("open root %q: %w", dir, err)
	}
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return nil, fmt.Errorf("open root %q: %w", dir, err)
	}
	fd, pathOnly, err := s.openRoot(real)
	if err != nil {
		return nil, fmt.Errorf("open root %q: %w", real, err)
	}
	info, err := s.fstat(OpRootStat, fd, real)
	if err != nil {
		closeFD(fd)
		return nil, fmt.Errorf("open root %q: %w", real, err)
	}
	s.findLacks(fd)
	s.lists = &lists{}
	return &Root{
		sys: &s, path: real, info: info, copier: &Copier{sys: &s},
		top: Dir{sys: &s, name: real, fd: fd, pathOnly: pathOnly},
	}, nil
}

// Before is the function that the root was opened with, for calls that are made beside it.
func (r *Root) Before() Before { return r.sys.before }

// Path is the real, absolute path that the root was opened at.
func (r *Root) Path() string { return r.path }

// Info is the root directory as it was when it was opened.
func (r *Root) Info() Info { return r.info }

// Close releases the root. Files and Dirs opened from it stay usable.
func (r *Root) Close() error { return r.top.Close() }

// Verify looks whether the root's path still names the directory that was opened (device and inode).
// Otherwise the error wraps ErrGone.
func (r *Root) Verify() error {
	now, err := r.sys.lstatPath(OpRootStat, r.path)
	if isAbsent(err) || isOtherTree(err) || err == nil && !now.SameFile(r.info) {
		return fmt.Errorf("%q: %w", r.path, ErrGone)
	}
	if err != nil {
		return fmt.Errorf("look at root %q: %w", r.path, err)
	}
	return nil
}

// Copier returns the copier that knows, once tried, which copy methods work between the root's file systems.
func (r *Root) Copier() *Copier { return r.copier }

// at calls do with the open directory that holds p and with p's last element.
func (r *Root) at(what string, p RelPath, do func(dirfd int, name string) error) error {
	if _, err := ParseRelPath(string(p)); err != nil || p == Top {
		return fmt.Errorf("%s %q: %w", what, p, ErrBadPath)
	}
	err := r.top.use(func(fd int) error {
		i := strings.LastIndexByte(string(p), '/')
		if i < 0 {
			return do(fd, string(p))
		}
		parent, err := r.sys.openPlace(OpParentOpen, fd, string(p[:i]))
		if err != nil {
			return err
		}
		defer closeFD(parent)
		return do(parent, string(p[i+1:]))
	})
	return explain(what, string(p), err)
}

// explain names the operation and path, and marks what means that the tree is not as the caller saw it.
func explain(what, path string, err error) error {
	switch {
	case err == nil:
		return nil
	case isLink(err) && !errors.Is(err, ErrNotRegular) && !errors.Is(err, ErrChanged):
		return fmt.Errorf("%s %q: a symbolic link is in the way: %w (%w)", what, path, ErrChanged, err)
	}
	return fmt.Errorf("%s %q: %w", what, path, err)
}

// OpenDir opens the directory p. A symbolic link anywhere in p is an error that wraps ErrChanged; a path that is longer
// than MaxDirPath one that wraps ErrTooDeep.
func (r *Root) OpenDir(p RelPath) (*Dir, error) {
	if p == Top {
		return r.openTop()
	}
	if _, err := ParseRelPath(string(p)); err != nil {
		return nil, fmt.Errorf("open directory %q: %w", p, ErrBadPath)
	}
	if len(p) > MaxDirPath {
		return nil, fmt.Errorf("open directory %.80q…: %w", p, ErrTooDeep)
	}
	var d *Dir
	err := r.top.use(func(fd int) (err error) {
		d, err = openDirAt(r.sys, fd, string(p), string(p))
		return err
	})
	return d, explain("open directory", string(p), err)
}

func (r *Root) openTop() (*Dir, error) {
	var d *Dir
	err := r.top.use(func(fd int) error {
		nfd, pathOnly, err := r.sys.openListable(OpDirOpen, fd, ".")
		d = &Dir{sys: r.sys, name: r.path, fd: nfd, pathOnly: pathOnly}
		return err
	})
	if err != nil {
		return nil, explain("open directory", r.path, err)
	}
	return d, nil
}

func openDirAt(s *sys, dirfd int, path, full string) (*Dir, error) {
	fd, pathOnly, err := s.openDir(OpDirOpen, dirfd, path)
	if err != nil {
		return nil, err
	}
	return &Dir{sys: s, name: full, fd: fd, pathOnly: pathOnly}, nil
}

// Lstat describes the entry p. An absent entry is Info{} and a nil error; so is one whose parent is absent, a file or
// a link: a link's target is not part of this tree.
func (r *Root) Lstat(p RelPath) (Info, error) {
	if p == Top {
		return r.top.Stat()
	}
	var info Info
	err := r.at("look at", p, func(dirfd int, name string) (err error) {
		info, err = lstatAt(r.sys, dirfd, name)
		return err
	})
	if isAbsent(err) || isOtherTree(err) {
		return Info{}, nil
	}
	return info, err
}

// lstatAt takes an absent entry for Info{}.
func lstatAt(s *sys, dirfd int, name string) (Info, error) {
	info, err := s.lstat(OpLstat, dirfd, name)
	if isAbsent(err) {
		return Info{}, nil
	}
	return info, err
}

// Open opens the regular file p for reading, without blocking and without following, and describes what was opened.
// Anything else than a regular file is an error that wraps ErrNotRegular.
func (r *Root) Open(p RelPath) (*os.File, Info, error) {
	var f *os.File
	var info Info
	err := r.at("open", p, func(dirfd int, name string) (err error) {
		f, info, err = openRegular(r.sys, dirfd, name, string(p))
		return err
	})
	return f, info, err
}

// openRegular looks before it opens, since opening a device may already do something.
//
// RACE: between the look and the open the entry may become a FIFO (O_NONBLOCK does not wait for it) or a link
// (O_NOFOLLOW refuses it); what was opened is looked at again. Only root can put a device there.
func openRegular(s *sys, dirfd int, name, full string) (*os.File, Info, error) {
	fd, info, err := openRegularFD(s, dirfd, name)
	if err != nil {
		return nil, Info{}, err
	}
	return os.NewFile(uintptr(fd), full), info, nil
}

func mustBeRegular(s *sys, dirfd int, name string) error {
	seen, err := s.lstat(OpLstat, dirfd, name)
	if err == nil && seen.Kind != File {
		err = fmt.Errorf("%w but a %v", ErrNotRegular, seen.Kind)
	}
	return err
}

// openSeen opens what was seen as a regular file, and makes sure that it is one.
func openSeen(s *sys, dirfd int, name string) (int, Info, error) {
	fd, err := s.openFile(OpFileOpen, dirfd, name)
	if isLink(err) || isNotSpecial(err) {
		return -1, Info{}, fmt.Errorf("%w any more: %w", ErrNotRegular, err)
	}
	if err != nil {
		return -1, Info{}, err
	}
	info, err := s.fstat(OpFileStat, fd, name)
	if err == nil && info.Kind != File {
		err = fmt.Errorf("%w any more but a %v", ErrNotRegular, info.Kind)
	}
	if err != nil {
		closeFD(fd)
		return -1, Info{}, err
	}
	return fd, info, nil
}

// Readlink returns the target of the symbolic link p.
func (r *Root) Readlink(p RelPath) (string, error) {
	var target string
	err := r.at("read link", p, func(dirfd int, name string) (err error) {
		target, err = r.sys.readlink(OpReadlink, dirfd, name)
		return err
	})
	return target, err
}

// Mkdir makes the directory p with exactly the permission bits of mode (no umask); a setgid bit and group that the
// parent hands down stay. As root the new directory takes its parent's owner. It fails where p exists.
func (r *Root) Mkdir(p RelPath, mode uint32) error {
	return r.at("make directory", p, func(dirfd int, name string) error {
		fd, err := mkdirAt(r.sys, dirfd, name, mode)
		if err != nil {
			return err
		}
		defer closeFD(fd)
		if err = takeOwner(r.sys, OpChown, dirfd, fd, name, mode); err != nil {
			_ = r.sys.rmdir(OpRmdir, dirfd, name)
		}
		return err
	})
}

// takeOwner gives fd, made by root in dirfd, to dirfd's owner: the user must be able to work with what we make.
func takeOwner(s *sys, op Op, dirfd, fd int, name string, mode uint32) error {
	uid, root := ownIDs()
	if !root {
		return nil
	}
	parent, err := s.fstat(op, dirfd, name)
	if err != nil || parent.UID == uid && parent.Mode&0o2000 == 0 {
		return err
	}
	made, err := s.fstat(op, fd, name)
	if err != nil || made.UID == parent.UID && made.GID == parent.GID {
		return err
	}
	if err := s.fchown(op, fd, parent.UID, parent.GID, name); err != nil {
		return err
	}
	return s.fchmod(op, fd, made.Mode, name) // a change of owner may take bits away
}

// mkdirAt makes the directory and returns a descriptor of it.
//
// RACE: between the making and the opening somebody may put another directory there, which would then get mode. It is
// one of this tree, since nothing is followed.
func mkdirAt(s *sys, dirfd int, name string, mode uint32) (int, error) {
	if err := s.mkdir(OpMkdir, dirfd, name, 0o700); err != nil {
		return -1, err
	}
	fd, err := finishMade(s, dirfd, name, mode)
	if err != nil {
		_ = s.rmdir(OpRmdir, dirfd, name) // with another mode than asked for it would pass for somebody else's
	}
	return fd, err
}

func finishMade(s *sys, dirfd int, name string, mode uint32) (int, error) {
	fd, _, err := s.openListable(OpDirOpen, dirfd, name)
	if err != nil {
		return -1, err
	}
	made, err := s.fstat(OpDirStat, fd, name)
	if err == nil {
		err = s.fchmod(OpChmod, fd, mode|made.Mode&0o2000, name)
	}
	if err != nil {
		closeFD(fd)
		return -1, err
	}
	return fd, nil
}

// Rmdir removes the empty directory p.
func (r *Root) Rmdir(p RelPath) error {
	return r.at("remove directory", p, func(dirfd int, name string) error {
		return r.sys.rmdir(OpRmdir, dirfd, name)
	})
}

// Chmod gives the entry p, which must still be the inode of expect, the permission bits of mode.
// Another entry there, or a symbolic link, is an error that wraps ErrChanged.
func (r *Root) Chmod(p RelPath, expect Info, mode uint32) error {
	if p == Top {
		return r.top.Chmod(mode)
	}
	return r.at("chmod", p, func(dirfd int, name string) error {
		fd, err := r.sys.pin(OpPin, dirfd, name)
		if err != nil {
			return err
		}
		defer closeFD(fd)
		now, err := r.sys.fstat(OpFileStat, fd, name)
		if err != nil {
			return err
		}
		if !now.SameFile(expect) || now.Kind == Symlink {
			return ErrChanged
		}
		return chmodVerified(r.sys, fd, name, mode)
	})
}

// chmodVerified looks whether the bits took effect: some file systems accept a chmod and ignore it.
func chmodVerified(s *sys, fd int, name string, mode uint32) error {
	if err := s.chmodPinned(OpChmod, fd, mode, name); err != nil {
		return err
	}
	now, err := s.fstat(OpFileStat, fd, name)
	if err != nil {
		return err
	}
	if now.Mode&0o777 != mode&0o777 {
		return fmt.Errorf("mode stays %04o: %w", now.Mode, errors.ErrUnsupported)
	}
	return nil
}

// SetTimes sets the modification time of the entry p (of a link: its own), in nanoseconds since 1970.
func (r *Root) SetTimes(p RelPath, mtime int64) error {
	return r.at("set times", p, func(dirfd int, name string) error {
		return r.sys.setTimes(OpSetTimes, dirfd, name, mtime)
	})
}

// Sync makes the names in directory p durable (fsync of the directory).
func (r *Root) Sync(p RelPath) error {
	d, err := r.OpenDir(p)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Listing, sorted by name; the one place that decides what "sorted" means: bytes.
func sortDirents(list []Dirent) {
	slices.SortFunc(list, func(a, b Dirent) int { return strings.Compare(a.Name, b.Name) })
}
