package mirror

import (
	"testing"

	"golang.org/x/sys/unix"
)

// ramfs(5) has no clock but the coarse one, and costs no time either.
func TestFirstEditOfAMirrorMovesTheStampOfACoarseClock(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("ramfs", dir, "ramfs", 0, ""); err != nil {
		t.Skip("mounting a ramfs: ", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	firstEditShows(t, dir)
}
