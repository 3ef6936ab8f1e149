//go:build linux || darwin

package mirror

import (
	"os"

	"golang.org/x/sys/unix"
)

// hasXattrs reports whether the open file may have extended attributes.
func hasXattrs(f *os.File) bool {
	conn, err := f.SyscallConn()
	if err != nil {
		return true
	}
	has := true
	err = conn.Control(func(fd uintptr) {
		n, err := unix.Flistxattr(int(fd), nil)
		has = err == nil && n > 0
	})
	return has || err != nil
}
