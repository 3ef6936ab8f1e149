//go:build linux || darwin

package safety

import (
	"os"

	"golang.org/x/sys/unix"
)

func (s *sys) openLock(path string) (*os.File, error) {
	fd, err := s.open(OpLock, unix.AT_FDCWD, path, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

func (s *sys) openLockRead(path string) (*os.File, error) {
	fd, err := s.openFile(OpLock, unix.AT_FDCWD, path)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

func lockFile(f *os.File) error {
	err := retry(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if err == unix.EWOULDBLOCK {
		return errHeld
	}
	return err
}

// isLocked looks by a shared lock for an instant; TryLock waits for that.
func isLocked(f *os.File) (bool, error) {
	err := retry(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) })
	if err == unix.EWOULDBLOCK {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, unix.Flock(int(f.Fd()), unix.LOCK_UN)
}
