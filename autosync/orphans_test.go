package autosync_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/mirror/mirrortest"
)

// sessions are several on one project, with one state directory.
type sessions struct {
	t       *testing.T
	project string
	state   *mirror.StateDir
}

func newSessions(t *testing.T, lines ...string) *sessions {
	return &sessions{t, mirrortest.Make(t, filepath.Join(t.TempDir(), "project"), lines...), mirror.NewStateDir(filepath.Join(t.TempDir(), "state"))}
}

// next builds the mirror of a further session, under the rules of now.
func (s *sessions) next() *pair {
	s.t.Helper()
	policy, err := dotfiles.Read(s.project, "")
	if err != nil {
		s.t.Fatal(err)
	}
	session, err := s.state.New(s.project, mirror.Record{Rules: policy.Rules()})
	if err != nil {
		s.t.Fatal(err)
	}
	m, err := mirror.Create(s.t.Context(), s.project, "", mirror.Options{Policy: policy, Session: session})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = m.Close()
		_ = session.Unlock()
	})
	return &pair{t: s.t, project: s.project, mirror: m.Root.Path(), m: m}
}

// list names the orphans' paths.
func (s *sessions) list() []string {
	s.t.Helper()
	policy, err := dotfiles.Read(s.project, "")
	if err != nil {
		s.t.Fatal(err)
	}
	found, err := s.state.Orphans(s.project, policy)
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, o := range found {
		out = append(out, string(o.Path))
	}
	return out
}

func (p *pair) final() autosync.Changes {
	p.t.Helper()
	return p.once(autosync.Options{Deletes: true, Final: true})
}

func TestOrphansAreThereAgainAndToldOnce(t *testing.T) {
	s := newSessions(t, ".agentignore = secret*", "a/b = 1")
	first := s.next()
	first.write(first.mirror, "secret", "agent's")
	first.write(first.mirror, "a/secrets/key", "k")
	if c := first.final(); len(c.Orphans) != 2 {
		t.Errorf("orphans = %+v", c.Orphans)
	}
	second := s.next()
	second.wantMirror("secret", "agent's")
	second.wantMirror("a/secrets/key", "k")
	for _, opts := range []autosync.Options{{DryRun: true}, {Deletes: true, Final: true}} {
		if c := second.once(opts); len(c.Orphans) > 0 {
			t.Errorf("told again: %+v", c.Orphans)
		}
	}
	second.wantProject("secret", "(absent)")
	if got := s.list(); !slices.Equal(got, []string{"a/secrets", "secret"}) {
		t.Errorf("kept: %q", got)
	}
}

func TestAnOrphanGivesWayToTheVersionMadeOfIt(t *testing.T) {
	s := newSessions(t, ".agentignore = secret", "a = 1")
	first := s.next()
	first.write(first.mirror, "secret", "1")
	first.final()
	second, third := s.next(), s.next()
	second.write(second.mirror, "secret", "2")
	third.write(third.mirror, "secret", "3")
	second.wantKept(second.final().Orphans, "secret", "2")
	if got := s.list(); len(got) != 1 {
		t.Errorf("after one: %q", got)
	}
	third.wantKept(third.final().Orphans, "secret", "3")
	if got := s.list(); len(got) != 2 {
		t.Errorf("two sessions' versions are not kept apart: %q", got)
	}
	s.next().wantMirror("secret", "3")
}

// What the rules show by now, and what would be taken for rules in the mirror, is kept and does not come back by itself.
func TestOrphansThatDoNotComeBack(t *testing.T) {
	s := newSessions(t, ".agentignore = secret", "a/b = 1")
	first := s.next()
	first.write(first.mirror, "secret", "agent's")
	first.write(first.mirror, "a/secret", "agent's")
	first.write(first.mirror, ".agentignore", "nothing")
	first.final()
	first.remove(s.project, "a")
	second := s.next()
	second.wantMirror("a/secret", "(absent)")
	second.wantMirror(".agentignore", "(absent)")
	first.write(s.project, ".agentignore", "other")
	third := s.next()
	third.wantMirror("secret", "(absent)")
	if got := s.list(); len(got) != 3 {
		t.Errorf("kept: %q", got)
	}
	if _, err := os.Lstat(filepath.Join(s.project, "a")); err == nil {
		t.Error("a directory came back for an orphan's sake")
	}
}
