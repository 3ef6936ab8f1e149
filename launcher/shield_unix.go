//go:build unix

package launcher

import (
	"os"

	"golang.org/x/sys/unix"
)

// openBound opens a mirror's file or directory without following a link and without waiting.
func openBound(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}
