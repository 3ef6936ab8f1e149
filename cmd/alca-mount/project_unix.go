//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// checkRulesOwner refuses rules found above the current directory that belong neither to us, nor to root, nor to the
// current directory's owner: in a directory that all may write to (/tmp), anybody could make themselves our project.
// It refuses rather than passes them over, since to go on without rules could show what they hide.
func checkRulesOwner(file, cwd string) error {
	owner, err := ownerOf(file)
	if err != nil {
		return err
	}
	if owner == 0 || owner == os.Geteuid() {
		return nil
	}
	if ours, err := ownerOf(cwd); err != nil || ours == owner {
		return err
	}
	return fmt.Errorf("%s belongs to another user (uid %d): name the project with -C, e.g. -C %s", show(file), owner, show(filepath.Dir(file)))
}

func ownerOf(path string) (int, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fmt.Errorf("%s: owner unknown", path)
	}
	return int(st.Uid), nil
}
