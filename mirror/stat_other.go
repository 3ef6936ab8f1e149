//go:build !unix

package mirror

import (
	"os"

	"github.com/alca-mount/alca-mount/safety"
)

// statFile describes an open regular file.
func statFile(f *os.File) (safety.Info, error) {
	info, err := f.Stat()
	if err != nil {
		return safety.Info{}, err
	}
	return safety.Info{Kind: safety.File, Mode: uint32(info.Mode().Perm()), Size: info.Size(), Mtime: info.ModTime().UnixNano()}, nil
}
