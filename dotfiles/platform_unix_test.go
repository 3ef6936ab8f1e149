//go:build unix

package dotfiles

import (
	"runtime"
	"syscall"
)

func mkfifo(path string) error { return syscall.Mkfifo(path, 0o644) }

func foldsHere() bool { return runtime.GOOS == "darwin" || runtime.GOOS == "ios" }
