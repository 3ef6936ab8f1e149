//go:build !unix

package mirror

import (
	"fmt"
	"os"
)

func ownHome() (string, error) { return os.UserHomeDir() }

// onDisk is a file's size: what it takes is not told here.
func onDisk(info os.FileInfo) int64 { return info.Size() }

// checkOwned and makePrivate leave it to the profile directory's access list, which is the user's alone.
func checkOwned(dir string) error {
	info, err := os.Lstat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no directory", dir)
	}
	return err
}

func makePrivate(dir string) error { return checkOwned(dir) }
