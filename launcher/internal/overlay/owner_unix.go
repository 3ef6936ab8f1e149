//go:build unix

package overlay

import (
	"io/fs"
	"os"
	"syscall"
)

// Owned reports whether a directory is the owner's already.
func Owned(dir string, owner Owner) bool {
	info, err := os.Lstat(dir)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == owner.UID
}

// linkedElsewhere reports whether a file has a second name.
func linkedElsewhere(d fs.DirEntry) bool {
	info, err := d.Info()
	if err != nil {
		return true
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return !ok || st.Nlink > 1
}
