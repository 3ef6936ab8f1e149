package autosync_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/autosync/internal/journal"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/mirror/mirrortest"
	"github.com/alca-mount/alca-mount/safety"
)

// pair is a project and its mirror in directories of their own.
type pair struct {
	t               *testing.T
	project, mirror string
	m               *mirror.Mirror
	events          []autosync.Event
}

// newPair builds a mirror of a project with the rules that its rule files state.
func newPair(t *testing.T, lines ...string) *pair {
	t.Helper()
	return newPairWith(t, mirror.Options{}, lines...)
}

func newPairWith(t *testing.T, opts mirror.Options, lines ...string) *pair {
	t.Helper()
	return newPairAt(t, mirrortest.Make(t, filepath.Join(t.TempDir(), "project"), lines...), opts)
}

func newPairAt(t *testing.T, project string, opts mirror.Options) *pair {
	t.Helper()
	dir := t.TempDir()
	state := mirror.NewStateDir(filepath.Join(dir, "state"))
	if opts.Policy == nil {
		var err error
		if opts.Policy, err = dotfiles.Read(project, ""); err != nil {
			t.Fatal(err)
		}
	}
	if opts.Session == nil {
		var err error
		if opts.Session, err = state.New(project, mirror.Record{Rules: opts.Policy.Rules()}); err != nil {
			t.Fatal(err)
		}
	}
	m, err := mirror.Create(t.Context(), project, "", opts)
	if err == nil {
		err = m.Rest(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = m.Close()
		_ = opts.Session.Unlock()
		mirrortest.OpenUp(dir)
		mirrortest.OpenUp(project)
	})
	return &pair{t: t, project: project, mirror: m.Root.Path(), m: m}
}

func (p *pair) once(opts autosync.Options) autosync.Changes {
	p.t.Helper()
	c, err := p.tryOnce(opts)
	if err != nil {
		p.t.Fatalf("Once: %v", err)
	}
	if len(c.Failed) > 0 {
		p.t.Fatalf("failed: %+v", c.Failed)
	}
	return c
}

func (p *pair) tryOnce(opts autosync.Options) (autosync.Changes, error) {
	opts.Events = func(e autosync.Event) { p.events = append(p.events, e) }
	return autosync.Once(p.t.Context(), p.m, opts)
}

// sync is the last pass of a session.
func (p *pair) sync() autosync.Changes {
	p.t.Helper()
	return p.once(autosync.Options{Deletes: true})
}

func (p *pair) write(side, name, content string) {
	p.t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(side, name)), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(side, name), []byte(content), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pair) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *pair) remove(side, name string) {
	p.t.Helper()
	p.must(os.RemoveAll(filepath.Join(side, name)))
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir) {
		return "(absent)"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (p *pair) wantProject(name, content string) {
	p.t.Helper()
	if got := read(p.t, filepath.Join(p.project, name)); got != content {
		p.t.Errorf("project %s = %q, want %q", name, got, content)
	}
}

func (p *pair) wantMirror(name, content string) {
	p.t.Helper()
	if got := read(p.t, filepath.Join(p.mirror, name)); got != content {
		p.t.Errorf("mirror %s = %q, want %q", name, got, content)
	}
}

// wantKept checks that exactly one note is of name and that its kept version holds content.
func (p *pair) wantKept(notes []autosync.PathNote, name, content string) {
	p.t.Helper()
	for _, n := range notes {
		if n.Path == safety.RelPath(name) {
			if got := read(p.t, n.Kept); got != content {
				p.t.Errorf("kept version of %s in %s = %q, want %q", name, n.Kept, got, content)
			}
			return
		}
	}
	p.t.Errorf("no note of %s in %+v", name, notes)
}

func (p *pair) wantNothingMore() {
	p.t.Helper()
	c := p.sync()
	if n := len(c.ToProject) + len(c.ToMirror) + len(c.Deleted) + len(c.Conflicts); n > 0 {
		p.t.Errorf("a second pass still does something: %+v", c)
	}
}

func TestEditsNewFilesAndDeletesComeHome(t *testing.T) {
	p := newPair(t, "edited = old", "deleted = gone", "dir/inner = x", "kept = k")
	p.write(p.mirror, "edited", "new")
	p.write(p.mirror, "fresh/deep/file", "made")
	p.remove(p.mirror, "deleted")
	p.remove(p.mirror, "dir")
	c := p.sync()
	p.wantProject("edited", "new")
	p.wantProject("fresh/deep/file", "made")
	p.wantProject("deleted", "(absent)")
	p.wantProject("kept", "k")
	if _, err := os.Lstat(filepath.Join(p.project, "dir")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the emptied directory is still there: %v", err)
	}
	if want := []safety.RelPath{"edited", "fresh/deep/file"}; !slices.Equal(c.ToProject, want) {
		t.Errorf("ToProject = %q, want %q", c.ToProject, want)
	}
	p.wantKept(c.Deleted, "deleted", "gone")
	p.wantKept(c.Deleted, "dir/inner", "x")
	p.wantNothingMore()
}

func TestUsersEditsStayAndReachTheMirror(t *testing.T) {
	p := newPair(t, "a = 1", "b = 2", "c = 3")
	p.write(p.project, "a", "user")
	p.remove(p.project, "b")
	p.write(p.project, "new", "n")
	p.write(p.mirror, "c", "agent")
	p.sync()
	p.wantProject("a", "user")
	p.wantMirror("a", "user")
	p.wantProject("b", "(absent)")
	p.wantMirror("b", "(absent)")
	p.wantMirror("new", "n")
	p.wantProject("c", "agent")
	p.wantNothingMore()
}

func TestConflictMirrorWinsAndLoserIsKept(t *testing.T) {
	p := newPair(t, "d/f = base")
	p.write(p.project, "d/f", "user's")
	p.write(p.mirror, "d/f", "agent's")
	c := p.sync()
	p.wantProject("d/f", "agent's")
	p.wantKept(c.Conflicts, "d/f", "user's")
	if !strings.HasSuffix(c.Conflicts[0].Kept, filepath.Join("conflicts", "d", "f")) {
		t.Errorf("the loser is kept at %s, not under its own path", c.Conflicts[0].Kept)
	}
	p.wantNothingMore()
}

func TestEqualEditsAreNoConflict(t *testing.T) {
	p := newPair(t, "f = base")
	p.write(p.project, "f", "same")
	p.write(p.mirror, "f", "same")
	if c := p.sync(); len(c.Conflicts)+len(c.ToProject) > 0 {
		t.Errorf("changes = %+v", c)
	}
	p.wantNothingMore()
}

func TestTouchIsNoChange(t *testing.T) {
	p := newPair(t, "f = base")
	for _, side := range []string{p.project, p.mirror} {
		p.write(side, "f", "base")
	}
	if c := p.sync(); !c.Untouched() {
		t.Errorf("changes = %+v", c)
	}
}

func TestSameSizeEditWithOldTimeIsSeen(t *testing.T) {
	p := newPair(t, "f = old")
	info, err := os.Stat(filepath.Join(p.mirror, "f"))
	p.must(err)
	p.write(p.mirror, "f", "new")
	p.must(os.Chtimes(filepath.Join(p.mirror, "f"), info.ModTime(), info.ModTime()))
	p.sync()
	p.wantProject("f", "new")
}

func TestDeleteAgainstEditTheEditWins(t *testing.T) {
	p := newPair(t, "a = 1", "b = 2")
	p.remove(p.project, "a")
	p.write(p.mirror, "a", "agent")
	p.remove(p.mirror, "b")
	p.write(p.project, "b", "user")
	p.sync()
	p.wantProject("a", "agent")
	p.wantMirror("b", "user")
	p.wantProject("b", "user")
	p.wantNothingMore()
}

func TestExecuteBitAloneCrosses(t *testing.T) {
	p := newPair(t, "run 0640 = x", "off 0755 = y")
	p.must(os.Chmod(filepath.Join(p.mirror, "run"), 0o750))
	p.must(os.Chmod(filepath.Join(p.mirror, "off"), 0o644))
	before, err := os.Stat(filepath.Join(p.project, "run"))
	p.must(err)
	p.sync()
	after, err := os.Stat(filepath.Join(p.project, "run"))
	p.must(err)
	if after.Mode().Perm() != 0o750 || !os.SameFile(before, after) {
		t.Errorf("run: mode %v, same inode %v", after.Mode(), os.SameFile(before, after))
	}
	if off, _ := os.Stat(filepath.Join(p.project, "off")); off.Mode().Perm()&0o111 != 0 {
		t.Errorf("off: mode %v", off.Mode())
	}
	p.wantNothingMore()
}

func TestReplacedFileKeepsTheProjectsMode(t *testing.T) {
	p := newPair(t, "f 0600 = x")
	p.remove(p.mirror, "f")
	p.write(p.mirror, "f", "y")
	p.sync()
	if info, _ := os.Stat(filepath.Join(p.project, "f")); info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v", info.Mode())
	}
	p.wantProject("f", "y")
}

func TestTypeChanges(t *testing.T) {
	p := newPair(t, "file = 1", "dir/a = 2", "dir/b/c = 3", "l -> file")
	p.remove(p.mirror, "file")
	p.write(p.mirror, "file/inner", "now a directory")
	p.remove(p.mirror, "dir")
	p.write(p.mirror, "dir", "now a file")
	p.remove(p.mirror, "l")
	p.write(p.mirror, "l", "was a link")
	c := p.sync()
	p.wantProject("file/inner", "now a directory")
	p.wantProject("dir", "now a file")
	p.wantProject("l", "was a link")
	p.wantKept(c.Deleted, "dir/b/c", "3")
	p.wantNothingMore()
}

func TestLinksCrossWhenTheyStayInside(t *testing.T) {
	p := newPair(t, ".agentignore = secret", "secret = s", "a = 1", "old -> a")
	mirrortest.Make(t, p.mirror, "in -> a", "up/l -> ../a", "outer -> ../../outside", "abs -> /etc/passwd", "hid -> secret")
	p.remove(p.mirror, "old")
	mirrortest.Make(t, p.mirror, "old -> up")
	c := p.sync()
	for name, want := range map[string]string{"in": "a", "up/l": "../a", "old": "up"} {
		if got, err := os.Readlink(filepath.Join(p.project, name)); err != nil || got != want {
			t.Errorf("%s -> %q, %v; want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"outer", "abs", "hid"} {
		if _, err := os.Lstat(filepath.Join(p.project, name)); err == nil {
			t.Errorf("%s crossed", name)
		}
		if !slices.ContainsFunc(c.Refused, func(n autosync.PathNote) bool { return n.Path == safety.RelPath(name) }) {
			t.Errorf("%s is not reported: %+v", name, c.Refused)
		}
	}
}

func TestReadOnlyIsPutBackAndReported(t *testing.T) {
	p := newPair(t, ".agentreadonly = conf/", "conf/a = 1", "conf/b = 2", "free = f")
	p.must(os.Chmod(filepath.Join(p.mirror, "conf"), 0o755))
	p.must(os.Chmod(filepath.Join(p.mirror, "conf/a"), 0o644))
	p.write(p.mirror, "conf/a", "tampered")
	p.remove(p.mirror, "conf/b")
	p.write(p.mirror, "conf/new", "n")
	p.write(p.project, "conf/c", "from the project")
	c := p.sync()
	p.wantProject("conf/a", "1")
	p.wantProject("conf/b", "2")
	p.wantProject("conf/new", "(absent)")
	p.wantMirror("conf/a", "1")
	p.wantMirror("conf/b", "2")
	p.wantMirror("conf/c", "from the project")
	p.wantKept(c.Refused, "conf/a", "tampered")
	for _, name := range []string{"conf/a", "conf/c"} {
		if info, err := os.Stat(filepath.Join(p.mirror, name)); err != nil || info.Mode().Perm()&0o222 != 0 {
			t.Errorf("mirror %s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestFinalPassKeepsWhatMayNotCross(t *testing.T) {
	p := newPair(t, ".agentignore = .env\\nsecrets/", ".agentreadonly = ro/", ".env = S", "ro/x = 1", "f = 1")
	p.write(p.mirror, ".env", "agent's own")
	p.write(p.mirror, "secrets/k/deep", "orphan")
	p.must(os.Chmod(filepath.Join(p.mirror, "ro"), 0o755))
	p.write(p.mirror, "ro/new", "refused")
	c := p.once(autosync.Options{Deletes: true, Final: true})
	p.wantProject(".env", "S")
	p.wantProject("ro/new", "(absent)")
	p.wantKept(c.Orphans, ".env", "agent's own")
	p.wantKept(c.Refused, "ro/new", "refused")
	for _, n := range c.Orphans {
		if n.Path == "secrets" {
			if got := read(t, filepath.Join(n.Kept, "k/deep")); got != "orphan" {
				t.Errorf("orphan = %q", got)
			}
		}
	}
	if len(c.Orphans) != 2 {
		t.Errorf("orphans = %+v", c.Orphans)
	}
}

func TestHiddenResidueSurvivesTheDeletionOfItsDirectory(t *testing.T) {
	p := newPair(t, ".agentignore = .env", "d/.env = S", "d/f = 1", "other = o")
	p.remove(p.mirror, "d")
	p.sync()
	p.wantProject("d/.env", "S")
	p.wantProject("d/f", "(absent)")
	p.wantNothingMore()
	if _, err := os.Lstat(filepath.Join(p.mirror, "d")); err == nil {
		t.Error("the directory came back to the mirror")
	}
}

func TestMoveIntoHiddenPathIsHeld(t *testing.T) {
	p := newPair(t, ".agentignore = secrets/", "src/a = 1", "src/b/c = 2", "other = o")
	p.must(os.Rename(filepath.Join(p.mirror, "src"), filepath.Join(p.mirror, "secrets")))
	c := p.sync()
	p.wantProject("src/a", "1")
	p.wantProject("src/b/c", "2")
	p.wantProject("secrets/a", "(absent)")
	if len(c.Held) == 0 {
		t.Errorf("nothing is reported as held: %+v", c)
	}
}

func TestReusedInodeIsNoMove(t *testing.T) {
	p := newPair(t, ".agentignore = secret*", "a = 1", "b = 2")
	for range 20 { // until the number of the deleted file is given to the new one
		p.remove(p.mirror, "a")
		p.write(p.mirror, "secret", "made by the agent")
		c := p.once(autosync.Options{Deletes: true, DryRun: true})
		if len(c.Held) > 0 {
			t.Fatalf("held = %+v", c.Held)
		}
		p.remove(p.mirror, "secret")
		p.write(p.mirror, "a", "1")
	}
}

func TestDirectoryReplacedByLinkOutsideDeletesNothing(t *testing.T) {
	outside := t.TempDir()
	p := newPair(t, "d/a = 1", "d/b/c = 2", "o = o")
	p.remove(p.mirror, "d")
	p.must(os.Symlink(outside, filepath.Join(p.mirror, "d")))
	p.write(outside, "a", "outside")
	c := p.sync()
	p.wantProject("d/a", "1")
	p.wantProject("d/b/c", "2")
	p.wantKept([]autosync.PathNote{{Path: "x", Kept: filepath.Join(outside, "a")}}, "x", "outside")
	if len(c.Refused) != 1 || c.Refused[0].Path != "d" {
		t.Errorf("refused = %+v", c.Refused)
	}
}

func TestMassDeleteIsHeldAndPassesWhenAllowed(t *testing.T) {
	var lines []string
	for i := range 120 {
		lines = append(lines, filepath.Join("d", string(rune('a'+i%26)), strings.Repeat("x", i/26+1))+" = "+strings.Repeat("y", i+1))
	}
	p := newPair(t, append(lines, "keep = k")...)
	p.remove(p.mirror, "d")
	c := p.sync()
	if len(c.Deleted) > 0 || len(c.Held) < 120 {
		t.Fatalf("deleted %d, held %d", len(c.Deleted), len(c.Held))
	}
	if c = p.once(autosync.Options{Deletes: true, AllowMassDelete: true}); len(c.Deleted) != 120 {
		t.Fatalf("allowed, but deleted %d", len(c.Deleted))
	}
	p.wantProject("keep", "k")
}

func TestMirrorGoneOrEmptiedDeletesNothing(t *testing.T) {
	for name, harm := range map[string]func(p *pair){
		"removed":        func(p *pair) { p.must(os.RemoveAll(p.mirror)) },
		"emptied":        func(p *pair) { p.remove(p.mirror, "a"); p.remove(p.mirror, "b") },
		"marker removed": func(p *pair) { p.remove(p.mirror, "a"); p.remove(p.mirror, safety.MarkerName) },
		"replaced": func(p *pair) {
			p.must(os.Rename(p.mirror, p.mirror+".away"))
			p.must(os.Mkdir(p.mirror, 0o755))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, "a = 1", "b = 2")
			harm(p)
			c, err := p.tryOnce(autosync.Options{Deletes: true})
			if !errors.Is(err, safety.ErrGone) || c.Halted == "" {
				t.Errorf("err = %v, halted %q", err, c.Halted)
			}
			p.wantProject("a", "1")
			p.wantProject("b", "2")
		})
	}
}

func TestProjectEmptiedTakesNothingFromTheMirror(t *testing.T) {
	p := newPair(t, "a = 1", "b = 2")
	p.remove(p.project, "a")
	p.remove(p.project, "b")
	if _, err := p.tryOnce(autosync.Options{Deletes: true}); !errors.Is(err, safety.ErrGone) {
		t.Errorf("err = %v", err)
	}
	p.wantMirror("a", "1")
}

func TestSyncBackNeverDeletesAndKnowsTheBase(t *testing.T) {
	p := newPair(t, "a = 1", "b = 2", "c = 3", "d = 4")
	p.write(p.mirror, "a", "agent")
	p.remove(p.mirror, "b")
	p.write(p.project, "c", "user")
	p.remove(p.project, "d")
	n, err := autosync.SyncBack(t.Context(), p.m)
	if n != 1 || err != nil {
		t.Errorf("SyncBack = %d, %v", n, err)
	}
	p.wantProject("a", "agent")
	p.wantProject("b", "2")
	p.wantProject("c", "user")
	p.wantProject("d", "(absent)")
	p.wantMirror("c", "3")
}

func TestSyncBackOfPaths(t *testing.T) {
	p := newPair(t, "a = 1", "b = 2")
	p.write(p.mirror, "a", "agent")
	p.write(p.mirror, "b", "agent")
	p.write(p.mirror, "new/deep/f", "n")
	if n, err := autosync.SyncBack(t.Context(), p.m, "b", "new/deep/f"); n != 2 || err != nil {
		t.Errorf("SyncBack = %d, %v", n, err)
	}
	p.wantProject("a", "1")
	p.wantProject("b", "agent")
	p.wantProject("new/deep/f", "n")
	if _, err := autosync.SyncBack(t.Context(), p.m, "../x"); !errors.Is(err, safety.ErrBadPath) {
		t.Errorf("err = %v", err)
	}
}

func TestSyncBackStopsBetweenFiles(t *testing.T) {
	p := newPair(t, "a = 1")
	p.write(p.mirror, "a", "agent")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := autosync.SyncBack(ctx, p.m); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("SyncBack = %d, %v", n, err)
	}
	p.wantProject("a", "1")
}

func TestDryRunChangesNothing(t *testing.T) {
	p := newPair(t, "a = 1", "b = 2", "c = 3")
	p.write(p.mirror, "a", "agent")
	p.write(p.project, "a", "user")
	p.remove(p.mirror, "b")
	before := mirrortest.List(t, p.project)
	c := p.once(autosync.Options{Deletes: true, DryRun: true})
	if len(c.ToProject) != 1 || len(c.Deleted) != 1 || len(c.Conflicts) != 1 {
		t.Errorf("changes = %+v", c)
	}
	if after := mirrortest.List(t, p.project); !slices.Equal(before, after) {
		t.Errorf("the project changed: %q", after)
	}
}

func TestOddNames(t *testing.T) {
	p := newPair(t, "plain = 1")
	names := []string{"-rf", "a\nb", "\xff\xfe", strings.Repeat("n", 255), "sp ace", "ünïcode", "*", "~"}
	for _, name := range names {
		p.write(p.mirror, name, "agent "+name)
	}
	p.sync()
	for _, name := range names {
		p.wantProject(name, "agent "+name)
		p.remove(p.mirror, name)
	}
	p.sync()
	for _, name := range names {
		p.wantProject(name, "(absent)")
	}
}

func TestPerPathTroubleDoesNotStopTheRest(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root is not stopped by permissions; the tests also run as an ordinary user")
	}
	p := newPair(t, "shut/a = 1", "b = 2")
	p.must(os.Chmod(filepath.Join(p.project, "shut"), 0o555))
	p.write(p.mirror, "shut/a", "agent")
	p.write(p.mirror, "shut/new", "agent")
	p.write(p.mirror, "b", "agent")
	c, err := p.tryOnce(autosync.Options{Deletes: true, Final: true})
	p.must(err)
	p.wantProject("b", "agent")
	p.wantProject("shut/new", "(absent)")
	if len(c.Failed) == 0 {
		t.Errorf("nothing failed: %+v", c)
	}
	p.wantMirror("shut/new", "agent")
}

func TestSecondPassDropsWhatWePlacedOurselves(t *testing.T) {
	p := newPair(t, "a = user's first")
	for _, content := range []string{"1", "2", "3"} {
		p.write(p.mirror, "a", content)
		p.sync()
		p.wantProject("a", content)
	}
	var kept []string
	_ = filepath.WalkDir(filepath.Join(p.m.Session.Dir(), "store"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			kept = append(kept, read(t, path))
		}
		return nil
	})
	if !slices.Equal(kept, []string{"user's first"}) {
		t.Errorf("kept versions: %q", kept)
	}
}

func hasNote(notes []autosync.PathNote, name string) bool {
	for _, n := range notes {
		if string(n.Path) == name {
			return true
		}
	}
	return false
}

// hook puts before ahead of every call that is made through the root of a side from now on.
func (p *pair) hook(side mirror.Side, before safety.Before) {
	p.t.Helper()
	at := &p.m.Project
	if side == mirror.MirrorSide {
		at = &p.m.Root
	}
	root, err := safety.OpenRootWith((*at).Path(), before)
	p.must(err)
	p.must((*at).Close())
	*at = root
}

func TestStartThatFailsLeavesNoStore(t *testing.T) {
	p := newPair(t, "a")
	broken := errors.New("broken")
	p.hook(mirror.MirrorSide, func(op safety.Op, _ string) error {
		if op == safety.OpProbe {
			return broken
		}
		return nil
	})
	if _, err := autosync.Once(t.Context(), p.m, autosync.Options{}); !errors.Is(err, broken) {
		t.Fatalf("the mirror has no place for a store: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(p.m.Session.Dir(), "store")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the project's store is left: %v", err)
	}
}

// The version that a crash left on its way is in the store where it was, and in no other that would do.
func TestWhatWasCutShortIsNotLookedForElsewhere(t *testing.T) {
	p := newPair(t, "a")
	p.must(os.WriteFile(filepath.Join(p.mirror, "a"), []byte("agent"), 0o644))
	p.sync()
	p.cutShort("a")
	broken := true
	p.hook(mirror.ProjectSide, func(op safety.Op, name string) error {
		if broken && op == safety.OpProbe && name == filepath.Join(p.m.Session.Dir(), "store") {
			return errors.New("broken")
		}
		return nil
	})
	_, err := autosync.Once(t.Context(), p.m, autosync.Options{})
	if err == nil || !strings.Contains(err.Error(), "what was cut short is in") {
		t.Errorf("the store could not be used: %v", err)
	}
	if stores := p.m.Session.Stores[0]; stores != filepath.Join(p.m.Session.Dir(), "store") {
		t.Errorf("the store counts as in %s now", stores)
	}
	broken = false
	p.sync()
}

// cutShort gives the session's journal an intent without an end.
func (p *pair) cutShort(name string) {
	p.t.Helper()
	j, err := journal.Open(filepath.Join(p.m.Session.Dir(), "journal"), func(map[string]any) error { return nil })
	p.must(err)
	p.must(j.Append(map[string]any{"t": "I", "seq": 1000, "op": "put", "path": []byte(name), "expect": mirror.Stamp{}}))
	p.must(j.Flush(true))
	p.must(j.Close())
}
