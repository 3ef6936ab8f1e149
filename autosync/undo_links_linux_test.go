package autosync_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/mirror/mirrortest"
)

// linkedPair is a project of which a and b are one file of long ago.
func linkedPair(t *testing.T) *pair {
	t.Helper()
	project := mirrortest.Make(t, filepath.Join(t.TempDir(), "project"), "a = user's", "b => a", "other = 1")
	p := &pair{t: t}
	p.old(project)
	return newPairAt(t, project, mirror.Options{})
}

// What only the agent wrote is nobody else's change, by whatever name of the file it wrote: undo brings it back, and so it
// does after an undo of the undo.
func TestUndoOfAFileOfTwoNames(t *testing.T) {
	type edit func(p *pair)
	agent := func(name, content string) edit { return func(p *pair) { p.write(p.mirror, name, content) } }
	gone := func(name string) edit { return func(p *pair) { p.remove(p.mirror, name) } }
	runs := func(name string) edit {
		return func(p *pair) { p.must(os.Chmod(filepath.Join(p.mirror, name), 0o755)) }
	}
	pass := func(p *pair) { p.conflicts(p.once(autosync.Options{Deletes: true})) }
	for _, c := range []struct {
		name  string
		edits []edit
		loser string // the agent's own version that another of its took the place of
		left  string // what a and b are then
	}{
		{name: "one name", left: "agent's,agent's", edits: []edit{agent("a", "agent's")}},
		{name: "one name twice", left: "22,22", edits: []edit{agent("a", "1"), pass, agent("a", "22"), pass}},
		{name: "both the same", left: "agent's,agent's", edits: []edit{agent("a", "agent's"), agent("b", "agent's")}},
		{name: "both differently", edits: []edit{agent("a", "agent's a"), agent("b", "agent's b, longer")}, loser: "agent's a", left: "agent's b, longer,agent's b, longer"},
		{name: "one after the other", left: "22,22", edits: []edit{agent("a", "1"), pass, pass, agent("b", "22")}},
		{name: "in turns", left: "333,333", edits: []edit{agent("a", "1"), pass, pass, agent("b", "22"), pass, pass, agent("a", "333")}},
		{name: "one written, one deleted", left: "agent's,(absent)", edits: []edit{agent("a", "agent's"), gone("b")}},
		{name: "one deleted, one written", left: "(absent),agent's", edits: []edit{agent("b", "agent's"), gone("a")}},
		{name: "one written, later one deleted", left: "(absent),agent's", edits: []edit{agent("b", "agent's"), pass, gone("a")}},
		{name: "one made anew, the other written", left: "333,22", edits: []edit{gone("a"), pass, agent("b", "22"), pass, agent("a", "333")}},
		{name: "both deleted", left: "(absent),(absent)", edits: []edit{gone("a"), gone("b")}},
		{name: "the mode of one, the other written", left: "22,22", edits: []edit{runs("b"), agent("a", "22")}, loser: "user's"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := linkedPair(t)
			before := copyOf(t, p.project)
			for _, e := range c.edits {
				e(p)
			}
			conflicts := p.conflicts(p.once(autosync.Options{Deletes: true, Final: true}))
			if conflicts != c.loser {
				t.Errorf("conflicts kept %q, want %q", conflicts, c.loser)
			}
			if left := read(t, filepath.Join(p.project, "a")) + "," + read(t, filepath.Join(p.project, "b")); left != c.left {
				t.Errorf("the project's are %q, want %q", left, c.left)
			}
			after := copyOf(t, p.project)
			of := p.m.Session
			for i, want := range []string{before, after, before} {
				u := p.undo(of, autosync.UndoOptions{})
				if len(u.Left)+len(u.Kept) > 0 {
					t.Errorf("undo %d: left %+v, kept %+v", i, u.Left, u.Kept)
				}
				if diff := unlike(t, want, p.project); diff != "" {
					t.Errorf("undo %d:\n%s", i, diff)
				}
				if want == before && !p.sameFile("a", "b") {
					t.Errorf("undo %d: a and b are two files", i)
				}
				of = p.session(u.Session)
			}
		})
	}
}

// conflicts is what was kept of losers, which are all the agent's here.
func (p *pair) conflicts(c autosync.Changes) string {
	p.t.Helper()
	var kept []string
	for _, n := range c.Conflicts {
		if !strings.Contains(n.Why, "another name") {
			p.t.Errorf("only the agent wrote: %+v", n)
		}
		kept = append(kept, read(p.t, n.Kept))
	}
	return strings.Join(kept, ",")
}

func (p *pair) sameFile(a, b string) bool {
	p.t.Helper()
	one, err := os.Stat(filepath.Join(p.project, a))
	p.must(err)
	other, err := os.Stat(filepath.Join(p.project, b))
	p.must(err)
	return os.SameFile(one, other)
}

// The version from before is one for both names, and there when the second needs it.
func TestUndoOfTwoNamesThatTheUserTookApart(t *testing.T) {
	p := linkedPair(t)
	p.write(p.mirror, "a", "1")
	p.write(p.mirror, "b", "22")
	p.once(autosync.Options{Deletes: true, Final: true})
	p.remove(p.project, "b")
	p.write(p.project, "b", "mine")
	for _, force := range []bool{false, true} {
		u := p.undo(p.m.Session, autosync.UndoOptions{Force: force})
		want := map[bool]string{false: "mine", true: "user's"}[force]
		if p.wantProject("b", want); notePaths(u.Left) != map[bool]string{false: "b", true: ""}[force] {
			t.Errorf("force %v left %+v", force, u.Left)
		}
		p.wantProject("a", "user's")
	}
}

// A name that only followed what the agent wrote by another is not the user's newer version: its deletion is carried.
func TestLiveDeletesANameOfWhatWasWrittenByAnother(t *testing.T) {
	l := newLive(t, "a = 1", "b => a", "c = c")
	l.write(l.mirror, "a", "agent")
	l.remove(l.mirror, "b")
	l.await(autosync.Synced, "a")
	l.await(autosync.Deleted, "b")
	l.eventually("written and deleted")
	l.wantProject("a", "agent")
	l.wantProject("b", "(absent)")
	l.wantMirror("b", "(absent)")
	l.conflicts(l.end())
}
