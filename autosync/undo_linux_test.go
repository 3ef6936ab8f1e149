package autosync_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/mirror/mirrortest"
	"github.com/alca-mount/alca-mount/safety"
)

var undoKillStep = flag.Int("undo.killstep", 41, "an undo is killed at each so many-th file-system call")

// copyOf copies a project with all that rsync compares.
func copyOf(t *testing.T, project string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "before")
	if out, err := exec.Command("cp", "-a", project, to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v %s", err, out)
	}
	return to
}

// unlike is what rsync says that would have to be changed to make got like want.
func unlike(t *testing.T, want, got string) string {
	t.Helper()
	out, err := exec.Command("rsync", "-aXAin", "--checksum", "--delete", want+"/", got+"/").CombinedOutput()
	if err != nil {
		t.Fatalf("rsync: %v %s", err, out)
	}
	return string(out)
}

func (p *pair) state() *mirror.StateDir {
	return mirror.NewStateDir(filepath.Dir(filepath.Dir(filepath.Dir(p.m.Session.Dir()))))
}

func (p *pair) undo(s *mirror.Session, opts autosync.UndoOptions) autosync.Undone {
	p.t.Helper()
	u, err := autosync.Undo(p.t.Context(), p.state(), s, opts)
	if err != nil {
		p.t.Fatalf("Undo: %v", err)
	}
	if len(u.Failed) > 0 {
		p.t.Fatalf("failed: %+v", u.Failed)
	}
	if u.Session != "" {
		p.session(u.Session)
	}
	return u
}

func (p *pair) session(id string) *mirror.Session {
	p.t.Helper()
	s, err := p.state().Find(id, "")
	p.must(err)
	return s
}

// old gives everything below dir, dir too, a time long ago.
func (p *pair) old(dir string) {
	p.t.Helper()
	out, err := exec.Command("find", dir, "-depth", "-exec", "touch", "-h", "-d", "2001-02-03 04:05:06.789", "{}", "+").CombinedOutput()
	if err != nil {
		p.t.Fatalf("%v %s", err, out)
	}
}

func oldPair(t *testing.T, lines ...string) *pair {
	t.Helper()
	project := filepath.Join(t.TempDir(), "project")
	p := newPairAt(t, makeOld(t, project, lines...), mirror.Options{})
	return p
}

func TestUndoBringsEverythingBack(t *testing.T) {
	p := oldPair(t, "a.txt", "bin/tool", "bin/dir/deep", "link -> a.txt", "closed/f", "empty/", "kind/x/y", "other")
	before := copyOf(t, p.project)
	p.must(exec.Command("sh", "-c", "cd '"+p.mirror+"' && echo agent >a.txt && rm -rf bin link empty kind closed && mkdir -p new/er a.d && echo n >new/er/f && echo k >kind && ln -s new link2 && rm other && mkdir other && echo o >other/o").Run())
	p.sync()
	after := copyOf(t, p.project)
	u := p.undo(p.m.Session, autosync.UndoOptions{})
	if d := unlike(t, before, p.project); d != "" {
		t.Errorf("after undo:\n%s%+v", d, u)
	}
	uu := p.undo(p.session(u.Session), autosync.UndoOptions{})
	if d := unlike(t, after, p.project); d != "" {
		t.Errorf("after undo of the undo:\n%s%+v", d, uu)
	}
	again := p.undo(p.m.Session, autosync.UndoOptions{})
	if d := unlike(t, before, p.project); d != "" {
		t.Errorf("after the second undo:\n%s%+v", d, again)
	}
	if u := p.undo(p.m.Session, autosync.UndoOptions{}); u.Session != "" || len(u.Left)+len(u.Restored)+len(u.Removed) > 0 {
		t.Errorf("an undo with nothing to do: %+v", u)
	}
}

// makeOld makes a project whose modes are various and whose times are long past.
func makeOld(t *testing.T, project string, lines ...string) string {
	t.Helper()
	p := &pair{t: t}
	for _, l := range lines {
		name, target, isLink := strings.Cut(l, " -> ")
		p.must(os.MkdirAll(filepath.Dir(filepath.Join(project, name)), 0o750))
		switch {
		case isLink:
			p.must(os.Symlink(target, filepath.Join(project, name)))
		case strings.HasSuffix(name, "/"):
			p.must(os.Mkdir(filepath.Join(project, name), 0o711))
		default:
			p.must(os.WriteFile(filepath.Join(project, name), []byte("user's "+name), 0o640))
		}
	}
	_ = os.Chmod(filepath.Join(project, "bin/tool"), 0o751)
	_ = exec.Command("setfattr", "-n", "user.k", "-v", "v", filepath.Join(project, "bin/tool"), filepath.Join(project, "bin")).Run()
	p.old(project)
	return project
}

func TestUndoLeavesWhatTheUserChangedSince(t *testing.T) {
	p := oldPair(t, "a", "b", "gone", "d/x", "mine")
	p.write(p.mirror, "a", "agent")
	p.write(p.mirror, "b", "agent")
	p.write(p.mirror, "new", "agent")
	p.write(p.mirror, "dir/new", "agent")
	p.remove(p.mirror, "gone")
	p.remove(p.mirror, "d")
	p.sync()
	p.write(p.project, "b", "mine now")
	p.write(p.project, "new", "mine now")
	p.write(p.project, "gone", "mine again")
	p.write(p.project, "dir/mine", "mine")
	u := p.undo(p.m.Session, autosync.UndoOptions{})
	p.holds(p.project, "a", "user's a")
	p.holds(p.project, "b", "mine now")
	p.holds(p.project, "new", "mine now")
	p.holds(p.project, "gone", "mine again")
	p.holds(p.project, "dir/mine", "mine")
	p.holds(p.project, "d/x", "user's d/x")
	p.is("left", notePaths(u.Left), "b dir gone new")
	u = p.undo(p.m.Session, autosync.UndoOptions{Force: true})
	p.holds(p.project, "b", "user's b")
	p.holds(p.project, "gone", "user's gone")
	p.is("kept", notePaths(u.Kept), "b gone new")
	p.undo(p.session(u.Session), autosync.UndoOptions{})
	p.holds(p.project, "b", "mine now")
	p.holds(p.project, "new", "mine now")
}

func notePaths(notes []autosync.PathNote) string {
	var out []string
	for _, n := range notes {
		out = append(out, string(n.Path))
	}
	return strings.Join(out, " ")
}

func (p *pair) holds(side, name, want string) {
	p.t.Helper()
	got, err := os.ReadFile(filepath.Join(side, name))
	if err != nil || string(got) != want {
		p.t.Errorf("%s: %q, %v; want %q", name, got, err, want)
	}
}

func (p *pair) is(what, got, want string) {
	p.t.Helper()
	if got != want {
		p.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestUndoGoesBackToTheUsersOwnLatestVersion(t *testing.T) {
	p := oldPair(t, "a")
	p.write(p.mirror, "a", "agent 1")
	p.sync()
	p.write(p.project, "a", "the user went on")
	p.sync()
	p.write(p.mirror, "a", "agent 2")
	p.sync()
	p.write(p.mirror, "a", "agent 3")
	p.sync()
	p.undo(p.m.Session, autosync.UndoOptions{})
	p.holds(p.project, "a", "the user went on")
}

func TestUndoOfModes(t *testing.T) {
	p := oldPair(t, "only", "first", "after")
	before := copyOf(t, p.project)
	chmod := func(name string) { p.must(os.Chmod(filepath.Join(p.mirror, name), 0o755)) }
	chmod("only")
	chmod("first")
	p.sync()
	p.write(p.mirror, "first", "agent")
	p.write(p.mirror, "after", "agent")
	p.sync()
	chmod("after")
	p.sync()
	after := copyOf(t, p.project)
	u := p.undo(p.m.Session, autosync.UndoOptions{})
	if d := unlike(t, before, p.project); d != "" {
		t.Errorf("after undo:\n%s", d)
	}
	p.undo(p.session(u.Session), autosync.UndoOptions{})
	if d := unlike(t, after, p.project); d != "" {
		t.Errorf("after undo of the undo:\n%s", d)
	}
}

func TestUndoKeepsHardLinksTogether(t *testing.T) {
	p := oldPair(t, "one")
	p.must(os.Link(filepath.Join(p.project, "one"), filepath.Join(p.project, "two")))
	p.sync()
	p.write(p.mirror, "one", "agent")
	p.sync()
	p.holds(p.project, "two", "agent")
	u := p.undo(p.m.Session, autosync.UndoOptions{})
	p.holds(p.project, "one", "user's one")
	p.holds(p.project, "two", "user's one")
	p.undo(p.session(u.Session), autosync.UndoOptions{})
	p.holds(p.project, "two", "agent")
}

func TestUndoOfSomePaths(t *testing.T) {
	p := oldPair(t, "d/e/f", "d/e/g", "h")
	p.remove(p.mirror, "d")
	p.write(p.mirror, "h", "agent")
	p.sync()
	u := p.undo(p.m.Session, autosync.UndoOptions{Paths: []safety.RelPath{"d/e/f"}, DryRun: true})
	p.is("foreseen", fmt.Sprint(u.Restored), "[d d/e d/e/f]")
	p.undo(p.m.Session, autosync.UndoOptions{Paths: []safety.RelPath{"d/e/f"}})
	p.holds(p.project, "d/e/f", "user's d/e/f")
	p.holds(p.project, "h", "agent")
	if _, err := os.Lstat(filepath.Join(p.project, "d/e/g")); err == nil {
		t.Error("d/e/g came back unasked")
	}
}

// A journal is a file that others may have written: it must not lead to what the agent may not write, nor outside.
func TestUndoBelievesNoJournalAboutHiddenPaths(t *testing.T) {
	p := oldPair(t, "a", "secret")
	p.write(p.mirror, "a", "agent")
	p.sync()
	s := p.m.Session
	s.Rules.Hidden = append(s.Rules.Hidden, dotfiles.Rule{Source: "test", Line: 1, Pattern: "a"})
	u, err := autosync.Undo(p.t.Context(), p.state(), s, autosync.UndoOptions{Force: true})
	if err != nil || len(u.Failed) != 1 {
		t.Errorf("%+v %v", u, err)
	}
	p.holds(p.project, "a", "agent")
}

// TestUndoChild is the process that TestUndoSurvivesKills kills.
func TestUndoChild(t *testing.T) {
	state, s, kill := toBeKilled(t)
	if _, err := autosync.Undo(t.Context(), state, s, autosync.UndoOptions{}.Seen(kill)); err != nil {
		t.Fatal(err)
	}
}

// toBeKilled is the session that a child of killedAt works on, and what kills it at the call that was named.
func toBeKilled(t *testing.T) (*mirror.StateDir, *mirror.Session, func(safety.Op, string) error) {
	t.Helper()
	at := os.Getenv("ALCA_TEST_KILL_AT")
	if at == "" {
		t.Skip("only as a child")
	}
	state := mirror.NewStateDir(os.Getenv("ALCA_TEST_STATE"))
	s, err := state.Find(os.Getenv("ALCA_TEST_SESSION"), "")
	if err != nil || s.Lock() != nil {
		t.Fatal(err)
	}
	calls := 0
	return state, s, func(op safety.Op, _ string) error {
		if calls++; strconv.Itoa(calls) == at || string(op) == at {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}
}

// killedAt runs a test in a process of its own, which is killed at a call: the number of one, or the first of a label. The
// caller has the session's lock before and after. It reports whether there was such a call.
func (p *pair) killedAt(test, at string) bool {
	p.t.Helper()
	p.must(p.m.Session.Unlock())
	child := exec.Command(os.Args[0], "-test.run=^"+test+"$")
	child.Env = append(os.Environ(), "ALCA_TEST_KILL_AT="+at, "ALCA_TEST_STATE="+p.state().Path(), "ALCA_TEST_SESSION="+p.m.Session.ID)
	out, err := child.CombinedOutput()
	killed := err != nil && strings.Contains(err.Error(), "killed")
	if err != nil && !killed {
		p.t.Fatalf("%v %s", err, out)
	}
	p.must(p.m.Session.Lock())
	return killed
}

// After a kill at any call, another undo ends where one that was not killed does, and loses nothing.
func TestUndoSurvivesKills(t *testing.T) {
	p := oldPair(t, "a", "b/c", "b/d", "link -> a", "kind/x")
	before := copyOf(t, p.project)
	p.must(exec.Command("sh", "-c", "cd '"+p.mirror+"' && echo agent >a && rm -rf b link kind && echo k >kind && mkdir new && echo n >new/f").Run())
	p.sync()
	kill := func(at string) (killed bool) {
		t.Helper()
		killed = p.killedAt("TestUndoChild", at)
		u := p.undo(p.m.Session, autosync.UndoOptions{})
		if d := unlike(t, before, p.project); d != "" && !onlyDirTimes(d) {
			t.Fatalf("killed at %s, then undone:\n%s%+v", at, d, u)
		}
		p.redo()
		return killed
	}
	for _, op := range []safety.Op{safety.OpExchange, safety.OpBringIn, safety.OpInspect, safety.OpDelete} {
		if !kill(string(op)) { // the version is on its way, just came in, and so on
			t.Errorf("an undo made no call %s", op)
		}
	}
	for at := 1; kill(strconv.Itoa(at)); at += *undoKillStep {
	}
}

// Whatever call of an undo fails, alone or with all that follow, another undo ends where one that did not fail does, and
// loses nothing.
func TestUndoOnAFailingDiskLosesNothing(t *testing.T) {
	for what, fails := range failings() {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for at := 1; fails.in(t, at); at += fails.step {
			}
		})
	}
}

// failing makes a call fail of those that count, and where it stays those that follow.
type failing struct {
	counts func(safety.Op) bool
	stays  bool
	step   int
}

// failings are the ways in which a disk fails under an undo or an apply.
func failings() map[string]failing {
	names := []safety.Op{safety.OpExchange, safety.OpPutBack, safety.OpBringIn, safety.OpMoveOut, safety.OpDelete, safety.OpLink}
	all := func(safety.Op) bool { return true }
	naming := func(op safety.Op) bool { return slices.Contains(names, op) }
	return map[string]failing{
		"one call":           {counts: all, step: *undoKillStep},
		"all calls from one": {counts: all, stays: true, step: *undoKillStep},
		"no names any more":  {counts: naming, stays: true, step: 1}, // what has left its place can't be put back
	}
}

// from makes the call at fail; failed is its label once it has, "" as long as there were not as many.
func (f failing) from(at int) (fail func(safety.Op, string) error, failed *safety.Op) {
	calls := 0
	failed = new(safety.Op)
	return func(op safety.Op, _ string) error {
		if !f.counts(op) {
			return nil
		}
		if calls++; calls == at {
			*failed = op
		}
		if calls == at || calls > at && f.stays {
			return syscall.EIO
		}
		return nil
	}, failed
}

// in makes the call at fail in an undo. It reports whether there were as many.
func (f failing) in(t *testing.T, at int) bool {
	p := oldPair(t, "a", "b/c", "link -> a", "kind/x")
	before := copyOf(t, p.project)
	p.must(exec.Command("sh", "-c", "cd '"+p.mirror+"' && echo agent >a && rm -rf b link kind && echo k >kind && mkdir new && echo n >new/f").Run())
	p.sync()
	fail, failed := f.from(at)
	u, err := autosync.Undo(t.Context(), p.state(), p.m.Session, autosync.UndoOptions{}.Seen(fail))
	again := p.undo(p.m.Session, autosync.UndoOptions{})
	if d := unlike(t, before, p.project); d != "" && !onlyDirTimes(d) {
		t.Fatalf("failed at %d %s (%v %+v), then undone:\n%s%+v", at, *failed, err, u, d, again)
	}
	if *failed != safety.OpStageStat { // what it placed is not known as its own then, and left as changed since
		p.redo()
	}
	return *failed != ""
}

// onlyDirTimes reports whether nothing differs but times of directories: a kill may have come just before one was noted, here or
// in a round before.
func onlyDirTimes(d string) bool {
	for line := range strings.Lines(d) {
		if !strings.HasPrefix(line, ".d..t...... ") {
			return false
		}
	}
	return true
}

// redo undoes the undos until the project is as the session left it.
func (p *pair) redo() {
	p.t.Helper()
	all, err := p.state().List("")
	p.must(err)
	slices.SortFunc(all, func(a, b *mirror.Session) int { return b.Created.Compare(a.Created) }) // ids of one moment are in any order
	for _, s := range all {
		if s.Undoes == p.m.Session.ID {
			p.undo(s, autosync.UndoOptions{})
		}
	}
	p.holds(p.project, "a", "agent\n")
	p.holds(p.project, "kind", "k\n")
	p.holds(p.project, "new/f", "n\n")
	for _, name := range []string{"b", "link"} {
		if _, err := os.Lstat(filepath.Join(p.project, name)); err == nil {
			p.t.Fatalf("%s is there after the undo was undone", name)
		}
	}
}

// One name of a file goes, another is written in place: that the first moved the file's ctime is no change of the user's.
func TestUndoOfAnUndoWithHardLinks(t *testing.T) {
	project := mirrortest.Make(t, filepath.Join(t.TempDir(), "project"), "b = linked", "c = 1")
	if err := os.Link(filepath.Join(project, "b"), filepath.Join(project, "a")); err != nil {
		t.Fatal(err)
	}
	p := newPairAt(t, project, mirror.Options{})
	before := copyOf(t, p.project)
	p.remove(p.mirror, "b")
	p.once(autosync.Options{Deletes: true})
	p.write(p.mirror, "a", "agent")
	p.once(autosync.Options{Deletes: true, Final: true})
	after := copyOf(t, p.project)
	of := p.m.Session
	for i, want := range []string{before, after, before} {
		u := p.undo(of, autosync.UndoOptions{})
		if left := notePaths(u.Left); left != "" {
			t.Errorf("undo %d left %s: %+v", i, left, u.Left)
		}
		if diff := unlike(t, want, p.project); diff != "" {
			t.Errorf("undo %d:\n%s", i, diff)
		}
		of = p.session(u.Session)
	}
}
