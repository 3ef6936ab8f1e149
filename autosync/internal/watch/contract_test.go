package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/safety"
)

func TestHealthyAtStart(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		r := watchTree(t, b, nil)
		if h := r.w.Health(); h != (Health{}) {
			t.Errorf("got %+v", h)
		}
	})
}

func TestNotifyIsNeverHealthyWhereItDropsEvents(t *testing.T) {
	r := watchTree(t, Notify, nil)
	if h := r.w.Health(); notifyBlind() != "" && h.State != Degraded {
		t.Errorf("got %+v", h)
	}
}

func TestWrittenFileIsSettledOnceClosed(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		r := watchTree(t, b, func(dir string) { os.MkdirAll(filepath.Join(dir, "d"), 0o755) })
		f, err := os.Create(r.path("d/f"))
		must(t, err)
		defer f.Close()
		f.WriteString("one")
		r.hinted(Busy, "d/f")
		r.passed()
		if h := r.seen["d/f"]; h.Urgency == Settled {
			t.Errorf("settled before the close: %+v", h)
		}
		f.Close()
		r.hinted(Settled, "d/f")
	})
}

func TestLastOfManySavesIsSeen(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		root, err := safety.OpenRoot(quickDir(t))
		must(t, err)
		defer root.Close()
		w, err := New(t.Context(), Options{Backend: b, Root: root})
		must(t, err)
		defer w.Close()
		must(t, w.AddTree(t.Context(), safety.Top))
		file := filepath.Join(root.Path(), "f")
		go func() {
			for i := range 500 {
				os.WriteFile(file, fmt.Append(nil, i), 0o644)
			}
		}()
		deadline := time.After(patience)
		for {
			select {
			case <-w.Hints():
				if got, _ := os.ReadFile(file); string(got) == "499" {
					return
				}
			case <-deadline:
				t.Fatal("the last content was not hinted at")
			}
		}
	})
}

func TestRenameOverAsEditorsDoIsSettled(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		r := watchTree(t, b, func(dir string) { write(t, filepath.Join(dir, "f"), "old") })
		write(t, r.path(".f.tmp"), "new")
		must(t, os.Rename(r.path(".f.tmp"), r.path("f")))
		r.hinted(Settled, "f", ".f.tmp")
	})
}

func TestAppendThroughKeptDescriptorIsHinted(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		r := watchTree(t, b, nil)
		f, err := os.OpenFile(r.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		must(t, err)
		defer f.Close()
		for range 3 {
			r.forget()
			f.WriteString("line\n")
			r.hinted(Busy, "log")
		}
		r.forget()
		must(t, os.Rename(r.path("log"), r.path("log.1")))
		r.hinted(Settled, "log", "log.1")
		r.forget()
		f.WriteString("line\n")
		r.hinted(Busy, "log.1")
	})
}

func TestNewNestedDirectoriesMissNothing(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		r := watchTree(t, b, nil)
		var want []string
		for i := range 300 {
			dir := fmt.Sprintf("n%d/b/c", i)
			must(t, os.MkdirAll(r.path(dir), 0o755))
			write(t, r.path(dir+"/f"), "x")
			want = append(want, dir+"/f")
		}
		r.hinted(Probe, want...)
		r.forget()
		for _, p := range want { // and they are watched now
			write(t, r.path(p), "y")
		}
		r.hinted(Settled, want...)
	})
}

func TestRemovedTreeIsHinted(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		r := watchTree(t, b, func(dir string) {
			os.MkdirAll(filepath.Join(dir, "a/b"), 0o755)
			write(t, filepath.Join(dir, "a/b/f"), "x")
		})
		must(t, os.RemoveAll(r.path("a")))
		r.hinted(Settled, "a", "a/b", "a/b/f")
	})
}

func TestDirectoryMadeAgainAtItsPathIsWatched(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		r := watchTree(t, b, func(dir string) { os.MkdirAll(filepath.Join(dir, "a/b"), 0o755) })
		for range 20 {
			must(t, os.RemoveAll(r.path("a")))
			must(t, os.MkdirAll(r.path("a/b"), 0o755))
			r.forget()
			write(t, r.path("a/b/f"), "x")
			r.hinted(Probe, "a/b/f")
		}
	})
}

func TestMovedDirectoryGetsItsNewPath(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		r := watchTree(t, b, func(dir string) {
			os.MkdirAll(filepath.Join(dir, "a/b/c"), 0o755)
			os.MkdirAll(filepath.Join(dir, "x"), 0o755)
			write(t, filepath.Join(dir, "a/b/c/f"), "x")
		})
		must(t, os.Rename(r.path("a"), r.path("x/y")))
		r.hinted(Settled, "a", "x/y")
		r.hinted(Probe, "x/y/b", "x/y/b/c", "x/y/b/c/f")
		if !r.seen["x/y"].NewDir {
			t.Errorf("not a new directory: %+v", r.seen["x/y"])
		}
		r.forget()
		write(t, r.path("x/y/b/c/f"), "y")
		write(t, r.path("x/y/b/g"), "y")
		r.hinted(Settled, "x/y/b/c/f", "x/y/b/g")
		if _, old := r.seen["a/b/c/f"]; old {
			t.Error("the old path was hinted at")
		}
	})
}

func TestDirectoryMovedOutAndInIsWatchedAgain(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		outside := quickDir(t)
		r := watchTree(t, b, func(dir string) { os.MkdirAll(filepath.Join(dir, "a/b"), 0o755) })
		must(t, os.Rename(r.path("a"), filepath.Join(outside, "a")))
		r.hinted(Settled, "a")
		write(t, filepath.Join(outside, "a/b/f"), "x")
		must(t, os.Rename(filepath.Join(outside, "a"), r.path("c")))
		r.hinted(Probe, "c", "c/b", "c/b/f")
		r.forget()
		write(t, r.path("c/b/f"), "y")
		r.hinted(Settled, "c/b/f")
	})
}

func TestChmodIsHinted(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		r := watchTree(t, b, func(dir string) {
			write(t, filepath.Join(dir, "f"), "x")
			os.Mkdir(filepath.Join(dir, "d"), 0o755)
		})
		must(t, os.Chmod(r.path("f"), 0o755))
		must(t, os.Chmod(r.path("d"), 0o700))
		r.hinted(Probe, "f", "d")
	})
}

func TestLinksAndHardLinksAreHinted(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		r := watchTree(t, b, func(dir string) { write(t, filepath.Join(dir, "f"), "x") })
		must(t, os.Symlink("f", r.path("s")))
		must(t, os.Link(r.path("f"), r.path("h")))
		r.hinted(Probe, "s", "h")
	})
}

func TestUnwantedDirectoriesAreSilent(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		r := watchTree(t, b, func(dir string) { os.MkdirAll(filepath.Join(dir, "d/hidden/sub"), 0o755) })
		must(t, os.MkdirAll(r.path("hidden-new/sub"), 0o755))
		write(t, r.path("d/hidden/sub/f"), "x")
		write(t, r.path("d/hidden/f"), "x")
		write(t, r.path("hidden-new/sub/f"), "x")
		r.hinted(Probe, "hidden-new")
		r.passed()
		for p := range r.seen {
			if dir := p.Dir(); strings.Contains(string(dir), "hidden") {
				t.Errorf("hint at %q", p)
			}
		}
	})
}

func TestNamesAreKeptByteForByte(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		r := watchTree(t, b, nil)
		names := []string{"new\nline", "bad\xff\xfeutf8", " space ", "-dash", "\x1b[31m", "…", strings.Repeat("n", 255), "#12"}
		for _, n := range names {
			write(t, r.path(n), "x")
		}
		r.hinted(Settled, names...)
		r.forget()
		must(t, os.Mkdir(r.path("dir\n\xff"), 0o755))
		write(t, r.path("dir\n\xff/f\xfe"), "x")
		r.hinted(Probe, "dir\n\xff/f\xfe")
	})
}

func TestBurstLosesNoPath(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		r := watchTree(t, b, nil)
		var want []safety.RelPath
		for i := range 20_000 {
			p := fmt.Sprintf("d%d/f%d", i/100, i)
			if i%100 == 0 {
				must(t, os.Mkdir(r.path(fmt.Sprintf("d%d", i/100)), 0o755))
			}
			write(t, r.path(p), "x")
			want = append(want, safety.RelPath(p))
		}
		r.until("20,000 files", func() bool {
			if len(r.seen) < len(want) {
				return false
			}
			return !slices.ContainsFunc(want, func(p safety.RelPath) bool { _, ok := r.seen[p]; return !ok })
		})
	})
}

func TestAddBeforeListingMissesNothing(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		r := newRig(t, b, t.TempDir(), func(dir string) { os.MkdirAll(filepath.Join(dir, "d/e"), 0o755) })
		for _, p := range []safety.RelPath{safety.Top, "d", "d/e"} {
			must(t, r.w.Add(p))
		}
		write(t, r.path("d/e/f"), "x")
		r.hinted(Settled, "d/e/f")
	})
}

func TestAddOfWhatIsGoneIsNoTrouble(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		r := watchTree(t, b, func(dir string) { write(t, filepath.Join(dir, "f"), "x") })
		before := r.w.Health()
		must(t, r.w.Add("absent/dir"))
		must(t, r.w.Add("f"))
		if h := r.w.Health(); h != before {
			t.Errorf("health changed: %+v", h)
		}
	})
}

func TestCloseEndsHintsAndIsRepeatable(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		r := watchTree(t, b, nil)
		write(t, r.path("f"), "x") // a hint that nobody takes does not hold Close up
		must(t, r.w.Close())
		must(t, r.w.Close())
		if _, open := <-r.w.Hints(); open {
			t.Error("Hints is open")
		}
		if err := r.w.Add(safety.Top); err == nil {
			t.Error("Add after Close")
		}
	})
}

func TestCloseIsQuickWithManyDirectories(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		r := watchTree(t, b, func(dir string) {
			for i := range 20_000 {
				os.MkdirAll(filepath.Join(dir, fmt.Sprintf("%d/%d", i/200, i)), 0o755)
			}
		})
		start := time.Now()
		must(t, r.w.Close())
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

func TestUnknownBackendIsRefused(t *testing.T) {
	root, err := safety.OpenRoot(t.TempDir())
	must(t, err)
	defer root.Close()
	if _, err := New(t.Context(), Options{Backend: "poll", Root: root}); err == nil {
		t.Error("no error")
	}
}
