package watch

import (
	"sync"
	"time"
)

// maxWaiting bounds the hints, and so the memory, that wait for a receiver who is busy.
const maxWaiting = 1 << 18

// post carries hints from those who find them to the one receiver. Finders never wait: while they did, the kernel's
// queue would run over.
type post struct {
	out      chan []Hint
	overfull func() // called when hints were dropped

	mu      sync.Mutex
	box     []Hint
	wake    chan struct{}
	quit    chan struct{}
	carrier sync.WaitGroup
}

func newPost(debounce time.Duration, overfull func()) *post {
	p := &post{
		out: make(chan []Hint), overfull: overfull,
		wake: make(chan struct{}, 1), quit: make(chan struct{}),
	}
	p.carrier.Go(func() { p.carry(newCoalescer(debounce)) })
	return p
}

func (p *post) put(hints []Hint) {
	p.mu.Lock()
	p.box = append(p.box, hints...)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// sort hands all that came in since the last call to c. The two boxes are used in turn.
func (p *post) sort(c *coalescer, spare []Hint) []Hint {
	p.mu.Lock()
	box := p.box
	p.box = spare[:0]
	p.mu.Unlock()
	now := time.Now()
	c.advance(now)
	for _, h := range box {
		c.offer(now, h)
	}
	if cap(box) > 1<<12 {
		return nil // after a burst the memory goes back
	}
	clear(box)
	return box
}

func (p *post) carry(c *coalescer) {
	defer close(p.out)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var spare []Hint
	for {
		spare = p.sort(c, spare)
		if c.size() > maxWaiting {
			c.drop()
			p.overfull()
		}
		if at, ok := c.next(); ok {
			timer.Reset(time.Until(at))
		}
		var out chan []Hint
		if len(c.ready) > 0 {
			out = p.out
		}
		select {
		case <-p.quit:
			return
		case <-p.wake:
		case <-timer.C:
		case out <- c.ready:
			c.taken()
		}
	}
}

func (p *post) close() {
	close(p.quit)
	p.carrier.Wait()
}
