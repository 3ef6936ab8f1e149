package autosync_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/safety"
)

// What was told while the session ran is not told again at its end, where it is also moved to where it is kept.
func TestStandingFactsAreToldOnce(t *testing.T) {
	p := newPair(t, ".agentignore = secret", ".agentreadonly = ro/", "ro/a = 1", "keep = k", ".envrc = good")
	l := &live{pair: p, events: make(chan autosync.Event, 1000)}
	var err error
	l.s, err = autosync.Start(t.Context(), p.m, autosync.Options{Events: l.note, Final: true}, autosync.LiveOptions{})
	p.must(err)
	t.Cleanup(func() { l.s.Stop(context.Background()) })
	p.must(l.s.Ready(t.Context()))
	facts := map[safety.RelPath]autosync.EventType{"secret": autosync.Orphan, "ro/new": autosync.Refused, ".envrc": autosync.Held}
	p.must(os.Chmod(filepath.Join(p.mirror, "ro"), 0o755)) // an agent may; without it an ordinary user writes nothing there
	for path, as := range facts {
		l.write(l.mirror, string(path), "agent")
		l.await(as, string(path))
	}
	c := l.end()
	if len(c.Orphans) != 1 || len(c.Refused) != 1 || len(c.Held) != 1 || c.Orphans[0].Kept == "" || c.Refused[0].Kept == "" || c.Held[0].Kept == "" {
		t.Errorf("the end names %+v", c)
	}
	for len(l.events) > 0 {
		if e := <-l.events; facts[e.Path] == e.Type && e.Type != "" {
			t.Errorf("told again: %+v", e)
		}
	}
}
