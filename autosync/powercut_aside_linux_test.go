package autosync_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
)

func TestATornOrphanTakesNothingsPlace(t *testing.T) {
	s := newSessions(t, ".agentignore = secret\nnew", "a = 1")
	first := s.next()
	first.write(first.mirror, "secret", "whole")
	first.final()
	second := s.next()
	second.write(second.mirror, "secret", "")
	second.write(second.mirror, "new", "half")
	second.powerCut(time.Now())
	c := second.final()
	second.is("orphans", notePaths(c.Orphans), "new")
	if !strings.Contains(c.Orphans[0].Why, "may be torn") {
		t.Errorf("of the new one nobody is told that it may be torn: %+v", c.Orphans)
	}
	second.is("set aside", notePaths(c.Refused), "secret")
	second.holds(c.Refused[0].Kept, "", "")
	s.next().wantMirror("secret", "whole")

	third := s.next()
	third.write(third.mirror, "secret", "more")
	third.powerCut(time.Now().Add(time.Hour)) // it was on the disk long before
	third.is("orphans", notePaths(third.final().Orphans), "secret")
	s.next().wantMirror("secret", "more")
}

func importPair(t *testing.T) *pair {
	dir := newGitPair(t).project
	policy, err := dotfiles.New(dotfiles.Rules{Git: true})
	if err != nil {
		t.Fatal(err)
	}
	p := newPairAt(t, dir, mirror.Options{Policy: policy, Git: mirror.GitImport})
	git(t, p.mirror, "commit", "-qm", "by the agent", "--allow-empty")
	return p
}

// Commits that a power cut may have taken some of wait for a word; discard is none that brings them.
func TestCommitsOfAPowerCutWait(t *testing.T) {
	p := importPair(t)
	p.powerCut(time.Now())
	for range 2 {
		c := p.once(autosync.Options{Deletes: true, OnlyToProject: true})
		if len(c.Commits) > 0 || notePaths(c.Refused) != ".git" || !p.m.Session.Interrupted() {
			t.Fatalf("%+v", c)
		}
	}
	if c := p.once(autosync.Options{Deletes: true, OnlyToProject: true, Approved: true}); len(c.Commits) != 1 || p.m.Session.Interrupted() {
		t.Errorf("with a word: %+v", c)
	}

	p = importPair(t)
	p.powerCut(time.Now())
	_, c, err := autosync.Discard(t.Context(), p.m, nil)
	p.must(err)
	if len(c.Commits) > 0 {
		t.Errorf("discard brought %+v", c.Commits)
	}

	p = importPair(t)
	p.powerCut(time.Now())
	c = p.once(autosync.Options{Deletes: true, Final: true})
	if len(c.Commits) > 0 || len(c.Refused) != 1 || filepath.Base(c.Refused[0].Kept) != ".git" {
		t.Errorf("%+v", c)
	}
}
