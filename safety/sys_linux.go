package safety

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	oPath    = unix.O_PATH
	pinFlags = unix.O_PATH | unix.O_NOFOLLOW
)

// RESOLVE_NO_XDEV is not among them: a bind-mounted subdirectory is part of the project.
const beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS

// openBeneath opens the directory at path, in one call.
func openBeneath(dirfd int, path string, flags uint64) (fd int, err error) {
	how := unix.OpenHow{Flags: flags | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: beneath}
	err = retry(func() error {
		fd, err = unix.Openat2(dirfd, path, &how)
		return err
	})
	return fd, err
}

// findLacks notes what the kernel does not have, or a seccomp filter refuses.
func (s *sys) findLacks(rootfd int) {
	fd, err := openBeneath(rootfd, ".", oPath)
	if err != nil {
		s.noOpenat2 = true
		return
	}
	unix.Close(fd)
}

// openNoMount opens the directory name for listing, unless it is the root of another mount. oneMount is false where
// the kernel can't tell.
func (s *sys) openNoMount(op Op, dirfd int, name string) (fd int, err error) {
	if s.noOpenat2 {
		if mounted, err := s.isMountRoot(dirfd, name); err != nil || mounted {
			return -1, errors.Join(unix.EXDEV, err)
		}
		return s.open(op, dirfd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	}
	if err := s.may(op, name); err != nil {
		return -1, err
	}
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: beneath | unix.RESOLVE_NO_XDEV}
	err = retry(func() error {
		fd, err = unix.Openat2(dirfd, name, &how)
		return err
	})
	return fd, err
}

// isMountRoot reports whether something is mounted at name.
func (s *sys) isMountRoot(dirfd int, name string) (bool, error) {
	if err := s.may(OpMountRoot, name); err != nil {
		return false, err
	}
	var stx unix.Statx_t
	err := retry(func() error {
		return unix.Statx(dirfd, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, unix.STATX_BASIC_STATS, &stx)
	})
	if err != nil {
		return false, err
	}
	if stx.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return false, errors.ErrUnsupported
	}
	return stx.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// tmpfile makes a file without a name, in the directory whose ACL and group it takes over.
func (s *sys) tmpfile(op Op, dirfd int, mode uint32) (int, error) {
	if s.noTmpfile {
		return -1, unix.EOPNOTSUPP
	}
	return s.open(op, dirfd, ".", unix.O_TMPFILE|unix.O_RDWR, mode)
}

// linkUnnamed gives the file that tmpfile made a name, which must not exist.
func (s *sys) linkUnnamed(op Op, fd, dirfd int, name string) error {
	if err := s.may(op, name); err != nil {
		return err
	}
	// /proc first: AT_EMPTY_PATH needs CAP_DAC_READ_SEARCH before Linux 6.10 and says ENOENT without it.
	err := retry(func() error {
		return unix.Linkat(unix.AT_FDCWD, procPath(fd), dirfd, name, unix.AT_SYMLINK_FOLLOW)
	})
	if err != unix.ENOENT {
		return err
	}
	return retry(func() error { return unix.Linkat(fd, "", dirfd, name, unix.AT_EMPTY_PATH) })
}

// procPath names what fd is open on. The kernel resolves it by the descriptor, so nothing can be swapped under it.
func procPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

func renameAt(fromfd int, from string, tofd int, to string, how renameHow) error {
	flags := [...]uint{overwrite: 0, noReplace: unix.RENAME_NOREPLACE, exchange: unix.RENAME_EXCHANGE}[how]
	return unix.Renameat2(fromfd, from, tofd, to, flags)
}

// chmodPinned gives the inode that pin opened the permission bits of mode.
func (s *sys) chmodPinned(op Op, fd int, mode uint32, name string) error {
	if err := s.may(op, name); err != nil {
		return err
	}
	err := retry(func() error { return unix.Fchmodat(fd, "", mode, unix.AT_EMPTY_PATH) })
	if err == nil || err != unix.EINVAL && err != unix.ENOSYS && err != unix.EPERM && err != unix.EOPNOTSUPP {
		return err
	}
	// Before Linux 6.6, or behind a filter that does not know fchmodat2.
	return retry(func() error { return unix.Fchmodat(unix.AT_FDCWD, procPath(fd), mode, 0) })
}

func timesOf(mtime int64) []unix.Timespec {
	return []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(mtime)}
}

// setTimes sets the modification time of the entry itself.
func (s *sys) setTimes(op Op, dirfd int, name string, mtime int64) error {
	if err := s.may(op, name); err != nil {
		return err
	}
	return retry(func() error { return unix.UtimesNanoAt(dirfd, name, timesOf(mtime), unix.AT_SYMLINK_NOFOLLOW) })
}

func (s *sys) setTimesFD(op Op, fd int, mtime int64, name string) error {
	if err := s.may(op, name); err != nil {
		return err
	}
	return retry(func() error { return unix.UtimesNanoAt(fd, "", timesOf(mtime), unix.AT_EMPTY_PATH) })
}

// reserve makes sure that size bytes can be written to fd without running out of space.
func (s *sys) reserve(op Op, fd int, size int64, name string) error {
	if err := s.may(op, name); err != nil {
		return err
	}
	if size == 0 {
		return nil
	}
	err := retry(func() error { return unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 0, size) })
	if isLacking(err) {
		return nil
	}
	return err
}

// appendDirents reads struct linux_dirent64: ino 8, off 8, reclen 2, type 1, name.
func appendDirents(out []Dirent, buf []byte) []Dirent {
	for len(buf) >= 19 {
		size := int(binary.NativeEndian.Uint16(buf[16:]))
		if size < 19 || size > len(buf) {
			return out
		}
		name, _, _ := bytes.Cut(buf[19:size], []byte{0})
		if n := string(name); n != "." && n != ".." {
			out = append(out, Dirent{Name: n, Kind: direntKind(buf[18])})
		}
		buf = buf[size:]
	}
	return out
}

// Extended attributes are read through /proc so that a pinned inode will do.

func (s *sys) listXattrs(op Op, fd int, buf []byte, name string) (n int, err error) {
	if err := s.may(op, name); err != nil {
		return 0, err
	}
	err = retry(func() error {
		n, err = unix.Flistxattr(fd, buf)
		if err == unix.EBADF {
			n, err = unix.Listxattr(procPath(fd), buf)
		}
		return err
	})
	return n, err
}

func (s *sys) getXattr(op Op, fd int, attr string, buf []byte) (n int, err error) {
	if err := s.may(op, attr); err != nil {
		return 0, err
	}
	err = retry(func() error {
		n, err = unix.Fgetxattr(fd, attr, buf)
		if err == unix.EBADF {
			n, err = unix.Getxattr(procPath(fd), attr, buf)
		}
		return err
	})
	return n, err
}

func (s *sys) setXattr(op Op, fd int, attr string, data []byte) error {
	if err := s.may(op, attr); err != nil {
		return err
	}
	return retry(func() error { return unix.Fsetxattr(fd, attr, data, 0) })
}

func isNoAttr(err error) bool { return errors.Is(err, unix.ENODATA) }

// reflink makes dst share all of src's extents.
func (s *sys) reflink(op Op, dst, src int, name string) error {
	if err := s.may(op, name); err != nil {
		return err
	}
	if s.noReflink {
		return unix.EOPNOTSUPP
	}
	return retry(func() error { return unix.IoctlFileClone(dst, src) })
}

// copyRange copies up to n bytes inside the kernel; 0 is the end of src, or that the file system can't.
func (s *sys) copyRange(op Op, dst, src int, off, n int64, name string) (done int64, err error) {
	if err := s.may(op, name); err != nil {
		return 0, err
	}
	if s.noCopyRange {
		return 0, unix.ENOSYS
	}
	err = retry(func() error {
		in, out := off, off
		m, err := unix.CopyFileRange(src, &in, dst, &out, int(n), 0)
		done = int64(m)
		return err
	})
	return max(done, 0), err
}

// nextData returns the first extent with data at or after off; data < 0: none is left.
func (s *sys) nextData(op Op, fd int, off int64, name string) (data, hole int64, err error) {
	if err := s.may(op, name); err != nil {
		return 0, 0, err
	}
	data, err = unix.Seek(fd, off, unix.SEEK_DATA)
	if err == unix.ENXIO {
		return -1, -1, nil
	}
	if err != nil {
		return 0, 0, err
	}
	hole, err = unix.Seek(fd, data, unix.SEEK_HOLE)
	return data, hole, err
}
