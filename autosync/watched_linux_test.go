package autosync_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
)

// What the watches are set of on the way of another walk is watched as by a walk of its own, hidden directories too.
func TestCatchingUpWatches(t *testing.T) {
	p := newPair(t, "a/b/c = 1", "x/y = 1")
	p.write(p.project, "a/hid/in/s", "S")
	p.stricter("hid/\n")
	never := time.Duration(0)
	opts := autosync.LiveOptions{ScanInterval: &never}
	var err error
	opts.Watched, err = autosync.NewWatched(t.Context(), p.m, opts)
	p.must(err)
	_, _, err = autosync.CatchUp(t.Context(), p.m, autosync.Options{Deletes: true}, opts.Watched)
	p.must(err)
	p.write(p.project, "made/between/f", "1")
	p.write(p.mirror, "x/made/f", "1")

	l := &live{pair: p, events: make(chan autosync.Event, 1000)}
	l.s, err = autosync.Start(t.Context(), p.m, autosync.Options{Events: l.note}, opts)
	p.must(err)
	t.Cleanup(func() { l.s.Stop(context.Background()) })
	p.must(l.s.Ready(t.Context()))
	l.eventually("what was made between both")

	for _, f := range []string{"a/b/c", "made/between/f", "x/made/f", "x/y"} {
		p.write(p.project, f, "the user's")
		l.await(autosync.Synced, f)
		p.wantMirror(f, "the user's")
		p.write(p.mirror, f, "the agent's")
		l.eventually("an edit of " + f)
		p.wantProject(f, "the agent's")
	}

	p.write(p.project, "a/hid/in/t", "T")
	p.must(os.Rename(filepath.Join(p.project, "a/hid/in/t"), filepath.Join(p.project, "x/shown")))
	l.await(autosync.Held, "x/shown")
	p.wantMirror("x/shown", "(absent)")
}

// Watchers that nobody went on with end.
func TestWatchedCloses(t *testing.T) {
	p := newPair(t, "a = 1")
	w, err := autosync.NewWatched(t.Context(), p.m, autosync.LiveOptions{})
	p.must(err)
	p.must(w.Close())
	p.must(w.Close())
	w = nil
	p.must(w.Close())
}
