package autosync

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/alca-mount/alca-mount/autosync/internal/watch"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// Syncer keeps a mirror and its project in step until it is stopped. Its methods may be called concurrently.
type Syncer struct {
	m        *mirror.Mirror
	watched  *Watched
	watchers [2]*watch.Watcher // watched's, by side
	cancel   context.CancelFunc
	ready    chan struct{} // closed after the first scan was worked off
	done     chan struct{} // closed when the loop has ended
	stuck    chan struct{} // closed when syncing halts
	asks     chan ask
	scans    chan scanned

	// The loop's own.
	e        *engine
	queue    *queue
	deleted  *deletions
	hidden   *hiddenInodes
	rules    *liveRules
	configs  *configs
	guarded  map[safety.RelPath]bool                   // guarded entries that the agent made
	away     map[safety.RelPath]bool                   // of the mirror: may have been moved to where nothing is watched
	endsDue  time.Time                                 // when the journal is written to again that could not be; zero: it could
	standing map[EventType]map[safety.RelPath]PathNote // what does not cross, by what it is reported as
	feeds    *feeds
	barred   map[safety.RelPath]PathNote
	unwell   bool // degraded was told, healthy not since
	halted   error
	scanning bool
	askers   []ask // wait for the scan that runs
	next     []ask // came while it ran: for the one after
	draining []draining

	shrinking sync.WaitGroup // gives memory back

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
	scan  bool   // scan everything first
	do    func() // done by the loop first; nil: nothing
	reply chan answer
}

type answer struct {
	carried int
	err     error
}

// draining are asks whose scan has ended and whose paths are not all worked off: deletions wait for a while.
type draining struct {
	asks  []ask
	paths []safety.RelPath
	until time.Time
}

// drainMost bounds the wait for paths that change on and on, or have writers.
const drainMost = 3 * time.Second

// scanned is what a scan of everything found.
type scanned struct {
	paths    []safety.RelPath
	requests [2]uint64 // the watchers' rescan requests that it answers
	err      error
}

// LiveOptions are what Start takes besides Options. The zero value is the default.
type LiveOptions struct {
	Watcher  string        // "auto", "inotify", "notify"; "": auto
	Debounce time.Duration // repeats of one path within it are looked at together; 0: 20 ms
	// Configured reads rules that stand elsewhere than in the project's rule files. It is called at the start, and in the
	// loop whenever one of their files may have changed; they count where they hide more. Nil: there are none.
	Configured   func() (Configured, error)
	Watched      *Watched       // what CatchUp or the building has watched already, with the same Watcher and Debounce; Start closes it. Nil: nothing
	ScanInterval *time.Duration // between full reconciles; 0 pointed to: none; nil: by their cost, at most 30 minutes
}

// Start watches both sides, brings them into step and keeps them so. The caller has the session's lock.
// Deletions are carried; opts.Deletes, Paths and DryRun have no meaning here.
func Start(ctx context.Context, m *mirror.Mirror, opts Options, live LiveOptions) (*Syncer, error) {
	w, err := live.Watched, error(nil)
	if m.Session.Interrupted() {
		return nil, errors.Join(w.Close(), fmt.Errorf("session %s: %w", m.Session.ID, ErrInterrupted))
	}
	opts.Deletes, opts.Paths, opts.OnlyToProject = true, nil, false
	feeds := newFeeds(opts.Events)
	opts.Events = feeds.tell
	if w == nil {
		if w, err = NewWatched(ctx, m, live); err != nil {
			return nil, err
		}
	}
	w.begin(ctx) // meanwhile
	e, err := openEngine(m, opts)
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	s := &Syncer{
		m: m, e: e, queue: newQueue(), watched: w, watchers: w.watchers, hidden: w.hidden, rules: w.rules, configs: newConfigs(live.Configured), away: map[safety.RelPath]bool{}, guarded: map[safety.RelPath]bool{},
		barred:   map[safety.RelPath]PathNote{},
		standing: map[EventType]map[safety.RelPath]PathNote{Refused: {}, Held: {}, Orphan: {}}, feeds: feeds,
		ready: make(chan struct{}), done: make(chan struct{}), stuck: make(chan struct{}), asks: make(chan ask), scans: make(chan scanned, 1),
	}
	if err := s.learnFollowed(ctx); err != nil {
		return nil, errors.Join(err, w.Close(), e.close())
	}
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx)) // ends by Stop, so that what is under way is synced
	s.startConfigured(ctx)
	if err := w.setAll(); err != nil {
		s.cancel()
		return nil, errors.Join(err, s.closeWatchers(), e.close())
	}
	e.remembers = func(v *view, l *limits) { // of everything: nothing waits beside it
		clear(s.deleted.meant)
		s.remember(v, l)
	}
	e.learns = func(v *view, pl plan) { s.deleted.note(m.Base, v, pl) }
	go s.loop(ctx, newPace(live))
	return s, nil
}

// learnFollowed tells the guard where the project's guarded links lead, where the base has none of them.
func (s *Syncer) learnFollowed(ctx context.Context) error {
	if s.m.Options.Links == mirror.KeepLinks {
		return nil
	}
	project, err := s.m.Scan(ctx, mirror.ProjectSide)
	if err == nil {
		s.e.guard.learn(project)
	}
	return err
}

// learnBase takes from the whole base what the passes need of it, which see a few paths only. CMD need not wait for it.
func (s *Syncer) learnBase() {
	s.deleted = newDeletions(s.m.Base)
	if s.m.Options.Links == mirror.KeepLinks {
		s.e.guard.learnBase(s.m.Base)
	}
}

func (s *Syncer) closeWatchers() error {
	s.configs.close()
	return s.watched.Close()
}

// loop is the one owner of the engine until Stop.
func (s *Syncer) loop(ctx context.Context, pace *pace) {
	defer close(s.done)
	s.scan(ctx, pace)
	s.learnBase()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	woken, rest := wakeUps()
	defer rest()
	for s.halted == nil {
		timer.Reset(s.wait(pace))
		select {
		case <-ctx.Done():
			return
		case hints := <-s.watchers[mirror.ProjectSide].Hints():
			s.takeProject(ctx, hints)
		case hints := <-s.watchers[mirror.MirrorSide].Hints():
			s.takeMirror(hints)
		case <-s.watchers[mirror.ProjectSide].HealthChanges():
			s.healthChanged(pace)
		case <-s.watchers[mirror.MirrorSide].HealthChanges():
			s.healthChanged(pace)
		case found := <-s.scans:
			s.scanDone(ctx, found, pace)
		case a := <-s.asks:
			s.answer(ctx, a)
		case <-s.configs.moved:
			s.rulesChanged(ctx)
		case <-woken:
			pace.hurry(time.Now())
		case <-timer.C:
		}
		pace.tick(time.Now())
		s.work(ctx)
		s.endAgain()
		s.drained()
		if !s.scanning && (pace.due(time.Now()) || len(s.next) > 0) {
			s.scan(ctx, pace)
		}
	}
	s.refuse(ctx)
}

// refuse answers those who ask after syncing has halted.
func (s *Syncer) refuse(ctx context.Context) {
	for _, d := range s.draining {
		s.askers = append(s.askers, d.asks...)
	}
	for _, a := range append(s.askers, s.next...) {
		a.reply <- answer{s.carried(), s.halted}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-s.asks:
			if a.do != nil {
				a.do()
			}
			a.reply <- answer{s.carried(), s.halted}
		case <-s.watchers[mirror.ProjectSide].Hints():
		case <-s.watchers[mirror.MirrorSide].Hints():
		}
	}
}

// wait is the time until something is due.
func (s *Syncer) wait(pace *pace) time.Duration {
	until := time.Now().Add(clockLook)
	if !s.scanning && pace.next.Before(until) {
		until = pace.next
	}
	if due, ok := s.queue.next(); ok && due.Before(until) {
		until = due
	}
	if !s.endsDue.IsZero() && s.endsDue.Before(until) {
		until = s.endsDue
	}
	for _, d := range s.draining {
		if d.until.Before(until) {
			until = d.until
		}
	}
	return max(time.Until(until), 0)
}

// takeProject takes in hints of the project. What is hidden is remembered and not looked at any further.
func (s *Syncer) takeProject(ctx context.Context, hints []watch.Hint) {
	now := time.Now()
	changed := false
	for _, h := range hints {
		changed = changed || s.isRules(h.Path)
	}
	if changed {
		s.rulesChanged(ctx)
	}
	var hidden []safety.RelPath
	for _, h := range hints {
		if isHidden(s.m.Policy, h.Path) {
			hidden = append(hidden, h.Path)
			continue
		}
		s.take(h, now)
	}
	s.hidden.note(s.m, hidden)
}

func (s *Syncer) takeMirror(hints []watch.Hint) {
	now := time.Now()
	for _, h := range hints {
		if h.Away {
			s.away[h.Path] = true
		}
		s.take(h, now)
	}
}

func (s *Syncer) take(h watch.Hint, now time.Time) {
	if h.Urgency == watch.Busy { // a look at each write of a big file would cost more than the writing
		s.queue.hint(h.Path, now, writerQuiet, true)
		return
	}
	s.queue.hint(h.Path, now, 0, false)
	if h.NewDir {
		s.hintBelow(h.Path, now)
	}
}

// hintBelow hints at all that the base has in a directory: another one is in its place, and nobody names what that had not.
func (s *Syncer) hintBelow(dir safety.RelPath, now time.Time) {
	for name, e := range s.m.Base.In(dir) {
		p := dir.Join(name)
		s.queue.hint(p, now, 0, false)
		if e.State.Kind == safety.Directory {
			s.hintBelow(p, now)
		}
	}
}

// scan begins a scan of everything beside the loop.
func (s *Syncer) scan(ctx context.Context, pace *pace) {
	if s.scanning {
		return
	}
	s.scanning = true
	pace.begin(time.Now())
	s.askers, s.next = append(s.askers, s.next...), nil
	requests := [2]uint64{s.watchers[0].Health().Rescan, s.watchers[1].Health().Rescan}
	m := *s.m // with the rules of now: the loop may change them meanwhile
	go func() {
		s.hidden.walk(ctx, &m)
		paths, err := scanMoved(ctx, &m)
		s.scans <- scanned{paths, requests, err}
	}()
}

func (s *Syncer) scanDone(ctx context.Context, found scanned, pace *pace) {
	s.scanning = false
	now := time.Now()
	pace.scanned(now, s.healthy())
	if gone := s.e.verify(); gone != nil { // a detached mount raises no event, and looks as it did
		s.halt(gone)
		return
	}
	for _, p := range found.paths {
		s.queue.found(p, now)
	}
	s.work(ctx)
	s.e.settleLateWriters(false)
	if s.halted != nil {
		return
	}
	if found.err != nil {
		s.scanFailed(ctx, found.err)
		return
	}
	for side, w := range s.watchers {
		w.Scanned(found.requests[side])
	}
	s.rescan(pace)
	s.announceReady()
	// What the scan took, or the building of the mirror before the first, is many times what is needed from now on. The
	// runtime would keep it until it needs to look.
	s.shrinking.Go(debug.FreeOSMemory)
	d := draining{asks: s.askers, until: now.Add(drainMost)}
	s.askers = nil
	for _, p := range found.paths {
		if s.queue.waits(p) {
			d.paths = append(d.paths, p)
		}
	}
	if len(d.asks) > 0 {
		s.draining = append(s.draining, d)
	}
}

// scanFailed tells those who wait for the scan. A root that is gone halts; else the next scan may go well.
func (s *Syncer) scanFailed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if gone := s.e.verify(); gone != nil {
		s.halt(gone)
		return
	}
	for _, a := range s.askers {
		a.reply <- answer{s.carried(), err}
	}
	s.askers = nil
}

func (s *Syncer) announceReady() {
	select {
	case <-s.ready:
	default:
		close(s.ready)
		s.e.emit(Ready, "", 0, "", "")
	}
}

// drained answers asks all of whose paths were worked off, or waited for long enough.
func (s *Syncer) drained() {
	if s.halted != nil {
		return
	}
	now := time.Now()
	s.draining = slices.DeleteFunc(s.draining, func(d draining) bool {
		if now.Before(d.until) && slices.ContainsFunc(d.paths, s.queue.waits) {
			return false
		}
		for _, a := range d.asks {
			a.reply <- answer{s.carried(), nil}
		}
		return true
	})
}

// healthChanged tells of the watchers' health when it turns, and sees to the scans that they ask for.
func (s *Syncer) healthChanged(pace *pace) {
	for _, w := range s.watchers {
		if w.Health().State != watch.Gone {
			continue
		}
		if err := s.e.verify(); err != nil {
			s.halt(err)
			return
		}
	}
	healthy := s.healthy()
	if healthy == s.unwell {
		s.unwell = !healthy
		pace.turn(time.Now(), healthy)
		if healthy {
			s.e.emit(Healthy, "", 0, "", "")
		} else {
			s.e.emit(Degraded, "", 0, s.healthReason(), "")
			pace.hurry(time.Now())
		}
	}
	s.rescan(pace)
}

// rescan sees to it that a scan follows that a watcher asks for and none under way answers.
func (s *Syncer) rescan(pace *pace) {
	for _, w := range s.watchers {
		if !s.scanning && w.Health().Rescan != 0 {
			pace.hurry(time.Now())
		}
	}
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
	if a.do != nil {
		a.do()
		a.reply <- answer{}
		return
	}
	if a.scan {
		s.next = append(s.next, a)
		return
	}
	s.work(ctx)
	a.reply <- answer{s.carried(), s.halted}
}
