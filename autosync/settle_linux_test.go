package autosync_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// settled reports whether the durable record says that the mirror is whole.
func (p *pair) settled() bool {
	return strings.Contains(read(p.t, filepath.Join(p.m.Session.Dir(), "session.json")), `"state": "ready"`)
}

// After a power cut an unsettled session is taken for one whose mirror was never complete. So nothing that is to last may
// be done in it.
func TestSessionIsSettledBeforeTheProjectChanges(t *testing.T) {
	for name, edit := range map[string]func(*pair){
		"changed":   func(p *pair) { p.write(p.mirror, "a", "agent's") },
		"new":       func(p *pair) { p.write(p.mirror, "new", "agent's") },
		"directory": func(p *pair) { p.must(os.Mkdir(filepath.Join(p.mirror, "new"), 0o755)) },
		"deleted":   func(p *pair) { p.must(os.Remove(filepath.Join(p.mirror, "a"))) },
		"mode":      func(p *pair) { p.must(os.Chmod(filepath.Join(p.mirror, "a"), 0o755)) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPairWith(t, mirror.Options{Unsettled: true}, "a = 1", "b = 2")
			edit(p)
			changes := 0
			p.hook(mirror.ProjectSide, func(op safety.Op, name string) error {
				if strings.HasPrefix(name, p.m.Session.Dir()) { // an empty store
					return nil
				}
				switch op {
				case safety.OpExchange, safety.OpLink, safety.OpMkdir, safety.OpDelete, safety.OpTakeAway, safety.OpChmod:
					changes++
					if !p.settled() {
						t.Errorf("%s %s: the session is not settled", op, name)
					}
				}
				return nil
			})
			p.once(autosync.Options{Deletes: true, Final: true})
			if changes == 0 {
				t.Error("nothing was changed")
			}
		})
	}
}

func TestSessionIsSettledBeforeAVersionIsKept(t *testing.T) {
	p := newPairWith(t, mirror.Options{Unsettled: true}, ".agentreadonly = ro", "a = 1")
	p.write(p.mirror, "ro", "agent's")
	c := p.once(autosync.Options{Deletes: true, Final: true})
	if len(c.Refused) != 1 || c.Refused[0].Kept == "" || !p.settled() {
		t.Errorf("%+v, settled: %v", c.Refused, p.settled())
	}
}

func TestPassThatDoesNothingSettlesNothing(t *testing.T) {
	p := newPairWith(t, mirror.Options{Unsettled: true}, "a = 1", "d/b = 2")
	p.once(autosync.Options{Deletes: true, Final: true})
	if p.settled() || !p.m.Session.Unsettled() {
		t.Error("the disk was waited for")
	}
}
