//go:build linux

package launcher_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/mirror/mirrortest"
)

// bench is a project to launch on, with a state directory of its own.
type bench struct {
	t       *testing.T
	project string
	opts    launcher.Options
	null    *os.File
}

func newBench(t *testing.T, lines ...string) *bench {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	b := &bench{t: t, project: mirrortest.Make(t, filepath.Join(t.TempDir(), "project"), lines...), null: null}
	b.opts = launcher.Options{
		Project: b.project, State: mirror.NewStateDir(filepath.Join(t.TempDir(), "state")),
		Stdin: null, Stdout: null, Stderr: null,
	}
	return b
}

// run launches a shell script. The mirror has to be gone afterwards unless the result says that it was kept.
func (b *bench) run(script string) (launcher.Result, error) {
	b.t.Helper()
	b.opts.Command = []string{"sh", "-c", script}
	var at string
	after := b.opts.AfterBuild
	b.opts.AfterBuild = func(s launcher.Start) {
		at = s.Mirror
		if after != nil {
			after(s)
		}
	}
	res, err := launcher.Launch(b.t.Context(), b.opts)
	if _, serr := os.Lstat(at); at != "" && (serr == nil) != (res.Mirror != "") {
		b.t.Errorf("mirror %q: %v, but the result says %q", at, serr, res.Mirror)
	}
	return res, err
}

func (b *bench) want(name, content string) {
	b.t.Helper()
	data, err := os.ReadFile(filepath.Join(b.project, name))
	if got := string(data); err != nil || got != content {
		b.t.Errorf("%s = %q, %v; want %q", name, got, err, content)
	}
}

func TestLaunchBringsEditsHomeInEachSyncMode(t *testing.T) {
	for _, sync := range []launcher.Sync{"", launcher.SyncExit, launcher.SyncLive} {
		b := newBench(t, "a = 1", "b = 2")
		b.opts.Sync = sync
		res, err := b.run("echo -n agent >a; rm b; exit 7")
		if err != nil || res.ExitCode != 7 {
			t.Errorf("%q: code %d, %v", sync, res.ExitCode, err)
		}
		b.want("a", "agent")
		if _, err := os.Lstat(filepath.Join(b.project, "b")); err == nil {
			t.Errorf("%q: b is still there", sync)
		}
		if len(res.Changes.ToProject) != 1 || len(res.Changes.Deleted) != 1 {
			t.Errorf("%q: changes %+v", sync, res.Changes)
		}
	}
}

func TestSyncOffBringsNothingHome(t *testing.T) {
	b := newBench(t, "a = 1")
	b.opts.Sync = launcher.SyncOff
	if _, err := b.run("echo agent >a"); err != nil {
		t.Error(err)
	}
	b.want("a", "1")
}

func TestWhatIsNotBuiltYetIsRefused(t *testing.T) {
	for _, opts := range []launcher.Options{{Isolation: launcher.IsolationNamespace}, {Sync: "sometimes"}} {
		b := newBench(t, "a = 1")
		b.opts.Isolation, b.opts.Sync = opts.Isolation, opts.Sync
		if res, err := b.run("echo agent >a"); !errors.Is(err, errors.ErrUnsupported) || res.ExitCode != 125 {
			t.Errorf("%+v: %d, %v", opts, res.ExitCode, err)
		}
		b.want("a", "1")
	}
}

// On a coarse clock an edit within the tick of the copy would not show.
func TestNobodyWritesInTheTickOfTheBuild(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("ramfs", dir, "ramfs", 0, ""); err != nil { // no clock but the coarse one, on any kernel
		t.Skip("mounting a ramfs: ", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	b := newBench(t, "f = 1")
	b.opts.Sync, b.opts.State = launcher.SyncExit, mirror.NewStateDir(filepath.Join(dir, "state"))
	var tick unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_REALTIME_COARSE, &tick); err != nil {
		t.Fatal(err)
	}
	b.opts.BeforeLaunch = func(mirrored string) error {
		var st unix.Stat_t
		err := unix.Stat(filepath.Join(mirrored, "f"), &st)
		if age := time.Since(time.Unix(st.Ctim.Unix())); age < 2*time.Duration(tick.Nano()) || !strings.HasPrefix(mirrored, dir) {
			t.Errorf("%v after the copy in %s", age, mirrored)
		}
		return err
	}
	if _, err := b.run("true"); err != nil {
		t.Fatal(err)
	}
}

func TestFilesWrittenBeforeLaunchSync(t *testing.T) {
	b := newBench(t, "a = 1")
	b.opts.BeforeLaunch = func(dir string) error { return os.WriteFile(filepath.Join(dir, "hook"), []byte("h"), 0o644) }
	var told autosync.Changes
	b.opts.AfterSync = func(c autosync.Changes) { told = c }
	if _, err := b.run("cat hook >copy"); err != nil {
		t.Error(err)
	}
	b.want("hook", "h")
	b.want("copy", "h")
	if len(told.ToProject) != 2 {
		t.Errorf("AfterSync got %+v", told)
	}
}

func TestFailingHookStillSyncsAndCleansUp(t *testing.T) {
	b := newBench(t, "a = 1")
	b.opts.BeforeLaunch = func(dir string) error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "a"), []byte("hook"), 0o644), errors.New("hook failed"))
	}
	res, err := b.run("echo never >a")
	if err == nil || res.ExitCode != 125 {
		t.Errorf("code %d, %v", res.ExitCode, err)
	}
	b.want("a", "hook")
}

func TestShutdownContextBoundsOnlyTheEnd(t *testing.T) {
	for _, sync := range []launcher.Sync{launcher.SyncExit, launcher.SyncLive} {
		b := newBench(t, "a = 1")
		b.opts.Sync = sync
		ctx, cancel := context.WithCancel(t.Context())
		b.opts.ShutdownContext = ctx
		b.opts.BeforeLaunch = func(string) error { cancel(); return nil }
		told := false
		b.opts.AfterSync = func(autosync.Changes) { told = true }
		res, err := b.run("echo -n agent >z")
		if !errors.Is(err, context.Canceled) || res.ExitCode != 125 || res.Mirror == "" || !told {
			t.Errorf("%s: code %d, mirror %q, told %v, %v", sync, res.ExitCode, res.Mirror, told, err)
		}
		if data, _ := os.ReadFile(filepath.Join(res.Mirror, "z")); string(data) != "agent" {
			t.Errorf("%s: the kept mirror holds %q", sync, data)
		}
	}
}

func TestUnknownCommandCopiesNothing(t *testing.T) {
	b := newBench(t, "a = 1")
	b.opts.Command = []string{"no-such-command-at-all"}
	b.opts.AfterBuild = func(launcher.Start) { t.Error("a mirror was built") }
	if res, err := launcher.Launch(t.Context(), b.opts); err == nil || res.ExitCode != 127 {
		t.Errorf("code %d, %v", res.ExitCode, err)
	}
}

func TestMirrorRemovedFromOutsideIsSaidAndLosesNothing(t *testing.T) {
	for _, sync := range []launcher.Sync{launcher.SyncExit, launcher.SyncLive} {
		b := newBench(t, "a = 1", "d/b = 2")
		b.opts.Sync = sync
		res, err := b.run(`cd /; rm -rf "$OLDPWD"`)
		if err == nil || res.ExitCode != 125 || res.Changes.Halted == "" || res.Mirror != "" {
			t.Errorf("%s: code %d, halted %q, mirror %q, %v", sync, res.ExitCode, res.Changes.Halted, res.Mirror, err)
		}
		b.want("a", "1")
		b.want("d/b", "2")
	}
}

func TestEnvironmentOfTheCommand(t *testing.T) {
	b := newBench(t, "a = 1")
	b.opts.Env = []string{"SET=x=y", "HOME"}
	if _, err := b.run(`printf '%s,%s,%s,%s,%s' "$SET" "$ALCA_MOUNT" "$ALCA_MOUNT_PROJECT" "$PWD" "${ALCA_MOUNT_SESSION:+id}" >vars`); err != nil {
		t.Error(err)
	}
	data, _ := os.ReadFile(filepath.Join(b.project, "vars"))
	parts := strings.Split(string(data), ",")
	if len(parts) != 5 || parts[0] != "x=y" || parts[1] != "1" || parts[2] != b.project || !strings.HasSuffix(parts[3], "/mirror") || parts[4] != "id" {
		t.Errorf("environment %q", data)
	}
}

func TestKeepKeepsTheMirrorInStep(t *testing.T) {
	b := newBench(t, "a = 1")
	b.opts.Keep = true
	res, err := b.run("echo -n agent >a")
	if err != nil || res.Mirror == "" {
		t.Errorf("mirror %q, %v", res.Mirror, err)
	}
	b.want("a", "agent")
	sessions, err := b.opts.State.List(b.project)
	if err != nil || len(sessions) != 1 || !sessions[0].Kept {
		t.Errorf("sessions %+v, %v", sessions, err)
	}
}
