package autosync

import (
	"container/heap"
	"time"

	"github.com/alca-mount/alca-mount/safety"
)

// busyMost is how long writing puts a look off.
const busyMost = 5 * time.Second

// queue holds paths until they are due. It knows no clock: times are handed in.
type queue struct {
	byPath map[safety.RelPath]*waiting
	order  waitingHeap
}

// waiting is a path in the queue.
type waiting struct {
	path    safety.RelPath
	first   time.Time // of the first hint since the path was carried
	since   time.Time // of the last hint
	due     time.Time
	scanned bool // a scan found it: no hint says how it changed
	tries   int  // how often it could not be carried
	at      int  // its place in the heap
}

func newQueue() *queue { return &queue{byPath: map[safety.RelPath]*waiting{}} }

// hint notes that a path may have changed at now and is to be looked at after delay: sooner, if it waits already for
// a later time, unless the change goes on (busy), which begins the wait anew for as long as busyMost.
func (q *queue) hint(p safety.RelPath, now time.Time, delay time.Duration, busy bool) {
	w := q.byPath[p]
	if w == nil {
		w = &waiting{path: p, first: now, due: now.Add(delay)}
		q.byPath[p] = w
		heap.Push(&q.order, w)
	}
	w.since = now
	due := now.Add(delay)
	if busy && due.Before(w.first.Add(busyMost)) || due.Before(w.due) {
		w.due = due
		heap.Fix(&q.order, w.at)
	}
}

// found notes that a scan saw p changed: it is looked at now. When it changed is not known, so that the wait of what is
// in the queue already does not begin anew.
func (q *queue) found(p safety.RelPath, now time.Time) {
	w := q.byPath[p]
	if w == nil {
		q.hint(p, now, 0, false)
		q.byPath[p].scanned = true
		return
	}
	if now.Before(w.due) {
		w.due = now
		heap.Fix(&q.order, w.at)
	}
}

// get returns what waits as p; one that came just now where nothing does.
func (q *queue) get(p safety.RelPath, now time.Time) waiting {
	if w := q.byPath[p]; w != nil {
		return *w
	}
	return waiting{path: p, first: now, since: now}
}

// waits reports whether p is in the queue.
func (q *queue) waits(p safety.RelPath) bool { return q.byPath[p] != nil }

// back puts a path in that has to wait until due, as it was when it was taken out.
func (q *queue) back(w waiting, due time.Time) {
	if there := q.byPath[w.path]; there != nil { // hinted at anew meanwhile
		if w.first.Before(there.first) {
			there.first = w.first
		}
		return
	}
	w.due = due
	q.byPath[w.path] = &w
	heap.Push(&q.order, &w)
}

// take removes and returns at most n paths that are due at now.
func (q *queue) take(now time.Time, n int) []waiting {
	var out []waiting
	for len(q.order) > 0 && len(out) < n && !q.order[0].due.After(now) {
		w := heap.Pop(&q.order).(*waiting)
		delete(q.byPath, w.path)
		out = append(out, *w)
	}
	return out
}

// next is when the first path is due; false when there is none.
func (q *queue) next() (time.Time, bool) {
	if len(q.order) == 0 {
		return time.Time{}, false
	}
	return q.order[0].due, true
}

// waitingHeap is a container/heap by due, then path.
type waitingHeap []*waiting

func (h waitingHeap) Len() int { return len(h) }

func (h waitingHeap) Less(i, j int) bool {
	if h[i].due.Equal(h[j].due) {
		return h[i].path < h[j].path
	}
	return h[i].due.Before(h[j].due)
}

func (h waitingHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push is heap.Interface's.
func (h *waitingHeap) Push(x any) {
	w := x.(*waiting)
	w.at = len(*h)
	*h = append(*h, w)
}

// Pop is heap.Interface's.
func (h *waitingHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	*h = old[:len(old)-1]
	return w
}
