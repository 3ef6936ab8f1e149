package autosync_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/safety"
)

// live is a pair that is kept in step.
type live struct {
	*pair
	s      *autosync.Syncer
	events chan autosync.Event
	latest atomic.Int64 // when the latest came
}

func newLive(t *testing.T, lines ...string) *live {
	t.Helper()
	p := newPair(t, lines...)
	l := &live{pair: p, events: make(chan autosync.Event, 100_000)}
	var err error
	l.s, err = autosync.Start(t.Context(), p.m, autosync.Options{Events: l.note}, autosync.LiveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.s.Stop(context.Background()) })
	return l
}

// await waits for an event of a path.
func (l *live) await(want autosync.EventType, path string) autosync.Event {
	l.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case e := <-l.events:
			if e.Type == want && e.Path == safety.RelPath(path) {
				return e
			}
		case <-deadline:
			l.t.Fatalf("no event %s of %s", want, path)
		}
	}
}

func (l *live) end() autosync.Changes {
	l.t.Helper()
	c, drained, err := l.s.Stop(context.Background())
	if err != nil || !drained {
		l.t.Fatalf("Stop: drained %v, %v", drained, err)
	}
	return c
}

func TestLiveCarriesBothWays(t *testing.T) {
	l := newLive(t, "a = 1", "d/b = 2")
	l.write(l.mirror, "a", "agent")
	l.await(autosync.Synced, "a")
	l.wantProject("a", "agent")
	l.write(l.project, "d/b", "user")
	l.await(autosync.Synced, "d/b")
	l.wantMirror("d/b", "user")
	l.write(l.mirror, "new/deep/c", "made")
	l.await(autosync.Synced, "new/deep/c")
	l.wantProject("new/deep/c", "made")
	l.remove(l.mirror, "d")
	l.await(autosync.Deleted, "d/b")
	l.wantProject("d/b", "(absent)")
	l.end()
	l.wantProject("a", "agent")
}

func TestLiveHidesWhatComesLater(t *testing.T) {
	l := newLive(t, ".agentignore = .env", "a = 1")
	l.write(l.project, ".env", "SECRET")
	l.write(l.project, "a", "user")
	l.await(autosync.Synced, "a")
	l.wantMirror(".env", "(absent)")
	l.write(l.mirror, ".env", "agent's")
	l.await(autosync.Orphan, ".env")
	l.wantProject(".env", "SECRET")
	l.end()
	l.wantProject(".env", "SECRET")
}

// TestLiveHidesTemporariesOfHiddenFiles does what sed -i does: the hidden content under another name, then a rename.
func TestLiveHidesTemporariesOfHiddenFiles(t *testing.T) {
	l := newLive(t, ".agentignore = .env", ".env = SECRET", "a = 1")
	for i := range 20 {
		tmp := filepath.Join(l.project, fmt.Sprintf("sedAB%02d", i))
		l.must(os.WriteFile(tmp, []byte("SECRET 2"), 0o600))
		l.must(os.Rename(tmp, filepath.Join(l.project, ".env")))
		l.write(l.project, "a", fmt.Sprint("user", i))
		l.await(autosync.Synced, "a")
	}
	l.end()
	for e := range drain(l.events) {
		if e.Type == autosync.Synced && e.Path != "a" {
			t.Errorf("%s crossed", e.Path)
		}
	}
}

func drain(events chan autosync.Event) func(func(autosync.Event) bool) {
	return func(yield func(autosync.Event) bool) {
		for {
			select {
			case e := <-events:
				if !yield(e) {
					return
				}
			default:
				return
			}
		}
	}
}

func TestLiveConflictKeepsTheLoser(t *testing.T) {
	l := newLive(t, "a = 1")
	l.write(l.project, "a", "user")
	l.await(autosync.Synced, "a")
	l.s.Stop(context.Background())
	l.write(l.project, "a", "user 2")
	l.write(l.mirror, "a", "agent 2")
	c := l.once(autosync.Options{Deletes: true})
	l.wantProject("a", "agent 2")
	l.wantKept(c.Conflicts, "a", "user 2")
}

func TestLiveBurstAndReconcile(t *testing.T) {
	l := newLive(t, "a = 1")
	for i := range 1000 {
		l.write(l.mirror, fmt.Sprintf("burst/d%d/f%d", i%10, i), fmt.Sprint("content", i))
	}
	if _, err := l.s.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		l.wantProject(fmt.Sprintf("burst/d%d/f%d", i%10, i), fmt.Sprint("content", i))
	}
	if c := l.end(); len(c.Conflicts)+len(c.Failed)+len(c.Held) > 0 {
		t.Errorf("changes: conflicts %v, failed %v, held %v", c.Conflicts, c.Failed, c.Held)
	}
}

func TestLiveMirrorRemovedDeletesNothing(t *testing.T) {
	l := newLive(t, "a = 1", "b = 2", "c/d = 3")
	l.must(os.RemoveAll(l.mirror))
	l.await(autosync.Halted, "")
	c, drained, err := l.s.Stop(context.Background())
	if err == nil || drained || c.Halted == "" {
		t.Errorf("Stop: %+v, drained %v, %v", c, drained, err)
	}
	for name, want := range map[string]string{"a": "1", "b": "2", "c/d": "3"} {
		l.wantProject(name, want)
	}
}

func TestLiveStopWithoutTimeSaysSo(t *testing.T) {
	l := newLive(t, "a = 1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, drained, err := l.s.Stop(ctx); drained || err == nil {
		t.Errorf("drained %v, %v", drained, err)
	}
}
