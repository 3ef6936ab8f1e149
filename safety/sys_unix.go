//go:build linux || darwin

package safety

import (
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxPathArg is how long a path one system call may get; longer ones are opened in several steps.
const maxPathArg = 4000

// retry makes a call again that a signal interrupted, which some file systems (FUSE, NFS) let through to us.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func (s *sys) open(op Op, dirfd int, name string, flags int, mode uint32) (fd int, err error) {
	if err := s.may(op, name); err != nil {
		return -1, err
	}
	err = retry(func() error {
		fd, err = unix.Openat(dirfd, name, flags|unix.O_CLOEXEC, mode)
		return err
	})
	return fd, err
}

// openRoot opens the directory at the absolute path dir, for reading if that is permitted.
func (s *sys) openRoot(dir string) (fd int, pathOnly bool, err error) {
	return s.openListable(OpRootOpen, unix.AT_FDCWD, dir)
}

// openListable opens the directory at one name, for reading or, where that is not permitted, just as a place.
func (s *sys) openListable(op Op, dirfd int, name string) (fd int, pathOnly bool, err error) {
	fd, err = s.open(op, dirfd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err == unix.EACCES && oPath != 0 {
		fd, err = s.open(op, dirfd, name, oPath|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		return fd, true, err
	}
	return fd, false, err
}

// openDir opens the directory at the path below dirfd without following any link, for reading if that is permitted.
func (s *sys) openDir(op Op, dirfd int, path string) (fd int, pathOnly bool, err error) {
	if !s.noOpenat2 && len(path) <= maxPathArg {
		return s.openDirAtOnce(op, dirfd, path)
	}
	parent, name, done, err := s.step(op, dirfd, path)
	if err != nil {
		return -1, false, err
	}
	defer done()
	fd, pathOnly, err = s.openListable(op, parent, name)
	return fd, pathOnly, s.linkOrNotDir(parent, name, err)
}

// openDirAtOnce is openDir where one call does it: the flags that let none of the directories above be a link hold for
// the last name too.
func (s *sys) openDirAtOnce(op Op, dirfd int, path string) (fd int, pathOnly bool, err error) {
	if err := s.may(op, path); err != nil {
		return -1, false, err
	}
	fd, err = openBeneath(dirfd, path, unix.O_RDONLY)
	if err == unix.EACCES && oPath != 0 {
		fd, err = openBeneath(dirfd, path, oPath)
		return fd, true, err
	}
	return fd, false, err
}

// step opens the directory that holds the last element of path.
func (s *sys) step(op Op, dirfd int, path string) (parent int, name string, done func(), err error) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return dirfd, path, func() {}, nil
	}
	parent, err = s.openPlace(op, dirfd, path[:i])
	if err != nil {
		return -1, "", nil, err
	}
	return parent, path[i+1:], func() { unix.Close(parent) }, nil
}

// openPlace opens the directory at the path below dirfd as a place for at-calls, without following any link.
func (s *sys) openPlace(op Op, dirfd int, path string) (int, error) {
	if err := s.may(op, path); err != nil {
		return -1, err
	}
	next := s.walkBeneath
	if !s.noOpenat2 {
		next = func(dirfd int, path string) (int, error) { return openBeneath(dirfd, path, oPath) }
	}
	at := dirfd
	for {
		head, rest := splitLong(path)
		fd, err := next(at, head)
		if at != dirfd {
			unix.Close(at)
		}
		if err != nil || rest == "" {
			return fd, err
		}
		at, path = fd, rest
	}
}

// splitLong cuts path between two elements, so that head is no longer than one call takes.
func splitLong(path string) (head, rest string) {
	if len(path) <= maxPathArg {
		return path, ""
	}
	i := strings.LastIndexByte(path[:maxPathArg+1], '/')
	return path[:i], path[i+1:]
}

// walkBeneath opens path one element at a time, none of which may be a link. It needs no openat2 and is as strict:
// without ".." in path no step can lead up.
func (s *sys) walkBeneath(dirfd int, path string) (int, error) {
	at := dirfd
	for elem := range strings.SplitSeq(path, "/") {
		fd := -1
		err := retry(func() (err error) {
			fd, err = unix.Openat(at, elem, oPath|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
			return err
		})
		err = s.linkOrNotDir(at, elem, err)
		if at != dirfd {
			unix.Close(at)
		}
		if err != nil {
			return -1, err
		}
		at = fd
	}
	return at, nil
}

// linkOrNotDir tells a link from a file where O_DIRECTORY|O_NOFOLLOW says ENOTDIR for both.
func (s *sys) linkOrNotDir(dirfd int, name string, err error) error {
	if err != unix.ENOTDIR {
		return err
	}
	var st unix.Stat_t
	if unix.Fstatat(dirfd, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return unix.ELOOP
	}
	return err
}

func (s *sys) lstat(op Op, dirfd int, name string) (Info, error) {
	if err := s.may(op, name); err != nil {
		return Info{}, err
	}
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstatat(dirfd, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil {
		return Info{}, err
	}
	return infoOf(&st), nil
}

// lstatPath describes what is at an absolute path.
func (s *sys) lstatPath(op Op, path string) (Info, error) { return s.lstat(op, unix.AT_FDCWD, path) }

func (s *sys) fstat(op Op, fd int, name string) (Info, error) {
	if err := s.may(op, name); err != nil {
		return Info{}, err
	}
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return Info{}, err
	}
	return infoOf(&st), nil
}

func infoOf(st *unix.Stat_t) Info {
	return Info{
		Kind: kindOf(uint32(st.Mode)), Mode: uint32(st.Mode) & 0o7777, Size: st.Size,
		Mtime: st.Mtim.Nano(), Ctime: st.Ctim.Nano(), Ino: st.Ino, Dev: uint64(st.Dev), Nlink: uint64(st.Nlink),
		UID: st.Uid, GID: st.Gid, Blocks: st.Blocks,
	}
}

func kindOf(mode uint32) Kind {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return File
	case unix.S_IFDIR:
		return Directory
	case unix.S_IFLNK:
		return Symlink
	}
	return Special
}

// openFile opens name for reading: it neither follows, nor blocks on a FIFO, nor becomes a controlling terminal.
func (s *sys) openFile(op Op, dirfd int, name string) (int, error) {
	return s.open(op, dirfd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
}

// openRewrite opens name for reading and writing with its content as it is.
//
// RACE: EAGAIN tells of a lease on the file. Our own, taken to see whether somebody writes to it under another of its
// names, is given up at once.
func (s *sys) openRewrite(op Op, dirfd int, name string) (fd int, err error) {
	for range 50 {
		fd, err = s.open(op, dirfd, name, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		if err != unix.EAGAIN {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return fd, err
}

// pin opens whatever name is as a handle on the inode, without any effect on it.
func (s *sys) pin(op Op, dirfd int, name string) (int, error) {
	return s.open(op, dirfd, name, pinFlags, 0)
}

func (s *sys) create(op Op, dirfd int, name string, mode uint32) (int, error) {
	return s.open(op, dirfd, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, mode)
}

func (s *sys) mkdir(op Op, dirfd int, name string, mode uint32) error {
	if err := s.may(op, name); err != nil {
		return err
	}
	return retry(func() error { return unix.Mkdirat(dirfd, name, mode) })
}

// mkdirPath makes the directory at an absolute path.
func (s *sys) mkdirPath(op Op, path string, mode uint32) error {
	return s.mkdir(op, unix.AT_FDCWD, path, mode)
}

func (s *sys) unlink(op Op, dirfd int, name string) error {
	if err := s.may(op, name); err != nil {
		return err
	}
	return retry(func() error { return unix.Unlinkat(dirfd, name, 0) })
}

func (s *sys) rmdir(op Op, dirfd int, name string) error {
	if err := s.may(op, name); err != nil {
		return err
	}
	return retry(func() error { return unix.Unlinkat(dirfd, name, unix.AT_REMOVEDIR) })
}

func (s *sys) symlink(op Op, target string, dirfd int, name string) error {
	if err := s.may(op, name); err != nil {
		return err
	}
	return retry(func() error { return unix.Symlinkat(target, dirfd, name) })
}

func (s *sys) readlink(op Op, dirfd int, name string) (string, error) {
	if err := s.may(op, name); err != nil {
		return "", err
	}
	for size := 256; ; size *= 4 {
		buf, n := make([]byte, size), 0
		err := retry(func() (err error) {
			n, err = unix.Readlinkat(dirfd, name, buf)
			return err
		})
		if err != nil {
			return "", err
		}
		if n < size {
			return string(buf[:n]), nil
		}
	}
}

func (s *sys) rename(op Op, fromfd int, from string, tofd int, to string, how renameHow) error {
	if err := s.may(op, to); err != nil {
		return err
	}
	if how == exchange && s.noExchange || how == noReplace && s.noReplace {
		return unix.EINVAL
	}
	return retry(func() error { return renameAt(fromfd, from, tofd, to, how) })
}

// link gives the file from a second name, which must not exist.
func (s *sys) link(op Op, fromfd int, from string, tofd int, to string) error {
	if err := s.may(op, to); err != nil {
		return err
	}
	return retry(func() error { return unix.Linkat(fromfd, from, tofd, to, 0) })
}

func (s *sys) fchmod(op Op, fd int, mode uint32, name string) error {
	if err := s.may(op, name); err != nil {
		return err
	}
	return retry(func() error { return unix.Fchmod(fd, mode) })
}

func (s *sys) fchown(op Op, fd int, uid, gid uint32, name string) error {
	if err := s.may(op, name); err != nil {
		return err
	}
	return retry(func() error { return unix.Fchown(fd, int(uid), int(gid)) })
}

// lchown changes the owner of the entry itself.
func (s *sys) lchown(op Op, dirfd int, name string, uid, gid uint32) error {
	if err := s.may(op, name); err != nil {
		return err
	}
	return retry(func() error { return unix.Fchownat(dirfd, name, int(uid), int(gid), unix.AT_SYMLINK_NOFOLLOW) })
}

func (s *sys) ftruncate(op Op, fd int, size int64, name string) error {
	if err := s.may(op, name); err != nil {
		return err
	}
	return retry(func() error { return unix.Ftruncate(fd, size) })
}

func (s *sys) fsync(op Op, fd int, name string) error {
	if s.soon {
		return nil
	}
	if err := s.may(op, name); err != nil {
		return err
	}
	return retry(func() error { return unix.Fsync(fd) })
}

func (s *sys) writeAll(op Op, fd int, data []byte, off int64, name string) error {
	if err := s.may(op, name); err != nil {
		return err
	}
	for len(data) > 0 {
		n := 0
		err := retry(func() (err error) {
			n, err = unix.Pwrite(fd, data, off)
			return err
		})
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrShortWrite
		}
		data, off = data[n:], off+int64(n)
	}
	return nil
}

// readAt reads once; 0 and no error is the end of the file.
func (s *sys) readAt(op Op, fd int, buf []byte, off int64, name string) (n int, err error) {
	if err := s.may(op, name); err != nil {
		return 0, err
	}
	err = retry(func() (err error) {
		n, err = unix.Pread(fd, buf, off)
		return err
	})
	return max(n, 0), err
}

// readDir lists the directory open at fd, unsorted, without "." and "..".
func (s *sys) readDir(op Op, fd int, name string) ([]Dirent, error) {
	if err := s.may(op, name); err != nil {
		return nil, err
	}
	if _, err := unix.Seek(fd, 0, io.SeekStart); err != nil {
		return nil, err
	}
	var out []Dirent
	buf := s.lists.get()
	defer s.lists.put(buf)
	for {
		n := 0
		err := retry(func() (err error) {
			n, err = unix.ReadDirent(fd, buf[:])
			return err
		})
		if err != nil {
			return nil, err
		}
		if n <= 0 {
			return out, nil
		}
		out = appendDirents(out, buf[:n])
	}
}

// mayChangeNames reports whether names may be made and removed in the directory.
func (s *sys) mayChangeNames(dirfd int) bool {
	return s.may(OpAccess, ".") == nil && unix.Faccessat(dirfd, ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS) == nil
}

func closeFD(fd int) {
	if fd >= 0 {
		unix.Close(fd)
	}
}

func ownIDs() (uid uint32, root bool) { return uint32(os.Geteuid()), os.Geteuid() == 0 }

// What an errno means to the callers above.

func isAbsent(err error) bool { return errors.Is(err, unix.ENOENT) }

// isOtherTree: an element of the path is a link or a file, so that nothing of this tree is there.
func isOtherTree(err error) bool { return errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) }

func isLink(err error) bool {
	return errors.Is(err, unix.ELOOP) || errors.Is(err, unix.EMLINK)
}
func isExist(err error) bool      { return errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENOTEMPTY) }
func isDenied(err error) bool     { return errors.Is(err, os.ErrPermission) }
func isOtherMount(err error) bool { return errors.Is(err, unix.EXDEV) }
func isNotSpecial(err error) bool { return errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV) }

// isLacking: the file system or kernel does not have the call or the flag.
func isLacking(err error) bool {
	for _, e := range []error{unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP, unix.ENOTSUP, unix.ENOTTY} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// isNoReflink: never between these two devices.
func isNoReflink(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EXDEV) || errors.Is(err, unix.ENOSYS)
}

func isNoCopyRange(err error) bool {
	return isLacking(err) || errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EBADF)
}

func isTooSmall(err error) bool { return errors.Is(err, unix.ERANGE) }

// isNoXattr: the file system, or this file, has no room or no notion for it.
func isNoXattr(err error) bool {
	return isLacking(err) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.E2BIG) || errors.Is(err, unix.ERANGE)
}

// isNoTmpfile: the file system has no unnamed files (EISDIR: the kernel has none).
func isNoTmpfile(err error) bool { return isLacking(err) || errors.Is(err, unix.EISDIR) }

// direntKind is the kind that a directory entry (readdir(3), d_type) tells; Absent: it tells none.
func direntKind(t byte) Kind {
	switch t {
	case unix.DT_UNKNOWN:
		return Absent
	case unix.DT_REG:
		return File
	case unix.DT_DIR:
		return Directory
	case unix.DT_LNK:
		return Symlink
	}
	return Special
}
