package autosync

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/safety"
)

// at is a time of these tests, in milliseconds.
func at(ms int) time.Time { return time.UnixMilli(1_000_000 + int64(ms)) }

const ms = time.Millisecond

func taken(q *queue, now time.Time) []safety.RelPath {
	var out []safety.RelPath
	for _, w := range q.take(now, 1000) {
		out = append(out, w.path)
	}
	return out
}

func TestQueueGivesWhatIsDueEarliestFirst(t *testing.T) {
	q := newQueue()
	q.hint("c", at(0), 30*ms, false)
	q.hint("b", at(0), 10*ms, false)
	q.hint("a", at(0), 10*ms, false)
	if due, ok := q.next(); !ok || due != at(10) {
		t.Errorf("next: %v, %v", due, ok)
	}
	if got := taken(q, at(9)); got != nil {
		t.Errorf("before its time: %v", got)
	}
	if got := taken(q, at(10)); !slices.Equal(got, []safety.RelPath{"a", "b"}) {
		t.Errorf("taken %v", got)
	}
	if got := taken(q, at(100)); !slices.Equal(got, []safety.RelPath{"c"}) {
		t.Errorf("taken %v", got)
	}
	if _, ok := q.next(); ok {
		t.Error("an empty queue has a next")
	}
}

func TestQueueTakesNoMoreThanAsked(t *testing.T) {
	q := newQueue()
	for _, p := range []safety.RelPath{"a", "b", "c"} {
		q.hint(p, at(0), 0, false)
	}
	if got := q.take(at(0), 2); len(got) != 2 || !q.waits("c") || q.waits("a") {
		t.Errorf("taken %v", got)
	}
}

func TestQueueHintMakesSoonerNeverLater(t *testing.T) {
	q := newQueue()
	q.hint("a", at(0), 50*ms, false)
	q.hint("a", at(10), 0, false)
	if due, _ := q.next(); due != at(10) {
		t.Errorf("due %v, want sooner", due)
	}
	q.hint("a", at(11), 50*ms, false)
	if due, _ := q.next(); due != at(10) {
		t.Errorf("due %v: a hint put it off", due)
	}
	if w := q.take(at(99), 9)[0]; w.since != at(11) {
		t.Errorf("since %v, want that of the last hint", w.since)
	}
}

func TestQueueBusyBeginsTheWaitAnew(t *testing.T) {
	q := newQueue()
	q.hint("a", at(0), 100*ms, true)
	q.hint("a", at(90), 100*ms, true)
	if due, _ := q.next(); due != at(190) {
		t.Errorf("due %v", due)
	}
	q.hint("a", at(95), 0, false) // closed
	if due, _ := q.next(); due != at(95) {
		t.Errorf("after closing due %v", due)
	}
}

// A deletion that waits would wait for ever if each scan began its wait anew.
func TestQueueScanBeginsNoWaitAnew(t *testing.T) {
	q := newQueue()
	q.back(waiting{path: "a", since: at(0)}, at(250))
	if w := q.get("a", at(100)); w.since != at(0) {
		t.Errorf("get: %+v", w)
	}
	q.found("a", at(100))
	w := q.take(at(100), 1)
	if len(w) != 1 || w[0].since != at(0) {
		t.Errorf("taken %+v", w)
	}
	q.found("b", at(300))
	if got := taken(q, at(300)); !slices.Equal(got, []safety.RelPath{"b"}) {
		t.Errorf("taken %v", got)
	}
}

func TestQueueBackKeepsTheFirstHintAndYieldsToNewerOnes(t *testing.T) {
	q := newQueue()
	q.hint("a", at(0), 0, false)
	for now := range 3 {
		w := q.take(at(now), 1)[0]
		if w.tries != 0 || w.since != at(0) {
			t.Errorf("%+v, want no tries", w)
		}
		q.back(w, at(now+1))
	}
	w := q.take(at(9), 1)[0]
	q.hint("a", at(10), 0, false)
	q.back(w, at(500))
	if due, _ := q.next(); due != at(10) {
		t.Errorf("due %v: what was put back hides the newer hint", due)
	}
}

func TestQueueWritingPutsALookOffForAWhileOnly(t *testing.T) {
	q := newQueue()
	taken := 0
	for now := range 20_000 { // a write each millisecond
		q.hint("log", at(now), writerQuiet, true)
		for _, w := range q.take(at(now), 1) {
			taken++
			if w.first != at(0) {
				t.Fatalf("first = %v", w.first)
			}
			q.back(w, at(now).Add(writerQuiet)) // still busy
		}
	}
	if taken < 14 || taken > 16 {
		t.Errorf("looked at %d times in 20 s", taken)
	}
}

// A naive model: a map, searched each time.
func TestQueueLikeAMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	q, model := newQueue(), map[safety.RelPath]waiting{}
	for now := range 20_000 {
		p := safety.RelPath([]string{"a", "b", "c", "d", "e", "f"}[r.IntN(6)])
		delay := time.Duration(r.IntN(5)) * ms
		switch w, there := model[p]; r.IntN(4) {
		case 0, 1:
			busy := r.IntN(3) == 0
			q.hint(p, at(now), delay, busy)
			if !there {
				w.first = at(now)
			}
			if due := at(now).Add(delay); !there || busy && due.Before(w.first.Add(busyMost)) || due.Before(w.due) {
				w.due = due
			}
			w.path, w.since = p, at(now)
			model[p] = w
		case 2:
			q.back(waiting{path: p, first: at(now - 1), since: at(now - 1)}, at(now).Add(delay))
			if !there {
				model[p] = waiting{path: p, first: at(now - 1), since: at(now - 1), due: at(now).Add(delay)}
			} else if at(now - 1).Before(w.first) {
				w.first = at(now - 1)
				model[p] = w
			}
		case 3:
			for _, got := range q.take(at(now), 2) {
				want := model[got.path]
				if got.since != want.since || got.due != want.due || got.tries != want.tries || got.due.After(at(now)) {
					t.Fatalf("took %+v, want %+v", got, want)
				}
				delete(model, got.path)
			}
		}
		earliest, ok := time.Time{}, false
		for _, w := range model {
			if !ok || w.due.Before(earliest) {
				earliest, ok = w.due, true
			}
		}
		if due, has := q.next(); due != earliest || has != ok {
			t.Fatalf("next: %v %v, want %v %v", due, has, earliest, ok)
		}
	}
}

// What waits for its writer, say, was not tried: when it then fails once, it is tried again as soon as any other.
func TestOnlyFailuresMakeTheNextTryWaitLonger(t *testing.T) {
	s, now := &Syncer{queue: newQueue()}, time.Now()
	s.queue.hint("a", now, 0, false)
	for range 12 {
		s.queue.back(s.queue.take(now, 1)[0], now)
	}
	for failed := range 3 {
		w := s.queue.take(now.Add(time.Hour), 1)[0]
		if w.tries != failed {
			t.Errorf("%d tries, want %d", w.tries, failed)
		}
		s.retry([]PathNote{{Path: "a"}}, map[safety.RelPath]waiting{"a": w}, time.Minute)
	}
}
