//go:build unix

package overlay

import (
	"archive/tar"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func uidOf(t *testing.T, name string) int {
	t.Helper()
	info, err := os.Lstat(name)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Sys().(*syscall.Stat_t).Uid)
}

// What is given away is all of a directory, but no file that has a name elsewhere, and nothing that a link leads to.
func TestGiveAll(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	to := Owner{UID: 12345, GID: 12345, Give: true}
	parent := t.TempDir()
	dir, outside := filepath.Join(parent, "tree"), filepath.Join(parent, "outside")
	write(t, filepath.Join(dir, "m/f"), "x", 0o644)
	write(t, outside, "x", 0o644)
	if err := errors.Join(os.Link(outside, filepath.Join(dir, "hard")), os.Symlink(outside, filepath.Join(dir, "soft"))); err != nil {
		t.Fatal(err)
	}
	if Owned(dir, to) {
		t.Error("owned before")
	}
	if err := GiveAll(dir, to); err != nil || !Owned(dir, to) {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"m": to.UID, "m/f": to.UID, "soft": to.UID, "hard": 0, "../outside": 0} {
		if got := uidOf(t, filepath.Join(dir, name)); got != want {
			t.Errorf("%s belongs to %d, want %d", name, got, want)
		}
	}
	unpacked := filepath.Join(parent, "unpacked")
	err := Unpack(archive(t, tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o755}, tar.Header{Name: "d/f", Typeflag: tar.TypeReg, Mode: 0o644},
		tar.Header{Name: "d/l", Typeflag: tar.TypeSymlink, Linkname: outside}), unpacked, to)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"d", "d/f", "d/l"} {
		if got := uidOf(t, filepath.Join(unpacked, name)); got != to.UID {
			t.Errorf("unpacked %s belongs to %d", name, got)
		}
	}
}
