package watch

import (
	"maps"
	"slices"
	"sync"

	"github.com/alca-mount/alca-mount/safety"
)

// State is how much a Watcher can promise.
type State uint8

const (
	// Healthy: every change is hinted at, save those the package comment names.
	Healthy State = iota
	// Degraded: some changes are not hinted at; scan at the degraded interval.
	Degraded
	// Gone: the root was moved, removed or replaced. It stays so.
	Gone
)

func (s State) String() string { return [...]string{"healthy", "degraded", "gone"}[s] }

// Health is a state of a Watcher. Comparable.
type Health struct {
	State  State
	Reason string // for the user: what is wrong and what to do; empty when healthy
	Rescan uint64 // when not 0: the number of the request to scan everything; answer with Scanned
}

// facts is what a Health follows from.
type facts struct {
	gone     string // why the root is no longer there
	blind    string // why the backend can never promise all
	limit    string // why directories are unwatched
	lost     string // why events were lost
	asked    uint64 // requests so far
	answered uint64 // requests up to this one are answered
	mending  int    // losses whose request has not been made yet
}

// health is the Health that facts amount to. The reason given is the one that needs the user most.
func (f facts) health() Health {
	h := Health{}
	if f.asked > f.answered {
		h.Rescan = f.asked
	}
	for _, why := range []string{f.blind, f.lost, f.limit} {
		if why != "" {
			h.State, h.Reason = Degraded, why
		}
	}
	if f.gone != "" {
		h.State, h.Reason = Gone, f.gone
	}
	return h
}

// answer is f after a complete scan that began when the request was known.
func (f facts) answer(request uint64) facts {
	f.answered = max(f.answered, min(request, f.asked))
	if f.mending == 0 && f.answered == f.asked {
		f.lost = ""
	}
	return f
}

// health keeps the facts and reports what changes.
type health struct {
	changes chan Health // holds the newest that was not received

	mu        sync.Mutex
	facts     facts
	unwatched map[safety.RelPath]string // directories that should be watched and are not, and why
	last      Health
}

func newHealth() *health {
	return &health{changes: make(chan Health, 1), unwatched: map[safety.RelPath]string{}}
}

func (h *health) now() Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

// change changes the facts and reports the Health if it is another now.
func (h *health) change(do func(f *facts)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	do(&h.facts)
	now := h.facts.health()
	if now == h.last {
		return
	}
	h.last = now
	select {
	case <-h.changes: // a newer one replaces it
	default:
	}
	h.changes <- now // only change sends, and under the lock
}

func (h *health) gone(why string)  { h.change(func(f *facts) { f.gone = why }) }
func (h *health) blind(why string) { h.change(func(f *facts) { f.blind = why }) }

// losing notes that events were lost. A call of ask follows; no scan that begins before it finds all.
func (h *health) losing(why string) {
	h.change(func(f *facts) { f.lost, f.mending = why, f.mending+1 })
}

// ask asks for a scan: one that begins from now on finds all.
func (h *health) ask() {
	h.change(func(f *facts) { f.asked, f.mending = f.asked+1, f.mending-1 })
}

func (h *health) scanned(request uint64) {
	h.change(func(f *facts) { *f = f.answer(request) })
}

// miss notes that the directory p is not watched though it should be.
func (h *health) miss(p safety.RelPath, why string) {
	h.change(func(f *facts) {
		h.unwatched[p] = why
		f.limit = why
	})
}

// settle notes that the directory p is watched, or is none any more.
func (h *health) settle(p safety.RelPath) {
	h.mu.Lock()
	_, was := h.unwatched[p]
	h.mu.Unlock()
	if !was {
		return
	}
	h.change(func(f *facts) {
		delete(h.unwatched, p)
		f.limit = h.anyReason()
	})
}

func (h *health) forget(dir safety.RelPath) {
	h.change(func(f *facts) {
		maps.DeleteFunc(h.unwatched, func(p safety.RelPath, _ string) bool { return p.In(dir) })
		f.limit = h.anyReason()
	})
}

// anyReason is why the first of the unwatched directories is not watched.
func (h *health) anyReason() string {
	first, why := safety.RelPath(""), ""
	for p, reason := range h.unwatched {
		if first == "" || p < first {
			first, why = p, reason
		}
	}
	return why
}

func (h *health) missing() []safety.RelPath {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.unwatched))
}
