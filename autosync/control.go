package autosync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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

// Stop ends the syncing with a full reconcile, deletions included, and says what the session did. When ctx is done
// first, what is left is not carried: drained is false. Later calls return the same.
func (s *Syncer) Stop(ctx context.Context) (changes Changes, drained bool, err error) {
	s.stop.Do(func() { s.stopped = s.end(ctx) })
	return s.stopped.changes, s.stopped.drained, s.stopped.err
}

func (s *Syncer) end(ctx context.Context) stopped {
	s.cancel()
	<-s.done
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
