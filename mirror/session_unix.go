//go:build unix

package mirror

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// ownHome is $HOME, or for root the home that the user database names where $HOME is somebody else's.
func ownHome() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	if os.Geteuid() != 0 {
		return home, nil
	}
	info, err := os.Stat(home)
	if err != nil || ownerOf(info) == 0 {
		return home, nil
	}
	root, err := user.LookupId(strconv.Itoa(0))
	if err != nil || root.HomeDir == "" {
		return "", fmt.Errorf("HOME is %s, which belongs to another user", home)
	}
	return root.HomeDir, nil
}

func ownerOf(info os.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

// onDisk is how many bytes of the disk a file takes.
func onDisk(info os.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}

// checkOwned refuses a state directory of another user: its owner could put sessions there.
func checkOwned(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no directory", dir)
	}
	if owner := ownerOf(info); owner != os.Geteuid() {
		return fmt.Errorf("%s belongs to another user (uid %d)", dir, owner)
	}
	return nil
}

// makePrivate gives our directory mode 0700 and looks whether it took: some file systems have no modes.
func makePrivate(dir string) error {
	if err := checkOwned(dir); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	if info, err = os.Lstat(dir); err == nil && info.Mode().Perm()&0o077 != 0 {
		return errors.New("others can look into it, and this file system cannot change that")
	}
	return err
}
