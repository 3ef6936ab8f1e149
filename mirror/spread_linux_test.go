package mirror

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSessionsAreSpreadOverExt4(t *testing.T) {
	var fs unix.Statfs_t
	dir := t.TempDir()
	if err := unix.Statfs(dir, &fs); err != nil || fs.Type != unix.EXT4_SUPER_MAGIC {
		t.Skip("not on ext4")
	}
	s, err := NewStateDir(filepath.Join(dir, "state")).New(filepath.Join(dir, "p"), Record{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Unlock()
	sessions, err := os.Open(filepath.Dir(s.Dir()))
	if err != nil {
		t.Fatal(err)
	}
	defer sessions.Close()
	if flags, err := unix.IoctlGetUint32(int(sessions.Fd()), unix.FS_IOC_GETFLAGS); err != nil || flags&topDir == 0 {
		t.Errorf("flags %#x, %v", flags, err)
	}
}
