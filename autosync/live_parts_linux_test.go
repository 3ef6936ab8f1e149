package autosync_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

func TestLiveEventsReachWhoeverAsksUntilStop(t *testing.T) {
	t.Parallel()
	l := newLive(t, "a = 1")
	all, gone := l.s.Events(t.Context()), l.s.Events(canceled())
	l.write(l.mirror, "a", "agent")
	l.await(autosync.Synced, "a")
	l.end()
	var got []string
	for e := range all {
		got = append(got, string(e.Type)+" "+string(e.Path))
	}
	if !slices.Contains(got, "synced a") {
		t.Errorf("events %q", got)
	}
	for range gone {
	}
	for e := range l.s.Events(t.Context()) {
		t.Errorf("after Stop: %+v", e)
	}
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestLiveTellsWhatWaitsAndWhatWasDone(t *testing.T) {
	t.Parallel()
	l := newLive(t, ".agentreadonly = ro", "a = 1", "ro = r", "open = o")
	if d := l.s.Dirty(); len(d) > 0 {
		t.Errorf("Dirty at rest: %q", d)
	}
	f, err := os.OpenFile(filepath.Join(l.mirror, "open"), os.O_WRONLY|os.O_APPEND, 0)
	l.must(err)
	defer f.Close()
	quit := make(chan struct{})
	defer close(quit)
	go func() {
		for {
			select {
			case <-quit:
				return
			case <-time.After(50 * time.Millisecond):
				_, _ = f.WriteString("on and on\n")
			}
		}
	}()
	l.must(os.Symlink("/etc/passwd", filepath.Join(l.mirror, "link")))
	l.await(autosync.Refused, "link")
	l.write(l.mirror, "a", "agent")
	l.await(autosync.Synced, "a")
	for deadline := time.Now().Add(10 * time.Second); !slices.Contains(l.s.Dirty(), "open"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("Dirty = %q, want the file that is being written", l.s.Dirty())
		}
	}
	c := l.s.Changes()
	if !slices.Contains(c.ToProject, "a") || !hasNote(c.Refused, "link") {
		t.Errorf("Changes = %+v", c)
	}
	l.must(os.Remove(filepath.Join(l.mirror, "link")))
	l.reconcile()
	if c := l.s.Changes(); hasNote(c.Refused, "link") {
		t.Errorf("refused though it is gone: %+v", c.Refused)
	}
	end := l.end()
	if c := l.s.Changes(); len(c.ToProject) != len(end.ToProject) || len(l.s.Dirty()) > 0 {
		t.Errorf("after Stop: %+v, dirty %q", c, l.s.Dirty())
	}
}

func TestLiveTellsOnceWhatCannotBeCarried(t *testing.T) {
	t.Parallel()
	p := newPair(t, "a = 1", "b = 2")
	p.hook(mirror.ProjectSide, func(o safety.Op, name string) error {
		if o == safety.OpStageCreate && name == "a" || o == safety.OpExchange && name == "a" {
			return errors.New("no such luck")
		}
		return nil
	})
	l := startLive(t, p)
	l.write(l.mirror, "a", "agent")
	if e := l.await(autosync.Failed, "a"); !strings.Contains(e.Reason, "no such luck") {
		t.Errorf("%+v", e)
	}
	l.reconcile()
	l.reconcile()
	for e := range drain(l.events) {
		if e.Type == autosync.Failed {
			t.Errorf("told again: %+v", e)
		}
	}
	if c := l.s.Changes(); !hasNote(c.Failed, "a") {
		t.Errorf("Changes: %+v", c.Failed)
	}
}

// A rule that comes while the session runs hides at once; what the agent made of the file is kept and does not cross.
func TestLiveRuleThatComesLaterHidesAtOnce(t *testing.T) {
	t.Parallel()
	l := newLive(t, ".agentignore = .env", "a = 1", "plain = SECRET", "edited = old", "dir/deep/x = SECRET")
	l.write(l.mirror, "edited", "agent's")
	l.await(autosync.Synced, "edited")
	saveOver(t, filepath.Join(l.project, ".agentignore"), ".env\nplain\nedited\ndir/\n")
	l.await(autosync.RulesChanged, "")
	l.write(l.mirror, "edited", "agent's newer")
	l.reconcile()
	l.wantMirror("plain", "(absent)")
	l.wantMirror("dir/deep/x", "(absent)")
	l.write(l.project, "plain", "SECRET 2")
	l.write(l.project, "dir/deep/y", "SECRET 3")
	l.write(l.project, "a", "user")
	l.await(autosync.Synced, "a")
	l.reconcile()
	l.wantMirror("plain", "(absent)")
	l.wantMirror("dir/deep/y", "(absent)")
	c := l.end()
	l.wantProject("edited", "agent's")
	if !hasNote(c.Refused, "edited") || hasNote(c.Orphans, "edited") {
		t.Errorf("the agent's edit is not refused, or would be in the next mirror: %+v", c)
	}
}

// besideHidden is longer than a new name beside a hidden file waits.
const besideHidden = 700 * time.Millisecond

func TestLiveRulesThatShowMoreWaitForTheNextSession(t *testing.T) {
	t.Parallel()
	l := newLive(t, ".agentignore = .env\n*.key", ".env = SECRET", "a = 1")
	l.must(os.Remove(filepath.Join(l.project, ".agentignore")))
	l.await(autosync.RulesChanged, "")
	l.write(l.project, ".env", "SECRET 2")
	l.write(l.project, "new.key", "SECRET 3")
	time.Sleep(besideHidden)
	l.reconcile()
	l.wantMirror(".env", "(absent)")
	l.wantMirror("new.key", "(absent)")
	l.must(os.Mkdir(filepath.Join(l.project, ".agentignore"), 0o755))
	if e := l.await(autosync.RulesChanged, ""); !strings.Contains(e.Reason, "can't be used") {
		t.Errorf("%+v", e)
	}
	l.reconcile()
	l.wantMirror(".env", "(absent)")
	l.end()
}

// What is made below a hidden directory and moved out of it stays hidden, however quickly that goes.
func TestLiveWhatLeavesAHiddenDirectoryStaysHidden(t *testing.T) {
	t.Parallel()
	l := newLive(t, ".agentignore = secrets/\n.env", "a = 1", "secrets/deep/x = SECRET", "d/e = 1")
	in := func(p string) string { return filepath.Join(l.project, p) }
	l.must(os.WriteFile(in("secrets/deep/fresh"), []byte("SECRET"), 0o644))
	l.must(os.Rename(in("secrets/deep/fresh"), in("quick")))
	l.must(os.Mkdir(in("secrets/deep/new"), 0o755))
	l.must(os.WriteFile(in("secrets/deep/new/f"), []byte("SECRET"), 0o644))
	l.must(os.Rename(in("secrets/deep/new"), in("d/dir")))
	l.must(os.WriteFile(in(".env"), []byte("SECRET"), 0o644))
	l.must(os.Rename(in(".env"), in("d/hop")))
	l.must(os.Rename(in("d/hop"), in("d/hop2")))
	l.must(os.WriteFile(in("secrets/slow"), []byte("SECRET"), 0o644))
	time.Sleep(50 * time.Millisecond)
	l.must(os.Rename(in("secrets/slow"), in("slow")))
	l.must(os.WriteFile(in("d/ours"), []byte("visible"), 0o644))
	l.must(os.Rename(in("d/ours"), in("d/ours2")))
	for range 3 {
		l.reconcile()
	}
	for _, name := range []string{"quick", "d/dir", "d/dir/f", "d/hop", "d/hop2", "slow"} {
		l.wantMirror(name, "(absent)")
	}
	l.wantMirror("d/ours2", "visible")
	l.end()
}

// A deletion is not traced through all that the agent installed; a move to where nothing is watched is.
func TestLiveDeletionsDoNotWalkThroughNodeModules(t *testing.T) {
	t.Parallel()
	p := newPair(t, "src/a = 1", "b = 2", "c = 3")
	var walked atomic.Int32
	p.hook(mirror.MirrorSide, func(o safety.Op, name string) error {
		if o == safety.OpDirRead && name == "pkg" || o == safety.OpDirOpen && name == "pkg" {
			walked.Add(1)
		}
		return nil
	})
	l := startLive(t, p)
	l.write(l.mirror, "node_modules/pkg/index.js", "x")
	l.write(l.mirror, "c", "agent")
	l.await(autosync.Synced, "c")
	before := walked.Load()
	l.remove(l.mirror, "b")
	l.await(autosync.Deleted, "b")
	if n := walked.Load() - before; n > 0 {
		t.Errorf("node_modules was walked %d times for a deletion", n)
	}
	l.must(os.Rename(filepath.Join(l.mirror, "src"), filepath.Join(l.mirror, "node_modules/pkg/src")))
	l.await(autosync.Held, "src/a")
	l.wantProject("src/a", "1")
	c := l.end()
	l.wantProject("src/a", "1")
	if !hasNote(c.Held, "src/a") {
		t.Errorf("held: %+v", c.Held)
	}
}

// A mass delete may come while the last pass runs.
func TestStopCountsItsOwnDeletions(t *testing.T) {
	t.Parallel()
	lines := []string{"keep = k", "again = 1"}
	for i := range 100 {
		lines = append(lines, fmt.Sprintf("f%03d = %d", i, i))
	}
	p := newPair(t, lines...)
	removeSome := func(from, to int) {
		for i := from; i < to; i++ {
			p.must(os.Remove(filepath.Join(p.mirror, fmt.Sprintf("f%03d", i))))
		}
	}
	var armed atomic.Bool
	p.hook(mirror.ProjectSide, func(o safety.Op, name string) error {
		if o == safety.OpExchange && name == "again" && armed.Swap(false) {
			removeSome(45, 90)
			overwrite(t, filepath.Join(p.mirror, "again"), "and again")
			return safety.ErrChanged
		}
		return nil
	})
	s, err := autosync.Start(t.Context(), p.m, autosync.Options{}, autosync.LiveOptions{Debounce: time.Hour})
	p.must(err)
	p.must(s.Ready(t.Context()))
	time.Sleep(20 * time.Millisecond)
	armed.Store(true)
	removeSome(0, 45)
	p.write(p.mirror, "again", "now")
	c, drained, err := s.Stop(context.Background())
	if err != nil || !drained {
		t.Fatalf("Stop: %v %v", drained, err)
	}
	left := 0
	for i := range 100 {
		if read(t, filepath.Join(p.project, fmt.Sprintf("f%03d", i))) != "(absent)" {
			left++
		}
	}
	if left < 50 || armed.Load() {
		t.Errorf("%d of 100 files are left; deleted %d, held %d", left, len(c.Deleted), len(c.Held))
	}
}

// Two sessions on one project meet there, and a conflict says whose version lost.
func TestLiveTwoSessionsOnOneProjectConverge(t *testing.T) {
	t.Parallel()
	one := newLive(t, "a = 1", "b = 2", "d/c = 3")
	two := startLive(t, newPairAt(t, one.project, mirror.Options{Session: beside(t, one.pair)}))
	one.write(one.mirror, "a", "from one")
	two.eventually("an edit of the one")
	two.write(two.mirror, "b", "from two")
	one.eventually("an edit of the other")
	two.remove(two.mirror, "d")
	one.eventually("a deletion of the other")
	for i := range 20 {
		for _, l := range []*live{one, two} {
			saveOver(t, filepath.Join(l.mirror, "a"), fmt.Sprintf("<%s-%d>", l.m.Session.ID, i))
		}
	}
	one.eventually("the race, one")
	two.eventually("the race, two")
	one.eventually("the race, one again")
	a, b := one.end(), two.end()
	one.eventually("at the end")
	whose := func(c autosync.Changes, other string) bool {
		return slices.ContainsFunc(c.Conflicts, func(n autosync.PathNote) bool { return strings.HasSuffix(n.Why, "session "+other) })
	}
	if len(a.Conflicts)+len(b.Conflicts) > 0 && !whose(a, two.m.Session.ID) && !whose(b, one.m.Session.ID) {
		t.Errorf("conflicts do not name the other session: %+v %+v", a.Conflicts, b.Conflicts)
	}
}

// beside is another session in the state directory of a pair.
func beside(t *testing.T, p *pair) *mirror.Session {
	t.Helper()
	state := mirror.NewStateDir(filepath.Dir(filepath.Dir(filepath.Dir(p.m.Session.Dir()))))
	s, err := state.New(p.project, mirror.Record{Rules: p.m.Policy.Rules()})
	p.must(err)
	return s
}

func TestConflictNamesTheSessionThatPlacedTheLoser(t *testing.T) {
	one := newPair(t, "a = 1")
	two := newPairAt(t, one.project, mirror.Options{Session: beside(t, one)})
	one.write(one.mirror, "a", "from one")
	two.write(two.mirror, "a", "from two")
	one.sync()
	c := two.sync()
	two.wantProject("a", "from two")
	two.wantKept(c.Conflicts, "a", "from one")
	if want := "session " + one.m.Session.ID; !strings.HasSuffix(c.Conflicts[0].Why, want) {
		t.Errorf("%q does not name %s", c.Conflicts[0].Why, want)
	}
	two.write(two.project, "a", "user's")
	two.write(two.mirror, "a", "agent's")
	if c := two.sync(); strings.Contains(c.Conflicts[0].Why, "session") {
		t.Errorf("%q: it was the user's", c.Conflicts[0].Why)
	}
}

// A logger that never rests keeps the other side's version waiting, but not for ever; its lines are not lost.
func TestLiveFileWithARestlessWriterIsReplacedAfterAWhile(t *testing.T) {
	t.Parallel()
	l := newLive(t, "log = start\n")
	f, err := os.OpenFile(filepath.Join(l.project, "log"), os.O_WRONLY|os.O_APPEND, 0)
	l.must(err)
	var n atomic.Int32
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			case <-time.After(100 * time.Millisecond):
				_, _ = fmt.Fprintf(f, "<late-%d>\n", n.Add(1))
			}
		}
	}()
	began := time.Now()
	saveOver(t, filepath.Join(l.mirror, "log"), "agent's\n")
	deadline := time.Now().Add(30 * time.Second)
	for read(t, filepath.Join(l.project, "log")) != "agent's\n" && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("replaced after %v, under the hands of its writer", took)
	}
	l.wantProject("log", "agent's\n")
	close(quit)
	<-done
	l.must(f.Close())
	l.end()
	found := tokensIn(l.project, l.mirror, l.m.Session.Dir())
	for i := range n.Load() {
		if tok := fmt.Sprintf("<late-%d>", i+1); !found[tok] {
			t.Errorf("%s is lost", tok)
		}
	}
}

func bigFlag() *int {
	return flag.Int("live.big", 48, "megabytes of the file that has to cross in constant memory")
}

var liveBig = bigFlag()

func TestLiveBigFileTakesConstantMemory(t *testing.T) {
	l := newLive(t, "a = 1")
	chunk := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for _, top := range []string{l.mirror, l.project} {
		f, err := os.Create(filepath.Join(top, "big"))
		l.must(err)
		for range *liveBig {
			_, err := f.Write(chunk)
			l.must(err)
		}
		_, err = f.WriteString(top)
		l.must(err)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		l.must(f.Close())
		l.await(autosync.Synced, "big")
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
			t.Errorf("%d bytes were allocated", got)
		}
	}
	l.eventually("a big file")
	l.end()
}

// Another session may have to stage in the project, or, for one deeper in it, at the top of a mount: what lies there,
// hidden files' new versions and the user's old ones, is in no mirror. Names that only look alike are anybody's.
func TestLiveLeavesStoresOut(t *testing.T) {
	l := newLive(t, "a = 1", "mnt/b = 2")
	for _, name := range []string{".alca-mount-store/s/00000001", "mnt/.alca-mount-0/s/00000001"} {
		l.write(l.project, name, "SECRET")
		l.write(l.project, name+"~", "later")
	}
	l.write(l.mirror, ".alca-mount-notes.md", "agent")
	l.await(autosync.Synced, ".alca-mount-notes.md")
	l.wantProject(".alca-mount-notes.md", "agent")
	l.write(l.project, "z", "user")
	l.await(autosync.Synced, "z")
	l.end()
	for text, path := range textsIn(t, l.mirror, "") {
		if text == "SECRET" || text == "later" {
			t.Errorf("%s is in the mirror", path)
		}
	}
}
