package autosync_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/mirror/mirrortest"
	"github.com/alca-mount/alca-mount/safety"
)

// everywhere reports whether content is anywhere in the project, the mirror or the session.
func (p *pair) anywhere(content string) bool {
	found := false
	for _, top := range []string{p.project, p.mirror, filepath.Join(p.m.Session.Dir(), "..", "..")} {
		_ = filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				if data, err := os.ReadFile(path); err == nil && string(data) == content {
					found = true
				}
			}
			return nil
		})
	}
	return found
}

func TestOriginalIsKeptAfterAModeChange(t *testing.T) {
	p := newPair(t, "f = original", "o = o")
	p.must(os.Chmod(filepath.Join(p.mirror, "f"), 0o755))
	p.sync()
	p.write(p.mirror, "f", "agent")
	p.sync()
	if !p.anywhere("original") {
		t.Error("the version before the session is nowhere")
	}
}

func TestUsersInPlaceEditOfAPlacedFileIsKept(t *testing.T) {
	p := newPair(t, "f = original", "o = o")
	p.write(p.mirror, "f", "agent 1")
	p.sync()
	p.write(p.project, "f", "the user's own") // same inode, as most editors that save in place
	p.sync()
	p.write(p.mirror, "f", "agent 2")
	p.sync()
	if !p.anywhere("the user's own") {
		t.Error("the user's edit is nowhere")
	}
}

func TestLeftoverInTheStoreDoesNotStopSyncing(t *testing.T) {
	p := newPair(t, "f = original", "o = o")
	store := filepath.Join(p.m.Session.Dir(), "store")
	p.must(os.MkdirAll(store, 0o700))
	p.must(os.WriteFile(filepath.Join(store, "00000001"), []byte("half"), 0o600))
	p.write(p.mirror, "f", "agent")
	p.sync()
	p.wantProject("f", "agent")
}

func TestOnceLeavesNoDescriptorOpen(t *testing.T) {
	p := newPair(t, "f = original", "o = o")
	count := func() int { l, _ := os.ReadDir("/proc/self/fd"); return len(l) }
	p.sync()
	before := count()
	for range 20 {
		p.sync()
	}
	if after := count(); after > before+2 {
		t.Errorf("descriptors: %d before, %d after 20 passes", before, after)
	}
}

func TestEditOfAReadOnlyFileIsReportedWithoutMirrorSteps(t *testing.T) {
	p := newPair(t, ".agentreadonly = conf", "conf = 1", "o = o")
	p.must(os.Chmod(filepath.Join(p.mirror, "conf"), 0o644))
	p.write(p.mirror, "conf", "tampered")
	for _, dry := range []bool{true, false} {
		c := p.once(autosync.Options{OnlyToProject: true, DryRun: dry})
		if len(c.Refused) != 1 {
			t.Errorf("dry %v: refused = %+v", dry, c.Refused)
		}
	}
}

func TestDirectoryTheUserDeletedStaysDeleted(t *testing.T) {
	p := newPair(t, "d/f = 1", "o = o")
	p.write(p.mirror, "d/node_modules/x", "x")
	p.remove(p.project, "d")
	p.sync()
	p.sync()
	if _, err := os.Lstat(filepath.Join(p.project, "d")); err == nil {
		t.Error("the directory that the user deleted is back")
	}
}

func TestFailureToSetAsideIsReported(t *testing.T) {
	for _, failure := range []error{syscall.EIO, syscall.ELOOP} {
		p := newPair(t, ".agentignore = .env", "f = 1")
		p.write(p.mirror, ".env", "agent's own")
		root, err := safety.OpenRootWith(p.mirror, func(op safety.Op, name string) error {
			if op == safety.OpMoveOut {
				return failure
			}
			return nil
		})
		p.must(err)
		p.m.Root.Close()
		p.m.Root = root
		c, err := p.tryOnce(autosync.Options{Deletes: true, Final: true})
		p.must(err)
		if len(c.Failed) == 0 {
			t.Errorf("%v: the orphan could not be kept, and nothing is reported as failed: %+v", failure, c)
		}
	}
}

func TestFileThatVanishesBeforeItsHashIsLookedAtAgain(t *testing.T) {
	p := newPair(t, "f = one", "o = o")
	p.write(p.project, "f", "two")
	p.write(p.mirror, "o", "O")
	var once atomic.Bool
	root, err := safety.OpenRootWith(p.project, func(op safety.Op, name string) error {
		if op == safety.OpFileOpen && name == "f" && once.CompareAndSwap(false, true) {
			return os.Remove(filepath.Join(p.project, "f"))
		}
		return nil
	})
	p.must(err)
	p.m.Project.Close()
	p.m.Project = root
	c, err := p.tryOnce(autosync.Options{Deletes: true})
	p.must(err)
	if len(c.Failed) > 0 {
		t.Errorf("failed: %+v", c.Failed)
	}
}

func TestAgentsSaveWithoutExchangeIsReported(t *testing.T) {
	p := newPair(t, "f = original", "o = o")
	var once atomic.Bool
	var calls atomic.Int32
	root, err := safety.OpenRootWith(p.mirror, func(op safety.Op, name string) error {
		if op == safety.OpProbe && strings.HasPrefix(name, "probe-b-") && calls.Add(1)%4 == 3 { // create, fstat, rename, unlink
			return syscall.EINVAL
		}
		if op == safety.OpTakeAway && once.CompareAndSwap(false, true) {
			_ = os.WriteFile(filepath.Join(p.mirror, "f.new"), []byte("agent's newest"), 0o644)
			return os.Rename(filepath.Join(p.mirror, "f.new"), filepath.Join(p.mirror, "f"))
		}
		return nil
	})
	p.must(err)
	p.m.Root.Close()
	p.m.Root = root
	p.write(p.project, "f", "user")
	c := p.sync()
	t.Logf("%+v", c)
	if got := read(t, filepath.Join(p.mirror, "f")); got != "agent's newest" && c.Untouched() {
		t.Errorf("mirror has %q and nothing is reported: the session would be removed; %+v", got, c)
	}
	_ = time.Now
	_ = mirror.Options{}
	_ = mirrortest.List
}

func TestHeldAndRefusedAreNoDeletionsLater(t *testing.T) {
	outside := t.TempDir()
	p := newPair(t, "d/a = 1", "d/b = 2", "o = o")
	p.remove(p.mirror, "d")
	p.must(os.Symlink(outside, filepath.Join(p.mirror, "d")))
	p.once(autosync.Options{Deletes: true, Final: true})
	// The mirror could not be removed after that, and is kept.
	p.sync()
	p.wantProject("d/a", "1")
	p.wantProject("d/b", "2")
}

func TestEditFromBeforeTheRuleIsReported(t *testing.T) {
	p := newPair(t, "src/priv/a = 1", "o = o")
	p.write(p.mirror, "src/priv/a", "agent")
	p.write(p.project, ".agentignore", "priv/\n")
	p.must(p.m.Close())
	m, err := mirror.Attach(t.Context(), p.project, p.mirror, mirror.Options{Session: p.m.Session})
	p.must(err)
	p.m = m
	c := p.once(autosync.Options{OnlyToProject: true})
	if c.Untouched() {
		t.Errorf("the agent's edit below what is hidden now is not reported: %+v", c)
	}
}

func TestWorkBelowAProjectsBarredLinkIsRefused(t *testing.T) {
	outside := t.TempDir()
	p := newPair(t, "data -> "+outside, "o = o")
	p.write(p.mirror, "data/new", "agent")
	c := p.once(autosync.Options{Deletes: true, Final: true})
	p.wantKept(c.Refused, "data/new", "agent")
}

func TestDirectoryReplacedByBarredLinkInTheProject(t *testing.T) {
	outside := t.TempDir()
	p := newPair(t, "d/f = 1", "o = o")
	p.remove(p.project, "d")
	p.must(os.Symlink(outside, filepath.Join(p.project, "d")))
	p.write(p.mirror, "d/f", "agent")
	c := p.once(autosync.Options{Deletes: true, Final: true})
	t.Logf("%+v", c)
	if !p.anywhere("agent") || c.Untouched() {
		t.Errorf("%+v", c)
	}
}

func TestPathBelowAnUnselectedReplacementStays(t *testing.T) {
	p := newPair(t, "d/", "o = o")
	p.remove(p.mirror, "d")
	p.write(p.mirror, "d", "file")
	p.write(p.project, "d/new", "user")
	p.once(autosync.Options{OnlyToProject: true, Paths: []safety.RelPath{"d/new"}})
	p.wantProject("d/new", "user")
}

func TestRepositoryThatTheAgentMadeIsKept(t *testing.T) {
	p := newPair(t, "sub/f = 1", "o = o")
	p.write(p.mirror, ".git/HEAD", "ref")
	p.write(p.mirror, "sub/.git/HEAD", "sub ref")
	p.write(p.mirror, "node_modules/x/.git/HEAD", "not kept")
	c := p.once(autosync.Options{Deletes: true, Final: true})
	for _, content := range []string{"ref", "sub ref"} {
		if c.Untouched() || len(c.Refused) != 2 {
			t.Errorf("%s: %+v", content, c)
		}
	}
	for _, n := range c.Refused {
		if _, err := os.Stat(filepath.Join(n.Kept, "HEAD")); err != nil {
			t.Error(err)
		}
	}
}

func TestLinkTargetThatIsNoUTF8IsRemembered(t *testing.T) {
	p := newPair(t, "o = o")
	p.must(os.Symlink("\xff\xfe", filepath.Join(p.mirror, "l")))
	p.sync()
	p.remove(p.mirror, "l")
	c := p.sync()
	if _, err := os.Lstat(filepath.Join(p.project, "l")); err == nil {
		t.Errorf("the agent's deletion was undone: %+v", c)
	}
}

func TestKeptPathThatIsNoUTF8(t *testing.T) {
	p := newPair(t, "d/f = 1", "o = o")
	_ = p
}

func TestAgentsDeletionAgainstAnEditIsNotCalledReadOnly(t *testing.T) {
	p := newPair(t, "a = 1", "b = 2")
	p.remove(p.mirror, "b")
	p.write(p.project, "b", "user")
	c := p.sync()
	if len(c.Refused) > 0 {
		t.Errorf("refused: %+v", c.Refused)
	}
}

// What the agent links has one content and in the project is two files: the user's save of one is not one of the other, nor
// of what is outside.
func TestHardLinkOfTheMirrorComesApart(t *testing.T) {
	p := newPair(t, ".agentreadonly = ro", "a = 1", "ro = 1")
	outside := filepath.Join(t.TempDir(), "outside")
	p.must(os.WriteFile(outside, []byte("precious"), 0o644))
	p.write(p.mirror, "a", "agent")
	p.must(os.Link(filepath.Join(p.mirror, "a"), filepath.Join(p.mirror, "snap")))
	p.must(os.Link(outside, filepath.Join(p.mirror, "linked")))
	p.remove(p.mirror, "ro")
	p.must(os.Link(outside, filepath.Join(p.mirror, "ro")))
	p.sync()
	p.wantProject("snap", "agent")
	p.wantProject("linked", "precious")
	p.wantMirror("ro", "1")
	p.write(p.project, "a", "user")
	p.write(p.project, "linked", "user")
	p.sync()
	p.wantMirror("a", "user")
	p.wantMirror("linked", "user")
	p.wantMirror("snap", "agent")
	p.wantProject("snap", "agent")
	if got, err := os.ReadFile(outside); string(got) != "precious" {
		t.Errorf("outside: %q, %v", got, err)
	}
}

func TestHardLinkToAPathTheAgentMayNotChangeComesApart(t *testing.T) {
	p := newPair(t, ".agentignore = key", ".agentreadonly = ro", "key = secret", "ro = 1", "a = 2")
	p.must(os.Link(filepath.Join(p.project, "key"), filepath.Join(p.project, "y")))
	p.must(os.Link(filepath.Join(p.project, "ro"), filepath.Join(p.project, "x")))
	p.must(os.Link(filepath.Join(p.project, "a"), filepath.Join(p.project, "b")))
	p.sync()
	for _, name := range []string{"x", "y", "a"} {
		p.write(p.mirror, name, "agent")
	}
	p.sync()
	p.wantProject("key", "secret")
	p.wantProject("ro", "1")
	p.wantProject("x", "agent")
	p.wantProject("y", "agent")
	p.wantProject("b", "agent") // both names are the agent's to write: they stay one file
}
