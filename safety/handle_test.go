//go:build linux

package safety

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Between the listing of a directory and the opening of a file anything may come to its name: it is neither followed nor
// waited for, nor taken for the file.
func TestListedFileIsLookedAtOnceOpened(t *testing.T) {
	b := newBench(t, sys{})
	top, err := b.root.OpenDir(Top)
	must(t, err)
	defer top.Close()
	write(t, filepath.Join(b.dir, "..", "outside"), "secret")
	for name, put := range map[string]func(path string) error{
		"link":      func(p string) error { return os.Symlink("../outside", p) },
		"fifo":      func(p string) error { return unix.Mkfifo(p, 0o600) },
		"directory": func(p string) error { return os.Mkdir(p, 0o700) },
		"socket":    func(p string) error { return unix.Mknod(p, unix.S_IFSOCK|0o600, 0) },
	} {
		must(t, put(filepath.Join(b.dir, name)))
		h, _, err := top.OpenListed(Dirent{Name: name, Kind: File})
		if !errors.Is(err, ErrNotRegular) {
			t.Errorf("%s: %v, want %v", name, err, ErrNotRegular)
		}
		if err == nil {
			h.Close()
		}
		if _, _, err := top.OpenListed(Dirent{Name: name}); !errors.Is(err, ErrNotRegular) {
			t.Errorf("%s, of a kind that is not known: %v, want %v", name, err, ErrNotRegular)
		}
	}
}
