//go:build unix

package launcher

import (
	"errors"

	"golang.org/x/sys/unix"
)

// onReadOnlyDisk reports whether nobody can write below dir: access(2) tells that apart from a lack of permission.
func onReadOnlyDisk(dir string) bool { return errors.Is(unix.Access(dir, unix.W_OK), unix.EROFS) }
