package autosync_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/safety"
)

func TestDiscardPutsTheProjectsVersionBackAndKeepsTheAgents(t *testing.T) {
	p := newPair(t, "a = user", "gone = user", "other = user")
	p.write(p.mirror, "a", "agent")
	p.write(p.mirror, "new", "agent")
	p.write(p.mirror, "other", "agent")
	p.remove(p.mirror, "gone")
	discarded, changes, err := autosync.Discard(t.Context(), p.m, []safety.RelPath{"a", "new", "gone"})
	p.must(err)
	p.is("discarded", notePaths(discarded), "a gone new")
	p.is("failed", notePaths(changes.Failed), "")
	p.holds(p.mirror, "a", "user")
	p.holds(p.mirror, "gone", "user")
	p.holds(p.mirror, "other", "agent")
	p.holds(discarded[0].Kept, "", "agent")
	p.holds(discarded[2].Kept, "", "agent")
	p.holds(p.project, "a", "user")
	c := p.sync()
	if len(c.ToProject) != 1 || len(c.Deleted) != 0 {
		t.Errorf("after the discard: %+v", c)
	}
}

func TestHeldDeletionOfWhatTheUserChangedStays(t *testing.T) {
	p := newPair(t, ".envrc = user", ".vscode/tasks.json = user")
	p.remove(p.mirror, ".envrc")
	p.remove(p.mirror, ".vscode/tasks.json")
	p.once(autosync.Options{Deletes: true, Final: true})
	p.write(p.project, ".envrc", "newer")
	session, c, err := autosync.ApplyHeld(t.Context(), p.state(), p.m.Session, nil)
	p.must(err)
	p.is("held", notePaths(c.Held), ".envrc")
	p.is("deleted", notePaths(c.Deleted), ".vscode/tasks.json")
	p.holds(p.project, ".envrc", "newer")
	p.undo(p.session(session), autosync.UndoOptions{})
	p.holds(p.project, ".vscode/tasks.json", "user")
	held, err := autosync.ReadHeld(p.m.Session.Dir())
	if err != nil || len(held) != 1 || held[0].Path != ".envrc" {
		t.Errorf("still held: %+v, %v", held, err)
	}
}

func TestProposalsNameRenames(t *testing.T) {
	p := newPair(t, "old = 1", "a = 1")
	p.must(os.Rename(filepath.Join(p.mirror, "old"), filepath.Join(p.mirror, "new")))
	p.write(p.mirror, "a", "22")
	ps, err := autosync.Propose(t.Context(), p.m, nil, nil)
	p.must(err)
	if len(ps.List) != 2 || ps.List[1].Path != "new" || ps.List[1].From != "old" {
		t.Errorf("%+v", ps.List)
	}
}

// The apply was killed when the version was home and the list not yet written: again, it is done and not failed for ever.
func TestApplyOfWhatCameHomeAlreadyIsDone(t *testing.T) {
	p := newPair(t, ".envrc = user")
	p.write(p.mirror, ".envrc", "agent")
	p.once(autosync.Options{Deletes: true, Final: true})
	held, err := autosync.ReadHeld(p.m.Session.Dir())
	p.must(err)
	_, c, err := autosync.ApplyHeld(t.Context(), p.state(), p.m.Session, nil)
	p.must(err)
	if len(c.ToProject) != 1 {
		t.Fatalf("%+v", c)
	}
	p.must(autosync.WriteHeld(p.m.Session.Dir(), held))
	session, c, err := autosync.ApplyHeld(t.Context(), p.state(), p.m.Session, nil)
	p.must(err)
	p.is("failed", notePaths(c.Failed), "")
	if left, err := autosync.ReadHeld(p.m.Session.Dir()); err != nil || len(left) > 0 || session != "" {
		t.Errorf("still held: %+v, %v; session %q", left, err, session)
	}
	p.must(autosync.WriteHeld(p.m.Session.Dir(), held))
	p.write(p.project, ".envrc", "later")
	_, c, err = autosync.ApplyHeld(t.Context(), p.state(), p.m.Session, nil)
	p.must(err)
	p.is("failed", notePaths(c.Failed), ".envrc")
}
