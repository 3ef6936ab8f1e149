//go:build unix

package gitrepo

import (
	"errors"
	"syscall"
)

// isNotDir reports whether an element of a path that should be a directory is none.
func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
