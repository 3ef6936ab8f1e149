package autosync

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/alca-mount/alca-mount/autosync/internal/watch"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// Watched are both sides of a mirror, watched before a live sync begins: [CatchUp] sets the watches in the same walk in
// which it looks at everything, and [Start] goes on with them.
type Watched struct {
	rules    *liveRules
	hidden   *hiddenInodes
	watchers [2]*watch.Watcher // by side
	set      bool              // all watches are
}

// NewWatched makes the watchers of both sides, without any watch. The caller closes it, or gives it to Start.
func NewWatched(ctx context.Context, m *mirror.Mirror, live LiveOptions) (*Watched, error) {
	w := &Watched{rules: newLiveRules(m.Policy), hidden: newHiddenInodes()}
	debounce := live.Debounce
	if debounce == 0 {
		debounce = 20 * time.Millisecond
	}
	for side, root := range [...]*safety.Root{m.Project, m.Root} {
		opts := watch.Options{Backend: watch.Backend(live.Watcher), Root: root, Debounce: debounce, Watch: w.rules.watchedInMirror}
		if mirror.Side(side) == mirror.ProjectSide {
			opts.Watch, opts.Moved = w.rules.watched, func(from, to safety.RelPath) { w.hidden.renamed(root, w.rules.now(), from, to) }
		}
		var err error
		if w.watchers[side], err = watch.New(context.WithoutCancel(ctx), opts); err != nil { // until Close, so that what is under way is synced
			return nil, errors.Join(fmt.Errorf("watch the %s: %w", mirror.Side(side), err), w.Close())
		}
	}
	return w, nil
}

// Close ends the watching. It may be called again.
func (w *Watched) Close() error {
	if w == nil {
		return nil
	}
	var errs []error
	for _, one := range w.watchers {
		if one != nil {
			errs = append(errs, one.Close())
		}
	}
	return errors.Join(errs...)
}

// meeting is what watches the directories that a scan of a side meets. Those that it does not look into are asked about as
// well: hidden ones of the project are watched, and of the mirror it is remembered which are not.
func (w *Watched) meeting(ctx context.Context, side mirror.Side) mirror.Meeting {
	if w == nil {
		return mirror.Meeting{}
	}
	watcher := w.watchers[side]
	return mirror.Meeting{
		Entering: func(p safety.RelPath) { _ = watcher.Add(p) }, // only a closed watcher is an error
		Passing:  func(p safety.RelPath) { _ = watcher.AddTree(ctx, p) },
	}
}

// done notes that a scan has met all directories.
func (w *Watched) done() {
	if w != nil {
		w.set = true
	}
}

// setAll sets the watches, unless a scan has.
func (w *Watched) setAll(ctx context.Context) error {
	if w.set {
		return nil
	}
	var errs [2]error
	var both sync.WaitGroup
	for side, watcher := range w.watchers {
		both.Go(func() {
			if err := watcher.AddTree(ctx, safety.Top); err != nil {
				errs[side] = fmt.Errorf("watch the %s: %w", mirror.Side(side), err)
			}
		})
	}
	both.Wait()
	return errors.Join(errs[:]...)
}
