package autosync_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/mirror/mirrortest"
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
	p.watches(opts, "a/hid")
}

// watches goes on with what was watched, and looks whether edits of directories from before and since cross.
func (p *pair) watches(opts autosync.LiveOptions, hidden string) {
	p.t.Helper()
	t, err := p.t, error(nil)
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
		if l.eventually("an edit of " + f); t.Failed() {
			return
		}
		p.wantProject(f, "the agent's")
	}

	p.write(p.project, hidden+"/in/t", "T")
	p.must(os.Rename(filepath.Join(p.project, hidden, "in/t"), filepath.Join(p.project, "x/shown")))
	l.await(autosync.Held, "x/shown")
	p.wantMirror("x/shown", "(absent)")
}

// The building of a mirror watches the project's directories on its way, hidden ones too, and then the mirror is.
func TestBuildingWatches(t *testing.T) {
	never := time.Duration(0)
	opts := autosync.LiveOptions{ScanInterval: &never}
	project := mirrortest.Make(t, filepath.Join(t.TempDir(), "project"), ".agentignore = hid/", "a/b/c = 1", "x/y = 1", "a/hid/in/s = S")
	p := newPairAt(t, project, mirror.Options{Standing: func(m *mirror.Mirror) mirror.Meeting {
		var err error
		if opts.Watched, err = autosync.NewWatched(t.Context(), m, opts); err != nil {
			t.Error(err)
		}
		return opts.Watched.Building(t.Context())
	}})
	opts.Watched.Built(t.Context(), p.m)
	p.write(p.project, "made/between/f", "1")
	p.write(p.mirror, "x/made/f", "1")
	p.watches(opts, "a/hid")
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
