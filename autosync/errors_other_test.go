//go:build !unix

package autosync_test

import "io/fs"

const errNotDir = notDir("")

// notDir is no error that such a system has.
type notDir string

func (notDir) Error() string { return fs.ErrInvalid.Error() }
