package watch

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/alca-mount/alca-mount/safety"
)

// limitedEnv makes the test binary run one of limitedRuns in a user namespace of its own, whose limits nobody shares.
const limitedEnv = "ALCA_TEST_WATCH_LIMITED"

func inOwnNamespace(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), limitedEnv+"="+strings.Join(args, ","), "ALCA_TEST_DIR="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); cmd.ProcessState == nil || code == 77 || os.IsPermission(err) {
		t.Skipf("no user namespace to lower the limit in: %v %s", err, out)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestWatchLimitIsReportedAndHealed(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) { inOwnNamespace(t, "watches", string(b)) })
}

func TestInstanceLimitIsReportedAndHealed(t *testing.T) {
	inOwnNamespace(t, "instances", string(Inotify))
}

func limitedMain(run string) int {
	what, b, _ := strings.Cut(run, ",")
	if err := setLimit(what, 20); err != nil {
		fmt.Println(err)
		return 77
	}
	if what == "instances" {
		if err := setLimit(what, 0); err != nil {
			fmt.Println(err)
			return 77
		}
	}
	if err := limited(what, Backend(b), os.Getenv("ALCA_TEST_DIR")); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func setLimit(what string, n int) error {
	return os.WriteFile("/proc/sys/user/max_inotify_"+what, fmt.Append(nil, n), 0)
}

// limited watches 41 directories where 20 are allowed, then has the limit raised.
func limited(what string, b Backend, dir string) error {
	for i := range 40 {
		os.Mkdir(filepath.Join(dir, fmt.Sprint(i)), 0o755)
	}
	root, err := safety.OpenRoot(dir)
	if err != nil {
		return err
	}
	w, err := New(context.Background(), Options{Backend: b, Root: root})
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.AddTree(context.Background(), safety.Top); err != nil {
		return err
	}
	if h := w.Health(); h.State != Degraded || !strings.Contains(h.Reason, "fs.inotify.max_user_"+what) {
		if b != Notify || len(w.health.missing()) == 0 {
			return fmt.Errorf("with the limit: %+v", h)
		}
	}
	w.Scanned(0)
	if h := w.Health(); h.State != Degraded {
		return fmt.Errorf("still with the limit: %+v", h)
	}
	if err := setLimit(what, 1000); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "39/f"), nil, 0o644); err != nil {
		return err
	}
	w.Scanned(0)
	if left := w.health.missing(); len(left) > 0 {
		return fmt.Errorf("unwatched after the limit was raised: %q", left)
	}
	if h := w.Health(); h.State != Healthy && b != Notify {
		return fmt.Errorf("after the limit was raised: %+v", h)
	}
	for batch := range w.Hints() {
		for _, h := range batch {
			if h.Path == "39/f" {
				return nil
			}
		}
	}
	return nil
}
