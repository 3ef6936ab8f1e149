package watch

import (
	"time"

	"github.com/alca-mount/alca-mount/safety"
)

// coalescer decides which hints to deliver now and which to hold. It has no clock: callers say what time it is, never
// an earlier one than before.
//
// A path that was quiet for the debounce is delivered at once, and so is a hint that says more than the last one
// delivered. Others wait until the debounce after that delivery is over and then come as one: the last change of a
// path always has a delivery after it.
type coalescer struct {
	debounce time.Duration
	recent   map[safety.RelPath]*recent
	queue    []delivery // oldest first: all wait equally long
	ready    []Hint     // to be taken
	index    map[safety.RelPath]int
}

// recent is a path that was delivered less than the debounce ago.
type recent struct {
	at      time.Time
	urgency Urgency
	held    bool
	hint    Hint // if held
}

type delivery struct {
	path safety.RelPath
	at   time.Time
}

func newCoalescer(debounce time.Duration) *coalescer {
	return &coalescer{debounce: debounce, recent: map[safety.RelPath]*recent{}, index: map[safety.RelPath]int{}}
}

// offer takes in a hint that arose now.
func (c *coalescer) offer(now time.Time, h Hint) {
	if i, ok := c.index[h.Path]; ok {
		c.ready[i] = c.ready[i].and(h) // not looked at yet: one look covers both
		c.note(now, c.ready[i])
		return
	}
	r := c.recent[h.Path]
	if r != nil && r.held {
		h = r.hint.and(h)
	}
	if r == nil || h.Urgency > r.urgency {
		c.deliver(now, h)
		return
	}
	r.held, r.hint = true, h
}

func (c *coalescer) deliver(now time.Time, h Hint) {
	c.index[h.Path] = len(c.ready)
	c.ready = append(c.ready, h)
	c.note(now, h)
}

func (c *coalescer) note(now time.Time, h Hint) {
	if c.debounce <= 0 {
		return
	}
	r := c.recent[h.Path]
	if r != nil && r.at.Equal(now) && r.urgency == h.Urgency && !r.held {
		return
	}
	if r == nil || !r.at.Equal(now) {
		c.queue = append(c.queue, delivery{h.Path, now})
	}
	c.recent[h.Path] = &recent{at: now, urgency: h.Urgency}
}

// advance makes ready what was held long enough, and forgets paths that have been quiet.
func (c *coalescer) advance(now time.Time) {
	for len(c.queue) > 0 && !now.Before(c.queue[0].at.Add(c.debounce)) {
		d := c.queue[0]
		c.queue = c.queue[1:]
		r := c.recent[d.path]
		if r == nil || !r.at.Equal(d.at) {
			continue // delivered again since
		}
		delete(c.recent, d.path)
		if r.held {
			c.offer(now, r.hint)
		}
	}
	if len(c.recent) == 0 && c.queue != nil {
		c.recent, c.queue = map[safety.RelPath]*recent{}, nil // a map keeps the memory of its largest size
	}
}

// next is when advance has something to do.
func (c *coalescer) next() (time.Time, bool) {
	if len(c.queue) == 0 {
		return time.Time{}, false
	}
	return c.queue[0].at.Add(c.debounce), true
}

// taken empties ready, which now is the receiver's.
func (c *coalescer) taken() { c.ready, c.index = nil, map[safety.RelPath]int{} }

// size is how many hints are waiting.
func (c *coalescer) size() int { return max(len(c.ready), len(c.recent)) }

// drop forgets all hints.
func (c *coalescer) drop() { *c = *newCoalescer(c.debounce) }
