package watch

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/safety"
	"go.uber.org/goleak"
)

// patience is how long a test waits for what must come. It is no measure of speed.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	if run := os.Getenv(limitedEnv); run != "" {
		os.Exit(limitedMain(run))
	}
	goleak.VerifyTestMain(m, notifysOwn()...)
}

// notifysOwn are the goroutines that notify starts once for the process and never ends.
func notifysOwn() []goleak.Option {
	const pkg = "github.com/rjeczalik/notify."
	return []goleak.Option{
		goleak.IgnoreAnyFunction(pkg + "(*nonrecursiveTree).dispatch"), goleak.IgnoreAnyFunction(pkg + "(*nonrecursiveTree).internal"),
		goleak.IgnoreAnyFunction(pkg + "(*recursiveTree).dispatch"), goleak.IgnoreAnyFunction(pkg + "(*inotify).loop"),
		goleak.IgnoreAnyFunction(pkg + "(*inotify).send"),
	}
}

// exceptions is the part of the contract that a backend does not keep, and why.
var exceptions = map[Backend]map[string]string{
	Notify: {
		"TestDirectoryMadeAgainAtItsPathIsWatched": "notify takes a path that was watched once for watched, also when another directory is there now",
		"TestRootRemovalIsReported":                "notify watches nothing above the root",
		"TestCloseIsQuickWithManyDirectories":      "notify looks through all its watches for each that it removes",
		"TestDirectoryMovedOutIsWatchedNoMore":     "notify can't take a single watch away",
		"TestOverflowIsReportedAndHealed":          "notify is not told of the kernel's overflows: it is Degraded from start to end",
		"TestHealthyAtStart":                       "notify is Degraded from start to end",
		"TestBurstLosesNoPath":                     "notify is not told of the kernel's overflows: it is Degraded from start to end",
	},
}

func eachBackend(t *testing.T, test func(t *testing.T, b Backend)) {
	for _, b := range backends() {
		t.Run(string(b), func(t *testing.T) {
			if why := exceptions[b][strings.Split(t.Name(), "/")[0]]; why != "" {
				t.Skip(why)
			}
			test(t, b)
		})
	}
}

// rig is a watched directory and what was hinted at so far.
type rig struct {
	t    *testing.T
	dir  string
	root *safety.Root
	w    *Watcher
	seen map[safety.RelPath]Hint
}

// quickDir is a directory for tests that make many files: in memory where the system has such a place.
func quickDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "alca-watch-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// watchTree watches a new directory in which make has made what it wants. Directories whose name begins with "hidden"
// are not wanted.
func watchTree(t *testing.T, b Backend, make func(dir string)) *rig {
	t.Helper()
	r := newRig(t, b, quickDir(t), make)
	if err := r.w.AddTree(t.Context(), safety.Top); err != nil {
		t.Fatal(err)
	}
	return r
}

func newRig(t *testing.T, b Backend, dir string, make func(dir string)) *rig {
	t.Helper()
	if make != nil {
		make(dir)
	}
	root, err := safety.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	// Nothing is held back, so that what has not come when passed returns will not come.
	w, err := New(context.Background(), Options{Backend: b, Root: root, Watch: wanted, Debounce: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return &rig{t: t, dir: root.Path(), root: root, w: w, seen: map[safety.RelPath]Hint{}}
}

func wanted(p safety.RelPath) bool { return !strings.HasPrefix(p.Base(), "hidden") }

func (r *rig) path(rel string) string { return filepath.Join(r.dir, rel) }

// until takes in hints until ok holds.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	deadline := time.After(patience)
	for !ok() {
		select {
		case batch, open := <-r.w.Hints():
			if !open {
				r.t.Fatalf("%s: closed", what)
			}
			r.take(batch)
		case h := <-r.w.HealthChanges():
			r.honour(h)
		case <-deadline:
			r.t.Fatalf("%s: not within %v; health %+v; seen %v", what, patience, r.w.Health(), r.some())
		}
	}
}

func (r *rig) take(batch []Hint) {
	for _, h := range batch {
		if was, ok := r.seen[h.Path]; ok {
			h = was.and(h)
		}
		r.seen[h.Path] = h
	}
}

// honour does what a Health asks for: scan everything, then say so.
func (r *rig) honour(h Health) {
	if h.Rescan == 0 {
		return
	}
	filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if rel, relErr := filepath.Rel(r.dir, path); relErr == nil && err == nil {
			r.take([]Hint{{Path: safety.RelPath(filepath.ToSlash(rel)), Urgency: Settled}})
		}
		return nil
	})
	r.w.Scanned(h.Rescan)
}

func (r *rig) some() []string {
	var out []string
	for p, h := range r.seen {
		out = append(out, fmt.Sprintf("%q:%v", p, h.Urgency))
	}
	slices.Sort(out)
	return out[:min(len(out), 40)]
}

// hinted waits until all paths were hinted at with at least the urgency.
func (r *rig) hinted(least Urgency, paths ...string) {
	r.t.Helper()
	r.until(fmt.Sprintf("%v hints at %q", least, paths), func() bool {
		return !slices.ContainsFunc(paths, func(p string) bool {
			h, ok := r.seen[safety.RelPath(p)]
			return !ok || h.Urgency < least
		})
	})
}

// passed waits until all events of what was done before have been handled: the kernel tells of one instance in order.
func (r *rig) passed() {
	r.t.Helper()
	name := fmt.Sprintf("passed-%d", len(r.seen))
	write(r.t, r.path(name), "x")
	r.hinted(Settled, name)
}

// forget starts anew: what was hinted at so far counts no more.
func (r *rig) forget() {
	r.t.Helper()
	r.passed()
	clear(r.seen)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
