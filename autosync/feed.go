package autosync

import (
	"context"
	"slices"
	"sync"
)

// feeds hands events to all who want them.
type feeds struct {
	first func(Event) // called at once; nil: nobody

	mu    sync.Mutex
	all   []*feed
	ended bool
}

// feed is a queue of events for one receiver.
type feed struct {
	mu      sync.Mutex
	waiting []Event
	ended   bool
	wake    chan struct{}
}

func newFeeds(first func(Event)) *feeds { return &feeds{first: first} }

func (fs *feeds) tell(e Event) {
	if fs.first != nil {
		fs.first(e)
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.all {
		f.put(func() { f.waiting = append(f.waiting, e) })
	}
}

// end lets all receivers come to their end. Later ones have none.
func (fs *feeds) end() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.ended = true
	for _, f := range fs.all {
		f.put(func() { f.ended = true })
	}
}

func (fs *feeds) add(ctx context.Context) <-chan Event {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := &feed{ended: fs.ended, wake: make(chan struct{}, 1)}
	fs.all = append(fs.all, f)
	out := make(chan Event)
	go func() {
		defer close(out)
		f.pump(ctx, out)
		fs.mu.Lock()
		defer fs.mu.Unlock()
		fs.all = slices.DeleteFunc(fs.all, func(g *feed) bool { return g == f })
	}()
	return out
}

func (f *feed) put(do func()) {
	f.mu.Lock()
	do()
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *feed) pump(ctx context.Context, out chan<- Event) {
	for {
		f.mu.Lock()
		batch, ended := f.waiting, f.ended
		f.waiting = nil
		f.mu.Unlock()
		for _, e := range batch {
			select {
			case out <- e:
			case <-ctx.Done():
				return
			}
		}
		if ended && len(batch) == 0 {
			return
		}
		if len(batch) > 0 {
			continue
		}
		select {
		case <-f.wake:
		case <-ctx.Done():
			return
		}
	}
}
