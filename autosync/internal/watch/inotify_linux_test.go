package watch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/safety"
	"golang.org/x/sys/unix"
)

func TestOnlyWantedDirectoriesAreWatched(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		outside := t.TempDir()
		r := watchTree(t, b, func(dir string) {
			os.MkdirAll(filepath.Join(dir, "d/hidden/sub"), 0o755)
			os.Symlink("d", filepath.Join(dir, "link"))
			os.Symlink(outside, filepath.Join(dir, "out"))
			write(t, filepath.Join(dir, "f"), "x")
		})
		must(t, os.MkdirAll(r.path("new/hidden/sub"), 0o755))
		must(t, os.Symlink(outside, r.path("new/out")))
		write(t, r.path("new/f"), "x")
		r.hinted(Probe, "new/f")
		r.passed()
		got := watchedInodes(t)
		for _, p := range []string{"d/hidden", "d/hidden/sub", "new/hidden", "new/hidden/sub", "f", "link", "out"} {
			if got[inode(t, r.path(p))] != 0 {
				t.Errorf("%q is watched", p)
			}
		}
		if got[inode(t, outside)] != 0 {
			t.Error("a link's target outside is watched")
		}
		for _, p := range []string{".", "d", "new"} {
			if got[inode(t, r.path(p))] == 0 {
				t.Errorf("%q is not watched", p)
			}
		}
	})
}

func TestLinkThatReplacedDirectoryIsNotWatched(t *testing.T) {
	outside := t.TempDir()
	r := watchTree(t, Inotify, func(dir string) { os.MkdirAll(filepath.Join(dir, "a/b"), 0o755) })
	must(t, os.Rename(r.path("a"), r.path("z")))
	must(t, os.MkdirAll(filepath.Join(outside, "b"), 0o755))
	must(t, os.Symlink(outside, r.path("a")))
	must(t, r.w.Add("a"))
	must(t, r.w.Add("a/b"))
	got := watchedInodes(t)
	if got[inode(t, outside)]+got[inode(t, filepath.Join(outside, "b"))] != 0 {
		t.Error("a watch was set outside")
	}
}

func TestDirectoryMovedToUnwantedNameIsWatchedNoMore(t *testing.T) {
	r := watchTree(t, Inotify, func(dir string) { os.MkdirAll(filepath.Join(dir, "a/b"), 0o755) })
	must(t, os.Rename(r.path("a"), r.path("hidden")))
	r.hinted(Settled, "a", "hidden")
	r.passed()
	got := watchedInodes(t)
	if got[inode(t, r.path("hidden"))]+got[inode(t, r.path("hidden/b"))] != 0 {
		t.Error("still watched")
	}
}

func TestForgottenDirectoryIsWatchedNoMore(t *testing.T) {
	r := watchTree(t, Inotify, func(dir string) { os.MkdirAll(filepath.Join(dir, "a/b"), 0o755) })
	r.w.Forget("a")
	got := watchedInodes(t)
	if got[inode(t, r.path("a"))]+got[inode(t, r.path("a/b"))] != 0 {
		t.Error("still watched")
	}
}

func TestDirectoryMovedOutIsWatchedNoMore(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		outside := filepath.Join(quickDir(t), "a")
		r := watchTree(t, b, func(dir string) { os.MkdirAll(filepath.Join(dir, "a/b"), 0o755) })
		must(t, os.Rename(r.path("a"), outside))
		r.hinted(Settled, "a")
		r.passed()
		got := watchedInodes(t)
		if got[inode(t, outside)]+got[inode(t, filepath.Join(outside, "b"))] != 0 {
			t.Error("still watched")
		}
	})
}

func TestExchangedDirectoriesSwapPaths(t *testing.T) {
	r := watchTree(t, Inotify, func(dir string) {
		os.MkdirAll(filepath.Join(dir, "a/one"), 0o755)
		os.MkdirAll(filepath.Join(dir, "b/two"), 0o755)
	})
	for i := range 50 {
		must(t, unix.Renameat2(unix.AT_FDCWD, r.path("a"), unix.AT_FDCWD, r.path("b"), unix.RENAME_EXCHANGE))
		inA, inB := "one", "two"
		if i%2 == 0 {
			inA, inB = inB, inA
		}
		r.forget()
		write(t, r.path("a/"+inA+"/f"), "x")
		write(t, r.path("b/"+inB+"/f"), "x")
		write(t, r.path("a/g"), "x")
		write(t, r.path("b/g"), "x")
		r.hinted(Settled, "a/"+inA+"/f", "b/"+inB+"/f", "a/g", "b/g")
	}
}

func TestUnnamedFileLinkedInIsProbed(t *testing.T) {
	r := watchTree(t, Inotify, nil)
	fd, err := unix.Open(r.dir, unix.O_TMPFILE|unix.O_RDWR, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip("no O_TMPFILE here")
	}
	must(t, err)
	defer unix.Close(fd)
	unix.Write(fd, []byte("x"))
	must(t, unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, r.path("f"), unix.AT_SYMLINK_FOLLOW))
	unix.Write(fd, []byte("y"))
	r.hinted(Probe, "f")
	r.passed()
	for p := range r.seen {
		if isUnnamed(string(p)) {
			t.Errorf("hint at %q", p)
		}
	}
}

func TestRootRemovalIsReported(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		for name, remove := range map[string]func(dir string) error{
			"removed": os.RemoveAll,
			"moved":   func(dir string) error { return os.Rename(dir, dir+"-away") },
		} {
			dir := filepath.Join(t.TempDir(), "root")
			r := newRig(t, b, dir, func(dir string) { os.Mkdir(dir, 0o755) })
			must(t, r.w.AddTree(t.Context(), safety.Top))
			must(t, remove(dir))
			r.until(name, func() bool { return r.w.Health().State == Gone })
		}
	})
}

func TestUnreadableDirectoryIsWatchedOnceReadable(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root reads every directory")
	}
	r := watchTree(t, Inotify, func(dir string) { os.Mkdir(filepath.Join(dir, "d"), 0o300) })
	if h := r.w.Health(); h.State != Healthy {
		t.Errorf("%+v", h)
	}
	must(t, os.Chmod(r.path("d"), 0o700))
	r.hinted(Probe, "d")
	r.forget()
	write(t, r.path("d/f"), "x")
	r.hinted(Settled, "d/f")
}

func TestUnmountedDirectoryIsWatchedBelow(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "m"), 0o755))
	if err := unix.Mount("tmpfs", filepath.Join(dir, "m"), "tmpfs", 0, ""); err != nil {
		t.Skip("can't mount:", err)
	}
	mounted := true
	defer func() {
		if mounted {
			unix.Unmount(filepath.Join(dir, "m"), unix.MNT_DETACH)
		}
	}()
	r := newRig(t, Inotify, dir, nil)
	must(t, r.w.AddTree(t.Context(), safety.Top))
	write(t, r.path("m/f"), "x")
	r.hinted(Settled, "m/f")
	must(t, unix.Unmount(r.path("m"), 0))
	mounted = false
	r.until("watch of the directory below", func() bool {
		r.passed()
		return watchedInodes(t)[inode(t, r.path("m"))] > 0
	})
	write(t, r.path("m/g"), "x")
	r.hinted(Settled, "m/g")
}

func TestDirectoryMountedTwiceIsReported(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "a"), 0o755))
	must(t, os.MkdirAll(filepath.Join(dir, "b"), 0o755))
	if err := unix.Mount(filepath.Join(dir, "a"), filepath.Join(dir, "b"), "", unix.MS_BIND, ""); err != nil {
		t.Skip("can't mount:", err)
	}
	defer unix.Unmount(filepath.Join(dir, "b"), unix.MNT_DETACH)
	r := newRig(t, Inotify, dir, nil)
	must(t, r.w.AddTree(t.Context(), safety.Top))
	if h := r.w.Health(); h.State != Degraded {
		t.Errorf("%+v", h)
	}
}

// overflow makes the kernel drop events: the reader is held up at the lock of the directories.
func overflowQueue(t *testing.T, r *rig, during func()) {
	t.Helper()
	in := r.w.backend.(*inotify)
	in.mu.Lock()
	defer in.mu.Unlock()
	write(t, r.path("tick"), "x")
	for range 20_000 {
		must(t, os.Rename(r.path("tick"), r.path("tock")))
		must(t, os.Rename(r.path("tock"), r.path("tick")))
	}
	during()
}

func TestOverflowIsReportedAndHealed(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		outside := filepath.Join(quickDir(t), "gone")
		r := watchTree(t, b, func(dir string) { os.MkdirAll(filepath.Join(dir, "old"), 0o755) })
		overflowQueue(t, r, func() { // nobody is told of these
			must(t, os.MkdirAll(r.path("a/b"), 0o755))
			write(t, r.path("a/b/f"), "x")
			must(t, os.Rename(r.path("old"), outside))
		})
		var states []State
		deadline := time.After(patience)
		for len(states) == 0 || states[len(states)-1] != Healthy {
			select {
			case <-r.w.Hints():
			case h := <-r.w.HealthChanges():
				states = append(states, h.State)
				if h.State == Degraded && h.Reason == "" {
					t.Error("no reason")
				}
				r.honour(h)
			case <-deadline:
				t.Fatalf("states %v, now %+v", states, r.w.Health())
			}
		}
		if states[0] != Degraded {
			t.Errorf("states %v", states)
		}
		r.hinted(Settled, "a/b/f") // by the scan
		r.forget()
		write(t, r.path("a/b/f"), "y")
		r.hinted(Settled, "a/b/f") // and by its watch
		if watchedInodes(t)[inode(t, outside)] != 0 {
			t.Error("a directory that left unseen is still watched")
		}
	})
}
