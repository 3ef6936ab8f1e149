package watch

import (
	"path/filepath"
	"strings"
	"sync"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/rjeczalik/notify"
)

// notifier is the backend over rjeczalik/notify.
//
// It keeps what was watched once for watched: a directory that was removed and made again at the same path is not
// watched again on Linux, and no single watch can be taken away. Events of unwanted directories are dropped here.
type notifier struct {
	w      *Watcher
	events chan notify.EventInfo
	quit   chan struct{}
	reader sync.WaitGroup
	setup  notifySetup
}

// notifyRoom is how many events may wait. notify drops what finds no room, without a word.
const notifyRoom = 1 << 16

func newNotify(w *Watcher) (backend, error) {
	n := &notifier{w: w, events: make(chan notify.EventInfo, notifyRoom), quit: make(chan struct{})}
	if why := notifyBlind(); why != "" {
		w.health.blind(why)
	}
	n.reader.Go(n.read)
	return n, nil
}

func (n *notifier) watch(p safety.RelPath, _ *safety.Dir) error {
	if n.w.ctx.Err() != nil {
		return ErrClosed
	}
	info, err := n.w.root.Lstat(p)
	if err != nil || info.Kind != safety.Directory {
		return errNoDir
	}
	// RACE: by now p may be a link that leads outside. Events from there have a path outside and are dropped.
	return n.setup.watch(p, filepath.Join(n.w.root.Path(), filepath.FromSlash(string(p))), n.events)
}

func (n *notifier) forget(safety.RelPath) {}

func (n *notifier) rewatched(walk func()) { walk() }

func (n *notifier) close() error {
	close(n.quit)
	n.reader.Wait() // nothing sets watches any more
	notify.Stop(n.events)
	return nil
}

func (n *notifier) read() {
	var hints []Hint
	for {
		select {
		case <-n.quit:
			return
		case ev := <-n.events:
			if n.full() {
				continue
			}
			hints = n.handle(hints, ev)
		}
		if len(n.events) == 0 {
			n.w.tell(hints)
			hints = nil
		}
	}
}

// full reports whether events may have been dropped: that happens only while the channel is full, and nobody but read
// takes from it. Those in it are dropped too then: all is to be scanned.
func (n *notifier) full() bool {
	if len(n.events) < cap(n.events)-1 {
		return false
	}
	for len(n.events) > 0 {
		<-n.events
	}
	n.w.lost("changes came faster than they were taken from the watcher")
	return true
}

// handle adds the hints that an event calls for.
func (n *notifier) handle(hints []Hint, ev notify.EventInfo) []Hint {
	what, urgency := n.meaningOf(ev)
	if what == overflow {
		n.w.lost("the system dropped events")
		return hints
	}
	p, ok := n.rel(ev.Path())
	if !ok {
		return hints
	}
	if p == safety.Top {
		n.w.checkRoot()
		return append(hints, Hint{Path: p, Urgency: Probe, IsDir: true})
	}
	hints = append(hints, Hint{Path: p, Urgency: urgency, IsDir: what != changed, Away: true, NewDir: what == came})
	if what == came {
		n.w.arrive(p)
	}
	return hints
}

// rel is the path below the root, when all directories above it are wanted.
func (n *notifier) rel(path string) (safety.RelPath, bool) {
	rest, ok := strings.CutPrefix(path, n.w.root.Path())
	if !ok {
		return "", false
	}
	if rest == "" {
		return safety.Top, true
	}
	p, err := safety.ParseRelPath(strings.TrimPrefix(filepath.ToSlash(rest), "/"))
	if err != nil || rest[0] != filepath.Separator {
		return "", false
	}
	for _, dir := range p.Parents() {
		if !n.w.want(dir) {
			return "", false
		}
	}
	return p, true
}
