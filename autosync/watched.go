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

// Watched are both sides of a mirror, watched before a live sync begins: [CatchUp], or the building of the mirror, sets the
// watches in the same walk in which it looks at everything, and [Start] goes on with them.
type Watched struct {
	rules    *liveRules
	hidden   *hiddenInodes
	watchers [2]*watch.Watcher // by side
	set      [2]bool           // all watches of the side are, or setting is at it
	setting  sync.WaitGroup
	errs     [2]error // of setting
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
	w.setting.Wait()
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
		Entering: func(p safety.RelPath, d *safety.Dir) { _ = watcher.AddOpen(p, d) }, // only a closed watcher is an error
		Passing:  func(p safety.RelPath) { _ = watcher.AddTree(ctx, p) },
	}
}

// Building is told of the directories by [mirror.Create] (see mirror.Options.Standing), and watches them: the mirror's only
// when all in them is made, which raises no events then.
func (w *Watched) Building(ctx context.Context) mirror.Meeting {
	meeting := w.meeting(ctx, mirror.ProjectSide)
	meeting.Made = w.meeting(ctx, mirror.MirrorSide).Entering
	return meeting
}

// Built notes that the mirror stands. What was made in it beside the project's directories is passed by now.
func (w *Watched) Built(ctx context.Context, m *mirror.Mirror) {
	if w == nil {
		return
	}
	w.set = [2]bool{true, m.Options.Git == mirror.GitNone && len(m.Session.Orphans) == 0}
	w.begin(context.WithoutCancel(ctx)) // until Close
}

// done notes that a scan has met all directories.
func (w *Watched) done() {
	if w != nil {
		w.set = [2]bool{true, true}
	}
}

// begin begins to set the watches that nobody has set yet.
func (w *Watched) begin(ctx context.Context) {
	for side, watcher := range w.watchers {
		if w.set[side] {
			continue
		}
		w.set[side] = true
		w.setting.Go(func() {
			if err := watcher.AddTree(ctx, safety.Top); err != nil {
				w.errs[side] = fmt.Errorf("watch the %s: %w", mirror.Side(side), err)
			}
		})
	}
}

// setAll waits for what begin began.
func (w *Watched) setAll() error {
	w.setting.Wait()
	return errors.Join(w.errs[:]...)
}
