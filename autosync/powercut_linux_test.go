package autosync_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// powerCut makes the mirror one that was written to in an earlier boot, at whose end the machine ran at alive.
func (p *pair) powerCut(alive time.Time) {
	p.m.Session.Boot, p.m.Session.LastAlive = "an earlier one", alive
}

// fellBehind makes the mirror's file one that is older than what both sides agreed on.
func (p *pair) fellBehind(name, content string) {
	p.write(p.mirror, name, content)
	e := p.m.Base.Get(safety.RelPath(name))
	e.Mirror.Ctime = time.Now().Add(time.Hour).UnixNano()
	p.m.Base.Put(safety.RelPath(name), e)
}

// tornInPlace makes the mirror's file one whose stamp came to the disk and whose content did not.
func (p *pair) tornInPlace(name, content string) {
	p.write(p.mirror, name, content)
	info, err := p.m.Root.Lstat(safety.RelPath(name))
	p.must(err)
	there, err := p.m.Project.Lstat(safety.RelPath(name))
	p.must(err)
	e := p.m.Base.Get(safety.RelPath(name))
	e.Project, e.Mirror = mirror.StampOf(there), mirror.StampOf(info) // neither side gives a reason to look
	p.m.Base.Put(safety.RelPath(name), e)
}

func pathList(list []safety.RelPath) string {
	var notes []autosync.PathNote
	for _, p := range list {
		notes = append(notes, autosync.PathNote{Path: p})
	}
	return notePaths(notes)
}

func TestNothingThatAPowerCutDidComesHomeUnasked(t *testing.T) {
	p := newPair(t, "keep = 1", "emptied = full", "missing = 1", "torn = whole", "stamped = whole", "d/missing = 1", "readonly = 1", ".agentreadonly = readonly")
	p.write(p.mirror, "emptied", "")
	p.write(p.mirror, "new", "agent")
	p.fellBehind("torn", "wh\x00\x00\x00")
	p.tornInPlace("stamped", "wh\x00\x00\x00")
	for _, name := range []string{"missing", "d/missing", "d", "readonly"} {
		p.must(os.Remove(filepath.Join(p.mirror, name)))
	}
	p.powerCut(time.Now())
	for _, dry := range []bool{true, false, false} {
		c := p.once(autosync.Options{Deletes: true, DryRun: dry})
		p.is("held", notePaths(c.Held), "emptied new")
		for _, n := range c.Held {
			if n.Hold != autosync.HoldPowerCut {
				t.Errorf("%s is held as %q", n.Path, n.Hold)
			}
		}
		if len(c.ToProject)+len(c.Deleted)+len(c.Refused)+len(c.Conflicts)+len(c.PendingDelete) > 0 {
			t.Errorf("dry %v: %+v", dry, c)
		}
		if dry {
			p.is("lost", pathList(c.Lost), "d d/missing missing readonly stamped torn")
		}
	}
	for _, name := range []string{"keep", "missing", "d/missing", "readonly"} {
		p.wantMirror(name, "1")
		p.wantProject(name, "1")
	}
	p.wantMirror("torn", "whole")
	p.wantMirror("stamped", "whole")
	p.wantProject("emptied", "full")
	if !p.m.Session.Interrupted() {
		t.Fatal("what waits is forgotten")
	}
	if _, err := autosync.Start(t.Context(), p.m, autosync.Options{}, autosync.LiveOptions{}); !errors.Is(err, autosync.ErrInterrupted) {
		t.Errorf("live sync on a mirror in doubt: %v", err)
	}
	c := p.once(autosync.Options{Deletes: true, OnlyToProject: true, Approved: true})
	p.is("to the project", pathList(c.ToProject), "emptied new")
	p.wantProject("emptied", "")
	if p.m.Session.Interrupted() || !p.m.Session.LastAlive.IsZero() {
		t.Error("the word was given, and the mirror is in doubt still")
	}
	p.remove(p.mirror, "missing")
	p.is("deleted afterwards", notePaths(p.sync().Deleted), "missing")
}

func TestWhatWasOnTheDiskLongBeforeComesHome(t *testing.T) {
	p := newPair(t, "edited = 1", "deleted = 1", "moved = 1", "both = 1")
	p.write(p.mirror, "edited", "agent")
	p.write(p.mirror, "new", "agent")
	p.write(p.mirror, "both", "agent")
	p.write(p.project, "both", "user")
	p.remove(p.mirror, "deleted")
	p.must(os.Rename(filepath.Join(p.mirror, "moved"), filepath.Join(p.mirror, "there")))
	p.powerCut(time.Now().Add(time.Hour))
	c := p.sync()
	p.is("to the project", pathList(c.ToProject), "both edited new there")
	p.is("held", notePaths(c.Held), "deleted moved")
	p.is("conflicts", notePaths(c.Conflicts), "both")
	p.wantProject("deleted", "1")
}

func TestDoubtedVersionsOutliveTheMirror(t *testing.T) {
	p := newPair(t, "edited = 1", "gone = 1")
	p.write(p.mirror, "edited", "agent")
	p.powerCut(time.Now())
	c := p.once(autosync.Options{Deletes: true, Final: true})
	p.is("held", notePaths(c.Held), "edited")
	p.holds(c.Held[0].Kept, "", "agent")
	_, c, err := autosync.ApplyHeld(t.Context(), p.state(), p.m.Session, nil)
	p.must(err)
	p.wantProject("edited", "agent")
	p.is("to the project", pathList(c.ToProject), "edited")
}

func TestDiscardAfterAPowerCutSettlesIt(t *testing.T) {
	p := newPair(t, "edited = 1", "missing = 1")
	p.write(p.mirror, "edited", "agent")
	p.remove(p.mirror, "missing")
	p.powerCut(time.Now())
	discarded, _, err := autosync.Discard(t.Context(), p.m, nil)
	p.must(err)
	p.is("discarded", notePaths(discarded), "edited")
	p.wantMirror("edited", "1")
	p.wantMirror("missing", "1")
	if p.m.Session.Interrupted() {
		t.Error("the word was given, and the mirror is in doubt still")
	}
}

// What is done in the mirror after the reboot is no sign that the machine was running before it.
func TestTheLastSignOfLifeIsNotedOnce(t *testing.T) {
	p := newPair(t, "a = 1")
	p.write(p.mirror, "a", "agent")
	p.powerCut(time.Time{})
	p.sync()
	noted := p.m.Session.LastAlive
	if noted.IsZero() || noted.After(time.Now().Add(-time.Second)) && noted.After(bootBegan(t)) {
		t.Fatalf("noted: %v", noted)
	}
	p.write(p.mirror, "b", "agent")
	p.sync()
	if !p.m.Session.LastAlive.Equal(noted) {
		t.Errorf("was %v, is %v", noted, p.m.Session.LastAlive)
	}
}

func bootBegan(t *testing.T) time.Time {
	boot, err := safety.ThisBoot()
	if err != nil {
		t.Fatal(err)
	}
	return boot.Began
}

func TestAMirrorThatIsOnTheDiskIsNotInDoubt(t *testing.T) {
	p := newPair(t, "a = 1")
	if p.m.Session.Boot == "" {
		t.Fatal("built, and the boot is not noted")
	}
	p.must(p.m.SyncAll())
	if p.m.Session.Boot != "" {
		t.Error("synced to the disk, and in doubt at the next boot")
	}
	p.sync()
	if p.m.Session.Boot == "" {
		t.Error("written to, and not in doubt at the next boot")
	}
}
