package watch

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/alca-mount/alca-mount/safety"
	"golang.org/x/sys/unix"
)

// TestDirectoryIsWatchedBeforeItIsListed holds the order that TestNewNestedDirectoriesMissNothing needs.
func TestDirectoryIsWatchedBeforeItIsListed(t *testing.T) {
	dir := quickDir(t)
	must(t, os.MkdirAll(filepath.Join(dir, "a/b"), 0o755))
	listed := map[uint64]bool{}
	root, err := safety.OpenRootWith(dir, func(op safety.Op, name string) error {
		if op != safety.OpDirRead {
			return nil
		}
		path := filepath.Join(dir, name)
		if filepath.IsAbs(name) { // the root itself
			path = name
		}
		ino := inode(t, path)
		listed[ino] = true
		if watchedInodes(t)[ino] == 0 {
			t.Errorf("%s is listed before it is watched", name)
		}
		return nil
	})
	must(t, err)
	defer root.Close()
	w, err := New(t.Context(), Options{Backend: Inotify, Root: root})
	must(t, err)
	defer w.Close()
	must(t, w.AddTree(t.Context(), safety.Top))
	if len(listed) != 3 {
		t.Errorf("%d directories were listed", len(listed))
	}
}

func TestLinksAreNotOpened(t *testing.T) {
	r := watchTree(t, Inotify, func(dir string) {
		os.MkdirAll(filepath.Join(dir, "d/sub"), 0o755)
		os.Symlink("d", filepath.Join(dir, "link"))
	})
	in := r.w.backend.(*inotify)
	for _, p := range []safety.RelPath{"link", "link/sub"} {
		if pc, err := in.places.open(p); !errors.Is(err, errNoDir) {
			pc.close()
			t.Errorf("open %q: %v", p, err)
		}
		if fd, err := in.places.walk(p); err == nil { // without openat2
			unix.Close(fd)
			t.Errorf("walk to %q", p)
		}
	}
	fd, err := in.places.walk("d/sub")
	must(t, err)
	unix.Close(fd)
}

// eachOpening calls test for both ways in which a directory to be watched is open: open opens it, and returns what watches it.
func eachOpening(t *testing.T, test func(t *testing.T, open func(*rig, *inotify, safety.RelPath) func() error)) {
	t.Run("path", func(t *testing.T) {
		test(t, func(_ *rig, in *inotify, p safety.RelPath) func() error {
			place, err := in.places.open(p)
			must(t, err)
			t.Cleanup(place.close)
			return func() error { return in.watchAt(p, place) }
		})
	})
	t.Run("held", func(t *testing.T) {
		test(t, func(r *rig, in *inotify, p safety.RelPath) func() error {
			d, err := r.root.OpenDir(p)
			must(t, err)
			t.Cleanup(func() { d.Close() })
			return func() error {
				done, err := in.watchHeld(p, d)
				if !done {
					t.Error("not by what is open")
				}
				return err
			}
		})
	})
}

func TestOpenDirectoryIsWatched(t *testing.T) {
	eachOpening(t, func(t *testing.T, open func(*rig, *inotify, safety.RelPath) func() error) {
		r := watchTree(t, Inotify, func(dir string) { os.MkdirAll(filepath.Join(dir, "d"), 0o755) })
		in := r.w.backend.(*inotify)
		in.mu.Lock()
		defer in.mu.Unlock()
		must(t, os.Mkdir(r.path("d/sub"), 0o755))
		must(t, open(r, in, "d/sub")())
		if watchedInodes(t)[inode(t, r.path("d/sub"))] == 0 {
			t.Error("not watched")
		}
	})
}

func TestDirectoryRenamedBeforeItsWatchIsNotWatched(t *testing.T) {
	eachOpening(t, func(t *testing.T, open func(*rig, *inotify, safety.RelPath) func() error) {
		r := watchTree(t, Inotify, nil)
		in := r.w.backend.(*inotify)
		in.mu.Lock()
		defer in.mu.Unlock()
		must(t, os.Mkdir(r.path("d"), 0o755))
		watch := open(r, in, "d")
		must(t, os.Rename(r.path("d"), r.path("hidden")))
		if err := watch(); err != errNoDir {
			t.Errorf("got %v", err)
		}
		if watchedInodes(t)[inode(t, r.path("hidden"))] != 0 {
			t.Error("watched")
		}
	})
}

// TestDirectoryBelowAnotherParentIsNotWatched: what is at d/sub is not below the d that is watched.
func TestDirectoryBelowAnotherParentIsNotWatched(t *testing.T) {
	eachOpening(t, func(t *testing.T, open func(*rig, *inotify, safety.RelPath) func() error) {
		r := watchTree(t, Inotify, func(dir string) { os.MkdirAll(filepath.Join(dir, "d"), 0o755) })
		in := r.w.backend.(*inotify)
		in.mu.Lock()
		defer in.mu.Unlock()
		must(t, os.Rename(r.path("d"), r.path("hidden")))
		must(t, os.MkdirAll(r.path("d/sub"), 0o755))
		if err := open(r, in, "d/sub")(); err != errNoDir {
			t.Errorf("got %v", err)
		}
	})
}

func TestReplacedRootIsNotWatched(t *testing.T) {
	dir := filepath.Join(quickDir(t), "root")
	must(t, os.Mkdir(dir, 0o755))
	root, err := safety.OpenRoot(dir)
	must(t, err)
	defer root.Close()
	must(t, os.Rename(dir, dir+"-away"))
	must(t, os.Mkdir(dir, 0o755))
	if w, err := New(t.Context(), Options{Backend: Inotify, Root: root}); !errors.Is(err, safety.ErrGone) {
		w.Close()
		t.Errorf("got %v", err)
	}
}

func TestWritesToRemovedFileAreSilent(t *testing.T) {
	r := watchTree(t, Inotify, nil)
	f, err := os.Create(r.path("f"))
	must(t, err)
	defer f.Close()
	must(t, os.Remove(r.path("f")))
	r.hinted(Settled, "f")
	r.forget()
	f.WriteString("x")
	r.passed()
	if h, ok := r.seen["f"]; ok {
		t.Errorf("%+v", h)
	}
}

// TestEventsOfUnnamedFilesAreDropped is for file systems where IN_EXCL_UNLINK does not keep them out.
func TestEventsOfUnnamedFilesAreDropped(t *testing.T) {
	r := watchTree(t, Inotify, func(dir string) { write(t, filepath.Join(dir, "#34"), "x") })
	in := r.w.backend.(*inotify)
	b := batch{in: in}
	for _, name := range []string{"#12", "#34", "#x", "#"} {
		b.event(event{wd: in.dirs.top.wd, mask: unix.IN_MODIFY, name: name})
	}
	b.event(event{wd: in.dirs.top.wd, mask: unix.IN_DELETE, name: "#56"})
	var got []safety.RelPath
	for _, h := range b.hints {
		got = append(got, h.Path)
	}
	if len(got) != 4 || got[0] != "#34" || got[3] != "#56" {
		t.Errorf("got %q", got)
	}
}
