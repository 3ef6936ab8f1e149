//go:build unix

package autosync_test

import "syscall"

const errNotDir = syscall.ENOTDIR
