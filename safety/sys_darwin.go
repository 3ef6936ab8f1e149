package safety

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

const (
	oPath    = 0 // no such thing; directories are opened for reading
	pinFlags = unix.O_RDONLY | unix.O_SYMLINK | unix.O_NONBLOCK | unix.O_NOCTTY
)

func openBeneath(dirfd int, path string, flags uint64) (int, error) { return -1, unix.ENOSYS }

func (s *sys) findLacks(rootfd int) { s.noOpenat2, s.noTmpfile = true, true }

func (s *sys) openNoMount(op Op, dirfd int, name string) (int, error) {
	if mounted, err := s.isMountRoot(dirfd, name); err != nil || mounted {
		return -1, errors.Join(unix.EXDEV, err)
	}
	return s.open(op, dirfd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
}

// isMountRoot compares devices: without bind mounts that is enough.
func (s *sys) isMountRoot(dirfd int, name string) (bool, error) {
	if err := s.may(OpMountRoot, name); err != nil {
		return false, err
	}
	var dir, st unix.Stat_t
	if err := unix.Fstat(dirfd, &dir); err != nil {
		return false, err
	}
	err := unix.Fstatat(dirfd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	return err == nil && dir.Dev != st.Dev, err
}

func (s *sys) tmpfile(op Op, dirfd int, mode uint32) (int, error) { return -1, unix.ENOTSUP }

func (s *sys) linkUnnamed(op Op, fd, dirfd int, name string) error { return unix.ENOTSUP }

func renameAt(fromfd int, from string, tofd int, to string, how renameHow) error {
	flags := [...]uint32{overwrite: 0, noReplace: unix.RENAME_EXCL, exchange: unix.RENAME_SWAP}[how]
	return unix.RenameatxNp(fromfd, from, tofd, to, flags)
}

func (s *sys) chmodPinned(op Op, fd int, mode uint32, name string) error {
	return s.fchmod(op, fd, mode, name)
}

func (s *sys) setTimes(op Op, dirfd int, name string, mtime int64) error {
	if err := s.may(op, name); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(dirfd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	times := []unix.Timespec{st.Atim, unix.NsecToTimespec(mtime)}
	return retry(func() error { return unix.UtimesNanoAt(dirfd, name, times, unix.AT_SYMLINK_NOFOLLOW) })
}

func (s *sys) setTimesFD(op Op, fd int, mtime int64, name string) error {
	if err := s.may(op, name); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	times := []unix.Timeval{unix.NsecToTimeval(st.Atim.Nano()), unix.NsecToTimeval(mtime)}
	return retry(func() error { return unix.Futimes(fd, times) })
}

func (s *sys) reserve(op Op, fd int, size int64, name string) error { return s.may(op, name) }

// appendDirents reads struct dirent: ino 8, seekoff 8, reclen 2, namlen 2, type 1, name.
func appendDirents(out []Dirent, buf []byte) []Dirent {
	for len(buf) >= 21 {
		size := int(binary.NativeEndian.Uint16(buf[16:]))
		if size < 21 || size > len(buf) {
			return out
		}
		name, _, _ := bytes.Cut(buf[21:size], []byte{0})
		if n := string(name); n != "." && n != ".." && binary.NativeEndian.Uint64(buf) != 0 {
			out = append(out, Dirent{Name: n, Kind: direntKind(buf[20])})
		}
		buf = buf[size:]
	}
	return out
}

func (s *sys) listXattrs(op Op, fd int, buf []byte, name string) (int, error) {
	if err := s.may(op, name); err != nil {
		return 0, err
	}
	return unix.Flistxattr(fd, buf)
}

func (s *sys) getXattr(op Op, fd int, attr string, buf []byte) (int, error) {
	if err := s.may(op, attr); err != nil {
		return 0, err
	}
	return unix.Fgetxattr(fd, attr, buf)
}

func (s *sys) setXattr(op Op, fd int, attr string, data []byte) error {
	if err := s.may(op, attr); err != nil {
		return err
	}
	return unix.Fsetxattr(fd, attr, data, 0)
}

func isNoAttr(err error) bool { return errors.Is(err, unix.ENOATTR) }

// reflink: clonefile wants to make the file itself, which the callers' order of steps does not allow.
func (s *sys) reflink(op Op, dst, src int, name string) error { return unix.ENOTSUP }

func (s *sys) copyRange(op Op, dst, src int, off, n int64, name string) (int64, error) {
	return 0, unix.ENOSYS
}

func (s *sys) nextData(op Op, fd int, off int64, name string) (data, hole int64, err error) {
	if err := s.may(op, name); err != nil {
		return 0, 0, err
	}
	const seekHole, seekData = 3, 4
	data, err = unix.Seek(fd, off, seekData)
	if err == unix.ENXIO {
		return -1, -1, nil
	}
	if err != nil {
		return 0, 0, err
	}
	hole, err = unix.Seek(fd, data, seekHole)
	if _, e := unix.Seek(fd, 0, io.SeekStart); err == nil {
		err = e
	}
	return data, hole, err
}
