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

// Syncer keeps a mirror and its project in step until it is stopped. Its methods may be called concurrently.
type Syncer struct {
	m        *mirror.Mirror
	watchers [2]*watch.Watcher // by side
	cancel   context.CancelFunc
	ready    chan struct{} // closed after the first scan was worked off
	done     chan struct{} // closed when the loop has ended
	stuck    chan struct{} // closed when syncing halts
	asks     chan ask
	scans    chan scanned

	// The loop's own.
	e          *engine
	queue      *queue
	startFiles int
	unseen     map[safety.RelPath]bool
	told       map[string]bool
	halted     error
	scanning   bool
	askers     []ask // wait for the scan that runs
	next       []ask // came while it ran: for the one after

	stop    sync.Once
	stopped stopped
}

type stopped struct {
	changes Changes
	drained bool
	err     error
}

// ask is a question to the loop; its answer is how many changes were carried by the time it is answered.
type ask struct {
	scan  bool // scan everything first
	reply chan int
}

// scanned is what a scan of everything found.
type scanned struct {
	paths    []safety.RelPath
	requests [2]uint64 // the watchers' rescan requests that it answers
	err      error
}

// LiveOptions are what Start takes besides Options. The zero value is the default.
type LiveOptions struct {
	Watcher      string         // "auto", "inotify", "notify"; "": auto
	Debounce     time.Duration  // repeats of one path within it are looked at together; 0: 20 ms
	ScanInterval *time.Duration // between full reconciles; 0 pointed to: none; nil: by their cost, at most 30 minutes
}

// Start watches both sides, brings them into step and keeps them so. The caller has the session's lock.
// Deletions are carried; opts.Deletes, Paths and DryRun have no meaning here.
func Start(ctx context.Context, m *mirror.Mirror, opts Options, live LiveOptions) (*Syncer, error) {
	opts.Deletes, opts.Paths, opts.OnlyToProject = true, nil, false
	e, err := openEngine(m, opts)
	if err != nil {
		return nil, err
	}
	s := &Syncer{
		m: m, e: e, queue: newQueue(), unseen: map[safety.RelPath]bool{}, told: map[string]bool{},
		ready: make(chan struct{}), done: make(chan struct{}), stuck: make(chan struct{}), asks: make(chan ask), scans: make(chan scanned, 1),
	}
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx)) // ends by Stop, so that what is under way is synced
	if err := s.watch(ctx, live); err != nil {
		return nil, errors.Join(err, s.closeWatchers(), e.close())
	}
	for _, entry := range m.Base.All() {
		if entry.State.Kind == safety.File {
			s.startFiles++
		}
	}
	go s.loop(ctx, newPace(live))
	return s, nil
}

func (s *Syncer) watch(ctx context.Context, live LiveOptions) error {
	debounce := live.Debounce
	if debounce == 0 {
		debounce = 20 * time.Millisecond
	}
	for side, root := range [...]*safety.Root{s.m.Project, s.m.Root} {
		w, err := watch.New(ctx, watch.Options{
			Backend: watch.Backend(live.Watcher), Root: root, Debounce: debounce,
			Watch: func(p safety.RelPath) bool { return s.m.Policy.Access(string(p), true).Mirrored() },
		})
		if err != nil {
			return fmt.Errorf("watch the %s: %w", mirror.Side(side), err)
		}
		s.watchers[side] = w
		if err := w.AddTree(ctx, safety.Top); err != nil {
			return fmt.Errorf("watch the %s: %w", mirror.Side(side), err)
		}
	}
	return nil
}

func (s *Syncer) closeWatchers() error {
	var errs []error
	for _, w := range s.watchers {
		if w != nil {
			errs = append(errs, w.Close())
		}
	}
	return errors.Join(errs...)
}

// loop is the one owner of the engine until Stop.
func (s *Syncer) loop(ctx context.Context, pace *pace) {
	defer close(s.done)
	s.scan(ctx)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(s.wait(pace))
		select {
		case <-ctx.Done():
			return
		case hints := <-s.watchers[mirror.ProjectSide].Hints():
			s.take(hints)
		case hints := <-s.watchers[mirror.MirrorSide].Hints():
			s.take(hints)
		case <-s.watchers[mirror.ProjectSide].HealthChanges():
			s.healthChanged(ctx, pace)
		case <-s.watchers[mirror.MirrorSide].HealthChanges():
			s.healthChanged(ctx, pace)
		case found := <-s.scans:
			s.scanDone(ctx, found, pace)
		case a := <-s.asks:
			s.answer(ctx, a)
		case <-timer.C:
		}
		s.work(ctx)
		if pace.due(time.Now()) {
			s.scan(ctx)
		}
	}
}

// wait is the time until something is due.
func (s *Syncer) wait(pace *pace) time.Duration {
	until := pace.next
	if due, ok := s.queue.next(); ok && due.Before(until) {
		until = due
	}
	return max(time.Until(until), 0)
}

func (s *Syncer) take(hints []watch.Hint) {
	now := time.Now()
	for _, h := range hints {
		s.queue.hint(h.Path, now, 0, false)
	}
}

// scan begins a scan of everything beside the loop, unless one runs.
func (s *Syncer) scan(ctx context.Context) {
	if s.scanning {
		return
	}
	s.scanning = true
	s.askers, s.next = append(s.askers, s.next...), nil
	requests := [2]uint64{s.watchers[0].Health().Rescan, s.watchers[1].Health().Rescan}
	go func() {
		paths, err := scanMoved(ctx, s.m)
		s.scans <- scanned{paths, requests, err}
	}()
}

func (s *Syncer) scanDone(ctx context.Context, found scanned, pace *pace) {
	s.scanning = false
	now := time.Now()
	pace.scanned(now, s.healthy())
	for _, p := range found.paths {
		s.queue.hint(p, now, 0, false)
	}
	s.work(ctx)
	if found.err == nil {
		for side, w := range s.watchers {
			w.Scanned(found.requests[side])
		}
		select {
		case <-s.ready:
		default:
			close(s.ready)
			s.e.emit(Ready, "", 0, "", "")
		}
	}
	for _, a := range s.askers {
		a.reply <- s.carried()
	}
	s.askers = nil
	if len(s.next) > 0 {
		s.scan(ctx)
	}
}

func (s *Syncer) healthChanged(ctx context.Context, pace *pace) {
	healthy := s.healthy()
	if healthy == pace.healthy {
		return
	}
	pace.turn(time.Now(), healthy)
	if healthy {
		s.e.emit(Healthy, "", 0, "", "")
		return
	}
	s.e.emit(Degraded, "", 0, s.healthReason(), "")
	s.scan(ctx)
}

func (s *Syncer) healthReason() string {
	for side, w := range s.watchers {
		if h := w.Health(); h.State != watch.Healthy {
			return fmt.Sprintf("%s: %s", mirror.Side(side), h.Reason)
		}
	}
	return ""
}

func (s *Syncer) healthy() bool {
	return s.watchers[0].Health().State == watch.Healthy && s.watchers[1].Health().State == watch.Healthy
}

func (s *Syncer) carried() int {
	return len(s.e.changes.ToProject) + len(s.e.changes.ToMirror) + len(s.e.changes.Deleted)
}

func (s *Syncer) answer(ctx context.Context, a ask) {
	if a.scan {
		s.next = append(s.next, a)
		s.scan(ctx)
		return
	}
	s.work(ctx)
	a.reply <- s.carried()
}
