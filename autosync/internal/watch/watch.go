// Package watch tells which paths below one root may have changed, and says so when it cannot tell them all.
//
// A [Hint] proves nothing: hints come in any order, late, and for paths that did not change. The caller looks at the
// path itself. What was lost is never lost in silence: the [Health] turns Degraded and asks for a scan of everything.
//
// It watches the directories that [Options.Watch] wants, and no others; it follows no symbolic link below the root.
//
// No watcher sees stores into a mapped file, changes made through a name of the file outside the tree, writes that
// follow the linkat of an unnamed file (its [Hint] says Probe: look again while it has a writer), or a file system
// that is mounted over a watched directory. Callers scan now and then even while healthy.
package watch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/alca-mount/alca-mount/safety"
)

// Backend names a way to watch.
type Backend string

// The backends. Auto is Inotify on Linux and Notify elsewhere.
//
// Notify is one recursive watch on macOS and Windows. On Linux it watches each directory; there, on Windows, and on
// macOS without FSEvents it drops events without a word, so that a Watcher of it is Degraded from start to end.
const (
	Auto    Backend = "auto"
	Inotify Backend = "inotify"
	Notify  Backend = "notify"
)

// DefaultDebounce is how long repeats of one path are held together.
const DefaultDebounce = 50 * time.Millisecond

// ErrClosed means that the Watcher was closed.
var ErrClosed = errors.New("the watcher is closed")

// Options of New.
type Options struct {
	Backend Backend // "" is Auto
	Root    *safety.Root
	// Watch reports whether the directory p is watched. It is asked about directories only, and not about those
	// below one that it refused; Top always is. It must be safe for concurrent use. Nil: all are.
	Watch func(p safety.RelPath) bool
	// Moved is called for each entry that was renamed within what is watched, before the hints of it are delivered, by
	// the one goroutine that reads events: it must not wait. Not every backend knows of renames. Nil: none is told.
	Moved func(from, to safety.RelPath)
	// Debounce is the shortest time between two hints of one path that say no more than each other; the first comes
	// at once, the last is never dropped. 0 is DefaultDebounce; negative: none.
	Debounce time.Duration
}

// Watcher watches the directories that it was given by Add and AddTree, and by itself those made below them.
// Its methods may be called concurrently.
type Watcher struct {
	root    *safety.Root
	want    func(safety.RelPath) bool
	moved   func(from, to safety.RelPath)
	backend backend
	health  *health
	post    *post

	ctx   context.Context
	stop  context.CancelFunc
	close sync.Once
	ended error
}

// backend is a way to learn of changes. It hands what it learns to the Watcher's tell, arrive, lost and checkRoot.
type backend interface {
	// watch sets the watch of the directory p where there is none; d, if not nil, is p as the caller has it open. It returns
	// errNoDir or errUnreadable where p is nothing to watch; any other error leaves a directory unwatched that should be.
	watch(p safety.RelPath, d *safety.Dir) error
	// forget takes the watches of p and of all below it away.
	forget(p safety.RelPath)
	// rewatched is called with a walk that watches everything anew; watches that it did not meet are taken away.
	rewatched(walk func())
	close() error
}

var (
	errNoDir      = errors.New("no directory")
	errUnreadable = errors.New("not permitted to read")
)

// New starts a watcher. It watches nothing until AddTree or Add is called, so that a caller that walks the tree anyway
// can add each directory before listing it. A limit of the system is no error but makes the Watcher Degraded.
func New(ctx context.Context, opts Options) (*Watcher, error) {
	w := &Watcher{root: opts.Root, want: opts.Watch, moved: opts.Moved, health: newHealth()}
	if w.want == nil {
		w.want = func(safety.RelPath) bool { return true }
	}
	if w.moved == nil {
		w.moved = func(safety.RelPath, safety.RelPath) {}
	}
	w.ctx, w.stop = context.WithCancel(ctx)
	w.post = newPost(debounceOf(opts.Debounce), w.fellBehind)
	var err error
	if w.backend, err = newBackend(opts.Backend, w); err != nil {
		w.stop()
		w.post.close()
		return nil, fmt.Errorf("watch %q: %w", opts.Root.Path(), err)
	}
	context.AfterFunc(w.ctx, func() { w.Close() })
	return w, nil
}

func debounceOf(d time.Duration) time.Duration {
	if d == 0 {
		return DefaultDebounce
	}
	return max(d, 0)
}

func newBackend(name Backend, w *Watcher) (backend, error) {
	switch name {
	case Auto, "":
		return newAuto(w)
	case Inotify:
		return newInotify(w)
	case Notify:
		return newNotify(w)
	}
	return nil, fmt.Errorf("no watcher is called %q: use auto, inotify or notify", string(name))
}

// Hints delivers what may have changed, each path at most once in a batch. A path's changes before the receipt are
// covered by it. It is closed by Close.
func (w *Watcher) Hints() <-chan []Hint { return w.post.out }

// Health is the state of the watcher now.
func (w *Watcher) Health() Health { return w.health.now() }

// HealthChanges delivers each new Health once. When the receiver is slow it gets the newest and misses those between.
func (w *Watcher) HealthChanges() <-chan Health { return w.health.changes }

// Add watches the directory p, which the caller is about to list or has just made and not yet filled. Nothing in it is
// hinted at: watch first, then list. Directories that can't be watched for a limit are reported by Health and tried
// again by Scanned. The directory above p is added before p. A p that is gone, or none, is no error: the only one wraps
// ErrClosed.
func (w *Watcher) Add(p safety.RelPath) error { return w.AddOpen(p, nil) }

// AddOpen is Add for who has the directory open, as d: that takes half the time. By d it is told too whether p is another
// directory by now.
func (w *Watcher) AddOpen(p safety.RelPath, d *safety.Dir) error {
	if w.ctx.Err() != nil {
		return fmt.Errorf("watch %q: %w", p, ErrClosed)
	}
	w.enter(p, d)
	return nil
}

// AddTree watches p and all wanted directories below it, without hints: callers scan after it.
// It returns early when ctx is done, with its error.
func (w *Watcher) AddTree(ctx context.Context, p safety.RelPath) error {
	if w.ctx.Err() != nil {
		return fmt.Errorf("watch %q: %w", p, ErrClosed)
	}
	w.walk(ctx, p, nil)
	return ctx.Err()
}

// Forget takes the watches of p and all below away, when rules changed so that Options.Watch no longer wants them.
func (w *Watcher) Forget(p safety.RelPath) {
	w.backend.forget(p)
	w.health.forget(p)
}

// Scanned tells that a scan of everything, which began after the rescan request with this number was seen in a Health,
// is complete. It also tries again to watch the directories that a limit kept unwatched; what is found in them is
// hinted at. Callers in a Degraded state call it after each full scan.
func (w *Watcher) Scanned(request uint64) {
	for _, p := range w.health.missing() {
		w.arrive(p)
	}
	w.health.scanned(request)
}

// Close stops watching and closes Hints. It returns when all is stopped; the error is the backend's.
func (w *Watcher) Close() error {
	w.close.Do(func() {
		w.stop()
		w.ended = w.backend.close()
		w.post.close()
	})
	return w.ended
}

// tell passes hints on; it does not wait for the receiver. The slice may be used again.
func (w *Watcher) tell(hints []Hint) {
	if len(hints) > 0 {
		w.post.put(hints)
	}
}

// lost notes that events were dropped. Directories may have come and gone unseen, so watches are set anew before the
// caller is asked to scan: a scan before that could miss what is made in a directory that is not watched yet.
func (w *Watcher) lost(why string) {
	w.health.losing(why)
	w.backend.rewatched(func() { w.walk(w.ctx, safety.Top, nil) })
	w.health.ask()
}

// fellBehind notes that hints were dropped because nobody took them. The watches are all there.
func (w *Watcher) fellBehind() {
	w.health.losing("changes came faster than they were looked at")
	w.health.ask()
}

// checkRoot looks whether the root still is the directory that was opened.
func (w *Watcher) checkRoot() {
	if err := w.root.Verify(); errors.Is(err, safety.ErrGone) {
		w.health.gone(err.Error())
	}
}
