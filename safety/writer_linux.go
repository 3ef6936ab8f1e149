package safety

import (
	"os"

	"golang.org/x/sys/unix"
)

// Writing reports whether some process has the file, open for reading only, open for writing: a read lease is granted
// only when nobody has, memory maps included. It needs to be the file's owner or root; everything that keeps the
// kernel from telling is MayWrite. The lease is given up at once, so that nobody has to wait for it.
func Writing(f *os.File) WriterState {
	fd := int(f.Fd())
	var err error
	err = retry(func() error {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_RDLCK)
		return err
	})
	switch {
	case err == unix.EAGAIN:
		return Writes
	case err != nil:
		return MayWrite
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_UNLCK); err != nil {
		return MayWrite
	}
	return NoWriter
}
