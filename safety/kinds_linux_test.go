package safety

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// mountExt4 mounts a small ext4 with the features until the test's end.
func mountExt4(t *testing.T, features string) string {
	t.Helper()
	if _, err := exec.LookPath("mkfs.ext4"); os.Geteuid() != 0 || err != nil {
		t.Skip("only root with mkfs.ext4 mounts a file system of its own")
	}
	image, at := filepath.Join(t.TempDir(), "image"), t.TempDir()
	for _, cmd := range [][]string{
		{"truncate", "-s", "8M", image}, {"mkfs.ext4", "-q", "-O", features, image}, {"mount", "-o", "loop", image, at},
	} {
		if out, err := exec.Command(cmd[0], cmd[1:]...).CombinedOutput(); err != nil {
			t.Skipf("%v: %v: %s", cmd, err, out) // no loop devices here
		}
	}
	t.Cleanup(func() { must(t, unix.Unmount(at, 0)) })
	return at
}

func TestKindsAreToldWhereTheFileSystemDoesNotListThem(t *testing.T) {
	at := mountExt4(t, "^filetype")
	must(t, os.Mkdir(at+"/dir", 0o755))
	must(t, os.WriteFile(at+"/file", nil, 0o644))
	must(t, os.Symlink("file", at+"/link"))
	must(t, unix.Mkfifo(at+"/pipe", 0o644))
	root, err := OpenRoot(at)
	must(t, err)
	defer root.Close()
	d, err := root.OpenDir(Top)
	must(t, err)
	defer d.Close()
	list, err := d.ReadDir()
	must(t, err)
	want := map[string]Kind{"dir": Directory, "file": File, "link": Symlink, "lost+found": Directory, "pipe": Special}
	if len(list) != len(want) {
		t.Errorf("listed: %v", list)
	}
	for _, n := range list {
		if n.Kind != want[n.Name] {
			t.Errorf("%s is %v, should be %v", n.Name, n.Kind, want[n.Name])
		}
	}
}
