package autosync_test

import (
	"context"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/mirror/mirrortest"
)

// newPairIn is newPair in a directory that is there.
func newPairIn(t *testing.T, dir string, lines ...string) *pair {
	t.Helper()
	return newPairAt(t, mirrortest.Make(t, dir, lines...), mirror.Options{})
}

// startLive keeps a pair in step.
func startLive(t *testing.T, p *pair) *live {
	t.Helper()
	l := &live{pair: p, events: make(chan autosync.Event, 100_000)}
	var err error
	l.s, err = autosync.Start(t.Context(), p.m, autosync.Options{Events: l.note}, autosync.LiveOptions{})
	p.must(err)
	p.must(l.s.Ready(t.Context()))
	t.Cleanup(func() { l.s.Stop(context.Background()) })
	return l
}

// note keeps an event; those of a storm that nobody takes are dropped.
func (l *live) note(e autosync.Event) {
	l.latest.Store(time.Now().UnixNano())
	select {
	case l.events <- e:
	default:
	}
}
