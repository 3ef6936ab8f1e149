package plain

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// withEmptyMask runs op. The runtime gives children the mask that our process was started with; it can't be changed from here.
func withEmptyMask(op func() error) error { return op() }

// closeOnExec keeps from the command what our own parent left open for us. Our own files have the flag anyway.
func closeOnExec() error {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		return fmt.Errorf("list descriptors: %w", err)
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}
