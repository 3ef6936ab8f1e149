package safety

import "golang.org/x/sys/unix"

// writing asks for a read lease, which is granted only when nobody has the file open for writing, memory maps included.
// It takes the file's owner or root. The lease is given up at once, so that nobody has to wait for it.
func writing(fd int) WriterState {
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
