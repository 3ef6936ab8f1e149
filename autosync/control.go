package autosync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/alca-mount/alca-mount/safety"
)

// ErrStopped means that the Syncer was stopped.
var ErrStopped = errors.New("syncing has stopped")

// Ready waits until all that had changed before Start is carried.
func (s *Syncer) Ready(ctx context.Context) error {
	select {
	case <-s.ready:
		return nil
	case <-s.stuck:
		return s.halted
	case <-s.done:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Halted is closed when syncing has halted: a root is gone or can't be told from another. Stop says why.
func (s *Syncer) Halted() <-chan struct{} { return s.stuck }

// Reconcile scans both sides whole and carries what it finds, short of files that have writers or change on and on. It returns how many changes were carried since Start.
func (s *Syncer) Reconcile(ctx context.Context) (int, error) { return s.ask(ctx, true) }

// Flush carries what is known to have changed and need not wait; while a watcher is not healthy it is Reconcile.
func (s *Syncer) Flush(ctx context.Context) (int, error) { return s.ask(ctx, !s.Healthy()) }

// Healthy reports whether every change is noticed at once.
func (s *Syncer) Healthy() bool {
	select {
	case <-s.stuck:
		return false
	default:
		return s.healthy()
	}
}

// Dirty lists the paths that are known to have changed and are not carried yet, sorted; none after Stop.
func (s *Syncer) Dirty() []safety.RelPath {
	var out []safety.RelPath
	s.inspect(func() { out = slices.Sorted(maps.Keys(s.queue.byPath)) })
	return out
}

// Changes is what was done since Start, and what does not cross as things stand; after Stop, what Stop returns.
func (s *Syncer) Changes() Changes {
	var c Changes
	if s.inspect(func() { c = s.soFar() }) {
		return c
	}
	s.stop.Do(func() {}) // it has begun: wait for its end
	return s.stopped.changes
}

// soFar is a copy of the changes, which go on.
func (s *Syncer) soFar() Changes {
	c := s.e.changes.clone()
	for t, list := range map[EventType]*[]PathNote{Refused: &c.Refused, Held: &c.Held, Orphan: &c.Orphans} {
		*list = append(*list, slices.Collect(maps.Values(s.standing[t]))...)
	}
	c.Held = append(c.Held, slices.Collect(maps.Values(s.barred))...)
	c.Failed = slices.DeleteFunc(c.Failed, func(n PathNote) bool { return !s.queue.waits(n.Path) }) // carried since
	c.NewInExcluded = newInExcluded(s.m)
	c.sort()
	return c
}

// inspect lets the loop do something between two passes; false when the loop has ended.
func (s *Syncer) inspect(do func()) bool {
	a := ask{do: do, reply: make(chan answer, 1)}
	select {
	case s.asks <- a:
	case <-s.done:
		return false
	}
	<-a.reply
	return true
}

// Events delivers what happens from now on, until Stop has returned or ctx is done; then the channel is closed. Nobody
// waits for a slow receiver: events queue up.
func (s *Syncer) Events(ctx context.Context) <-chan Event { return s.feeds.add(ctx) }

func (s *Syncer) ask(ctx context.Context, scan bool) (int, error) {
	a := ask{scan: scan, reply: make(chan answer, 1)}
	select {
	case s.asks <- a:
	case <-s.done:
		return 0, ErrStopped
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	select {
	case got := <-a.reply:
		return got.carried, got.err
	case <-s.done:
		return 0, ErrStopped
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// MirrorStays says, before Stop, that the mirror does not go after it: Options.Final holds no longer, and what may not
// cross stays where it is.
func (s *Syncer) MirrorStays() { s.inspect(func() { s.e.opts.Final = false }) }

// Stop ends the syncing with a full reconcile, deletions included, and says what the session did. When ctx is done
// first, what is left is not carried: drained is false. Later calls return the same.
func (s *Syncer) Stop(ctx context.Context) (changes Changes, drained bool, err error) {
	s.stop.Do(func() {
		s.stopped = s.end(ctx)
		s.feeds.end()
	})
	return s.stopped.changes, s.stopped.drained, s.stopped.err
}

func (s *Syncer) end(ctx context.Context) stopped {
	s.cancel()
	<-s.done
	s.shrinking.Wait()
	errs := []error{s.closeWatchers()}
	if s.scanning {
		<-s.scans // the scan saw that the context ended
	}
	if s.halted != nil {
		errs = append(errs, s.halted, s.e.close())
		return stopped{s.e.result(), false, errors.Join(errs...)}
	}
	err := ctx.Err()
	if err == nil {
		err = s.e.finish(ctx)
		s.e.changes.Held = append(s.e.changes.Held, slices.Collect(maps.Values(s.barred))...)
	}
	if err != nil {
		errs = append(errs, fmt.Errorf("last reconcile: %w", err))
	}
	errs = append(errs, s.e.close())
	return stopped{s.e.result(), err == nil, errors.Join(errs...)}
}
