//go:build unix

package journal

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOnlyARegularFileIsAJournal(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(dir, "outside")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link, fifo := filepath.Join(dir, "link"), filepath.Join(dir, "fifo")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, fifo, dir} {
		if j, err := Open(path, func(record) error { return nil }); err == nil {
			j.Close()
			t.Errorf("%s was opened", path)
		}
		if err := Read(path, func(record) error { return nil }); err == nil {
			t.Errorf("%s was read", path)
		}
	}
}
