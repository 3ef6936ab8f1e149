//go:build linux

package autosync_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/safety"
)

// eventually waits until both sides hold the same, and fails with what differs after so long that a busy machine is no excuse.
func (l *live) eventually(what string) {
	l.t.Helper()
	var diff []string
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		diff = differences(treeOf(l.project, l.m.Policy), treeOf(l.mirror, l.m.Policy), func(string) bool { return false })
		if len(diff) == 0 {
			return
		}
	}
	l.t.Errorf("%s: the sides differ at %d paths: %q", what, len(diff), diff[:min(len(diff), 20)])
}

func (l *live) reconcile() {
	l.t.Helper()
	if _, err := l.s.Reconcile(l.t.Context()); err != nil {
		l.t.Fatalf("Reconcile: %v", err)
	}
}

// The file has to win over the directory although a file of the user's, new in it, is seen first.
func TestLiveFileInPlaceOfADirectoryThatTheUserFills(t *testing.T) {
	l := newLive(t, "c/d/a = 1", "keep = k")
	l.remove(l.mirror, "c")
	l.write(l.mirror, "c/d", "agent")
	time.Sleep(30 * time.Millisecond)
	l.write(l.project, "c/d/c", "user")
	l.eventually("the user's file came later")
	l.wantProject("c/d", "agent")
	l.wantKept(l.end().Conflicts, "c/d/c", "user")
}

// Each Reconcile used to begin the wait of a deletion anew.
func TestLiveReconcileCarriesDeletions(t *testing.T) {
	l := newLive(t, "a = 1", "b = 2", "c = 3")
	l.remove(l.mirror, "a")
	l.remove(l.project, "b")
	l.reconcile()
	l.wantProject("a", "(absent)")
	l.wantMirror("b", "(absent)")
}

func TestLiveDeletionIsCarriedThoughScansNeverCease(t *testing.T) {
	l := newLive(t, "a = 1", "b = 2")
	l.remove(l.mirror, "a")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		_, _ = l.s.Reconcile(short)
		cancel()
	}
	l.wantProject("a", "(absent)")
}

func TestLiveHaltAnswersWhoeverAsks(t *testing.T) {
	l := newLive(t, "a = 1", "b = 2")
	l.must(os.Rename(l.mirror, l.mirror+".away"))
	<-l.s.Halted()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := l.s.Reconcile(ctx); !errors.Is(err, safety.ErrGone) {
		t.Errorf("Reconcile: %v", err)
	}
	if _, err := l.s.Flush(ctx); !errors.Is(err, safety.ErrGone) {
		t.Errorf("Flush: %v", err)
	}
	if l.s.Healthy() {
		t.Error("halted and healthy")
	}
	l.wantProject("a", "1")
}

// What is hidden stays hidden when it is renamed, alone or with the directory that holds it.
func TestLiveHiddenFileStaysHiddenUnderAnotherName(t *testing.T) {
	l := newLive(t, ".agentignore = .env\nconf/key\nsecrets/", "a = 1", ".env = SECRET", "conf/key = SECRET", "conf/open = o", "secrets/deep/x = SECRET")
	l.must(os.WriteFile(filepath.Join(l.project, ".env2"), []byte("fresh"), 0o644))
	for from, to := range map[string]string{".env": "env.txt", "conf": "settings", "secrets": "public"} {
		l.must(os.Rename(filepath.Join(l.project, from), filepath.Join(l.project, to)))
	}
	l.await(autosync.Held, "env.txt")
	time.Sleep(700 * time.Millisecond)
	l.must(os.WriteFile(filepath.Join(l.project, "env.txt"), []byte("SECRET edited later"), 0o644))
	l.reconcile()
	for _, name := range []string{"env.txt", "settings/key", "public", "public/deep/x"} {
		l.wantMirror(name, "(absent)")
	}
	l.wantMirror("settings/open", "o")
	l.wantMirror(".env2", "fresh")
	c := l.end()
	for _, name := range []string{"env.txt", "settings/key", "public/deep/x"} {
		l.wantMirror(name, "(absent)")
		if !hasNote(c.Held, name) {
			t.Errorf("%s is not reported: %+v", name, c.Held)
		}
	}
	for _, n := range c.Held {
		if n.Hold != autosync.HoldRenamed {
			t.Errorf("%s waits for a word (%q), and nothing of the agent's does", n.Path, n.Hold)
		}
	}
}

// A new file may get the inode number of a hidden one that is gone.
func TestLiveNewFileWithTheInodeOfAHiddenOneCrosses(t *testing.T) {
	l := newLive(t, ".agentignore = h*", "d/a = 1")
	for i := range 50 {
		l.write(l.project, fmt.Sprintf("d/h%d", i), "SECRET")
	}
	l.reconcile()
	for i := range 50 {
		l.remove(l.project, fmt.Sprintf("d/h%d", i))
		l.write(l.project, fmt.Sprintf("d/n%d", i), "new")
	}
	l.reconcile()
	for i := range 50 {
		l.wantMirror(fmt.Sprintf("d/n%d", i), "new")
	}
}

// A mass delete is held also when it comes file by file, and the last pass doesn't let through what was held.
func TestLiveMassDeleteIsHeldWhenItComesFileByFile(t *testing.T) {
	lines := []string{"keep = k"}
	for i := range 160 {
		lines = append(lines, fmt.Sprintf("d%d/f%d = %d", i%4, i, i))
	}
	l := newLive(t, lines...)
	for i := range 150 {
		l.remove(l.mirror, fmt.Sprintf("d%d/f%d", i%4, i))
		if i%10 == 0 {
			time.Sleep(30 * time.Millisecond)
		}
	}
	l.reconcile()
	left := func() (n int) {
		for i := range 160 {
			if read(t, filepath.Join(l.project, fmt.Sprintf("d%d/f%d", i%4, i))) != "(absent)" {
				n++
			}
		}
		return n
	}
	if n := left(); n < 80 {
		t.Errorf("%d of 160 files are left while the session runs", n)
	}
	if c := l.end(); len(c.Held) == 0 {
		t.Errorf("nothing is held: %+v", c.Held)
	}
	if n := left(); n < 80 {
		t.Errorf("%d of 160 files are left", n)
	}
}

// One rm is decided on as a whole, however many passes it takes to look at all of it.
func TestLiveMassDeleteIsHeldWhole(t *testing.T) {
	for _, files := range []int{120, autosync.PassSize + 300} {
		carried := ""
		for try := range 3 { // where the machine pauses for longer than deletions wait, the rm is two
			if carried = massDelete(t, files); carried == "" {
				break
			}
			t.Logf("try %d: of %d deletions, that of %s was carried", try, files, carried)
		}
		if carried != "" {
			t.Errorf("one of %d deletions was carried each time", files)
		}
	}
}

// massDelete deletes so many files of few more in a mirror, and returns one whose deletion was carried; "": all are held.
func massDelete(t *testing.T, files int) (carried string) {
	lines := []string{"keep = k"}
	for i := range files {
		lines = append(lines, fmt.Sprintf("d%d/f%d = %d", i%7, i, i))
	}
	l := newLive(t, lines...)
	for i := range files {
		l.remove(l.mirror, fmt.Sprintf("d%d/f%d", i%7, i))
	}
	for held := 0; held < files; {
		switch e := <-l.events; e.Type {
		case autosync.Deleted:
			return string(e.Path)
		case autosync.Held:
			held++
		}
	}
	if c := l.end(); len(c.Held) < files || len(c.Deleted) > 0 {
		t.Errorf("of %d deletions, %d are held at the end, %d carried", files, len(c.Held), len(c.Deleted))
	}
	return ""
}

// Files that are there again do not count when the session ends.
func TestLiveDeletionsThatWereTakenBackDoNotCount(t *testing.T) {
	lines := []string{"keep = k", "more = m", "gone = g"}
	for i := range 100 {
		lines = append(lines, fmt.Sprintf("f%d = %d", i, i))
	}
	l := newLive(t, lines...)
	away := filepath.Join(t.TempDir(), "away")
	l.must(os.Mkdir(away, 0o755))
	for i := range 100 {
		l.must(os.Rename(filepath.Join(l.mirror, fmt.Sprintf("f%d", i)), filepath.Join(away, fmt.Sprintf("f%d", i))))
	}
	for held := 0; held < 100; {
		if e := <-l.events; e.Type == autosync.Held {
			held++
		}
	}
	for i := range 100 {
		l.must(os.Rename(filepath.Join(away, fmt.Sprintf("f%d", i)), filepath.Join(l.mirror, fmt.Sprintf("f%d", i))))
	}
	l.remove(l.mirror, "gone")
	if c := l.end(); len(c.Held) > 0 || len(c.Deleted) != 1 {
		t.Errorf("held %+v, deleted %+v", c.Held, c.Deleted)
	}
}

// Files that were moved, or are there again, are not gone.
func TestLiveMovesAndReturnsAreNoMassDelete(t *testing.T) {
	lines := []string{"keep = k"}
	for i := range 100 {
		lines = append(lines, fmt.Sprintf("src/f%d = %d", i, i))
	}
	l := newLive(t, lines...)
	for i := range 3 {
		from, to := "src", "source"
		if i%2 == 1 {
			from, to = to, from
		}
		l.must(os.Rename(filepath.Join(l.mirror, from), filepath.Join(l.mirror, to)))
		l.reconcile()
		l.eventually(fmt.Sprint("move ", i))
	}
	if c := l.end(); len(c.Held) > 0 {
		t.Errorf("held: %+v", c.Held)
	}
}

func TestLiveEmptiedSideHalts(t *testing.T) {
	for _, side := range []string{"project", "mirror"} {
		t.Run(side, func(t *testing.T) {
			l := newLive(t, "a = 1", "b/c = 2")
			top, other := l.project, l.mirror
			if side == "mirror" {
				top, other = other, top
			}
			l.remove(top, "a")
			l.remove(top, "b")
			<-l.s.Halted()
			l.await(autosync.Halted, "")
			if got := read(t, filepath.Join(other, "b/c")); got != "2" {
				t.Errorf("b/c = %q", got)
			}
			if c, drained, err := l.s.Stop(t.Context()); err == nil || drained || c.Halted == "" {
				t.Errorf("Stop: %+v, %v, %v", c, drained, err)
			}
		})
	}
}
