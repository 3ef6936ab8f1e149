package launcher_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/mirror"
)

// Where nothing can come home a command is not run for nothing.
func TestProjectOnAReadOnlyDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounts as root")
	}
	project := t.TempDir()
	if err := unix.Mount("tmpfs", project, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(project, unix.MNT_DETACH) })
	if err := os.WriteFile(filepath.Join(project, "a"), []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", project, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	opts := launcher.Options{Project: project, State: mirror.NewStateDir(filepath.Join(t.TempDir(), "state")), Command: []string{"true"}, Sync: launcher.SyncExit}
	if _, err := launcher.Launch(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "--sync off runs the command") {
		t.Errorf("exit: %v", err)
	}
	opts.Sync = launcher.SyncOff
	if res, err := launcher.Launch(t.Context(), opts); err != nil || res.ExitCode != 0 {
		t.Errorf("off: %v, exit %d", err, res.ExitCode)
	}
}
