package autosync_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// stricter takes the mirror up again under the rule files of now.
func (p *pair) stricter(rules string) {
	p.t.Helper()
	p.write(p.project, ".agentignore", rules)
	p.must(p.m.Close())
	m, err := mirror.Attach(p.t.Context(), p.project, p.mirror, mirror.Options{Session: p.m.Session})
	p.must(err)
	p.m = m
}

func TestHideTakesOutWhatIsHiddenByNow(t *testing.T) {
	p := newPair(t, "keys/k = K", "keys/own = 1", "secret = S", "a = a", "b = b")
	p.write(p.mirror, "keys/own", "agent's")
	p.write(p.mirror, "keys/made", "agent made it")
	p.write(p.mirror, "a", "agent's a")
	p.stricter("secret\nkeys/\n")
	gone, kept, err := autosync.Hide(t.Context(), p.m, autosync.Options{})
	p.must(err)
	if len(gone) != 2 || gone[0] != "keys/k" || gone[1] != "secret" {
		t.Errorf("gone: %v", gone)
	}
	p.wantMirror("secret", "(absent)")
	p.wantMirror("keys/k", "(absent)")
	p.wantMirror("keys/own", "(absent)")
	p.wantMirror("keys/made", "agent made it")
	p.wantKept(kept, "keys/own", "agent's")
	if len(kept) != 1 {
		t.Errorf("kept: %+v", kept)
	}
	p.wantMirror("a", "agent's a")
	p.wantProject("a", "a") // nothing else is carried
	p.wantProject("secret", "S")
	p.wantProject("keys/own", "1")
	c := p.final()
	if len(c.Refused) > 0 || len(c.Orphans) != 1 || c.Orphans[0].Path != "keys/made" {
		t.Errorf("at the end: refused %+v, orphans %+v", c.Refused, c.Orphans)
	}
}

// As an orphan it would be in the next mirror: the project's hidden content with it.
func TestChangedSecretIsNoOrphan(t *testing.T) {
	p := newPair(t, "secret = S", "a = a")
	p.write(p.mirror, "secret", "S and more")
	p.stricter("secret\n")
	c := p.final()
	p.wantKept(c.Refused, "secret", "S and more")
	if len(c.Orphans) > 0 {
		t.Errorf("orphans: %+v", c.Orphans)
	}
}

func TestHideFailsWhereSomethingStays(t *testing.T) {
	p := newPair(t, "secret = S", "a = a")
	p.stricter("secret\n")
	p.hook(mirror.MirrorSide, func(op safety.Op, path string) error {
		if filepath.Base(path) == "secret" && op != safety.OpLstat {
			return safety.ErrChanged
		}
		return nil
	})
	if _, _, err := autosync.Hide(t.Context(), p.m, autosync.Options{}); err == nil {
		t.Error("the secret stays in the mirror, and nothing is said")
	}
	if _, _, err := autosync.CatchUp(t.Context(), p.m, autosync.Options{Deletes: true}, nil); err == nil {
		t.Error("the secret stays in the mirror that is caught up, and nothing is said")
	}
	p.wantMirror("secret", "S")
}

func TestCatchUpHidesAndCarries(t *testing.T) {
	p := newPair(t, "keys/k = K", "keys/own = 1", "secret = S", "a = a", "b = b")
	p.write(p.mirror, "keys/own", "agent's")
	p.write(p.mirror, "a", "agent's a")
	p.write(p.project, "b", "user's b")
	p.stricter("secret\nkeys/\n")
	c, kept, err := autosync.CatchUp(t.Context(), p.m, autosync.Options{Deletes: true}, nil)
	p.must(err)
	p.wantMirror("secret", "(absent)")
	p.wantMirror("keys/k", "(absent)")
	p.wantMirror("keys/own", "(absent)")
	p.wantKept(kept, "keys/own", "agent's")
	p.wantProject("keys/own", "1")
	p.wantProject("a", "agent's a")
	p.wantMirror("b", "user's b")
	if len(kept) != 1 || len(c.Refused)+len(c.Failed)+len(c.Deleted) > 0 || !slices.Equal(c.ToProject, []safety.RelPath{"a"}) ||
		!slices.Contains(c.ToMirror, "secret") || !slices.Contains(c.ToMirror, "b") {
		t.Errorf("kept %+v, changes %+v", kept, c)
	}
}

// What both sides agree on since the base was written stands in the journal alone.
func TestCatchUpHidesWhatTheJournalKnows(t *testing.T) {
	p := newPair(t, "a = a")
	p.write(p.project, "secret", "S")
	p.sync()
	p.wantMirror("secret", "S")
	p.stricter("secret\n") // the base of this attached mirror is of the start
	p.hook(mirror.MirrorSide, func(op safety.Op, path string) error {
		if filepath.Base(path) == "secret" && op != safety.OpLstat {
			return safety.ErrChanged
		}
		return nil
	})
	if _, _, err := autosync.CatchUp(t.Context(), p.m, autosync.Options{Deletes: true}, nil); err == nil {
		t.Error("the secret stays in the mirror, and nothing is said")
	}
}

// Everything is hidden by now: no side was emptied.
func TestAllHiddenIsNotEmptied(t *testing.T) {
	p := newPair(t, "a = a", "d/b = b")
	p.stricter("*\n")
	c := p.sync()
	if c.Halted != "" {
		t.Error(c.Halted)
	}
	p.wantMirror("a", "(absent)")
	p.wantProject("a", "a")
	p.wantProject("d/b", "b")
}
