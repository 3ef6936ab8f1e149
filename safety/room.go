package safety

import (
	"errors"
	"syscall"
)

// IsNoRoom reports whether an error says that a disk, or the user's part of it, is full: what failed may go well later.
func IsNoRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
