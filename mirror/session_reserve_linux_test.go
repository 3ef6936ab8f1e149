package mirror

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A session on a disk that is full at its end is recorded as ended: else it would look as if its process had died.
func TestEndIsRecordedOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	state := NewStateDir(dir)
	s := mustNew(t, state, "/some/project", Record{})
	defer s.Unlock()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	s.State, s.Kept = SessionEnded, true
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	if found, err := state.Find(s.ID, ""); err != nil || found.EndedBadly() || !found.Kept {
		t.Errorf("what is on disk: %+v, %v", found, err)
	}
}
