//go:build linux

package autosync_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/autosync/internal/journal"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// Each test here steps into one window between two calls, by the label of the second.

// window makes a hook that calls do before the nth call labelled op on name, and fails the test if it never comes.
func window(t *testing.T, op safety.Op, name string, nth int32, do func()) safety.Before {
	t.Helper()
	var seen atomic.Int32
	t.Cleanup(func() {
		if seen.Load() < nth {
			t.Errorf("%d calls of %s on %s, want %d", seen.Load(), op, name, nth)
		}
	})
	return func(o safety.Op, n string) error {
		if o == op && n == name && seen.Add(1) == nth {
			do()
		}
		return nil
	}
}

// save writes as an editor does that renames: the file is another inode afterwards.
func save(t *testing.T, path, content string) {
	if err := errors.Join(os.WriteFile(path+"~", []byte(content), 0o644), os.Rename(path+"~", path)); err != nil {
		t.Error(err)
	}
}

// overwrite writes into the inode that is there.
func overwrite(t *testing.T, path, content string) {
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Error(err)
	}
}

func TestASaveInTheMirrorWhileTheProjectsVersionComesInWins(t *testing.T) {
	p := newPair(t, "f = old")
	p.write(p.project, "f", "user's")
	p.hook(mirror.MirrorSide, window(t, safety.OpExchange, "f", 1, func() { save(t, filepath.Join(p.mirror, "f"), "agent's newer") }))
	c := p.sync()
	p.wantProject("f", "agent's newer")
	p.wantMirror("f", "agent's newer")
	p.wantKept(c.Conflicts, "f", "user's")
	p.wantNothingMore()
}

func TestASaveInTheProjectWhileTheMirrorsVersionComesInIsKept(t *testing.T) {
	for how, save := range map[string]func(*testing.T, string, string){"by rename": save, "in place": overwrite} {
		t.Run(how, func(t *testing.T) {
			p := newPair(t, "f = old")
			p.write(p.mirror, "f", "agent's first")
			p.sync() // so that the file in the project is one that we placed
			p.write(p.mirror, "f", "agent's second")
			p.hook(mirror.ProjectSide, window(t, safety.OpExchange, "f", 1, func() { save(t, filepath.Join(p.project, "f"), "user's") }))
			c := p.sync()
			p.wantProject("f", "agent's second")
			p.wantKept(c.Conflicts, "f", "user's")
		})
	}
}

// A directory took the file's place; before it is exchanged back, the user saves over the file that we placed for an
// instant. That save is in the store alone.
func TestAVersionThatCouldNotBePutBackIsReported(t *testing.T) {
	p := newPair(t, "f = old")
	path := filepath.Join(p.project, "f")
	p.write(p.mirror, "f", "agent's")
	first := window(t, safety.OpExchange, "f", 1, func() {
		if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o755)); err != nil {
			t.Error(err)
		}
	})
	second := window(t, safety.OpPutBack, "f", 1, func() { save(t, path, "user's") })
	p.hook(mirror.ProjectSide, func(op safety.Op, name string) error { return errors.Join(first(op, name), second(op, name)) })
	c, err := p.tryOnce(autosync.Options{Deletes: true})
	p.must(err)
	p.wantKept(c.Conflicts, "f", "user's")
}

// The project's version was decided on and hashed, then the agent saved again: the base must not say that the new
// bytes are the old ones, or an edit that happens to bring the old ones is taken for none.
func TestASourceThatChangedAfterTheLookIsDecidedOnAnew(t *testing.T) {
	p := newPair(t, "f = old")
	p.write(p.project, "f", "user-1")
	p.write(p.mirror, "f", "agent1")
	p.hook(mirror.MirrorSide, window(t, safety.OpFileOpen, "f", 2, func() { save(t, filepath.Join(p.mirror, "f"), "agent2") }))
	p.sync()
	p.wantProject("f", "agent2")
	save(t, filepath.Join(p.project, "f"), "agent1")
	p.sync()
	p.wantMirror("f", "agent1")
	p.wantProject("f", "agent1")
}

// The agent writes the file while it is copied: the copy is of a version that is none any more, or of two halves.
func TestATornCopyOfTheSourceIsNeverPlaced(t *testing.T) {
	p := newPair(t, "f = base version")
	p.write(p.mirror, "f", "head ")
	// The first look at the descriptor is at its opening, the second after the copy.
	p.hook(mirror.MirrorSide, window(t, safety.OpFileStat, "f", 2, func() { overwrite(t, filepath.Join(p.mirror, "f"), "HEAD tail") }))
	var reflink sync.Once
	p.hook(mirror.ProjectSide, func(op safety.Op, name string) (err error) {
		if op == safety.OpStageWrite { // the first is the attempt to share the extents, which cannot tear
			reflink.Do(func() { err = syscall.EOPNOTSUPP })
		}
		return err
	})
	p.sync()
	p.wantProject("f", "HEAD tail")
}

// While both sides are looked at, a root goes: what is missing then is no deletion.
func TestARootThatGoesAfterTheLookDeletesNothing(t *testing.T) {
	for name, harm := range map[string]func(p *pair) error{
		"marker removed": func(p *pair) error { return os.Remove(filepath.Join(p.mirror, safety.MarkerName)) },
		"marker of another session": func(p *pair) error {
			return errors.Join(os.Remove(filepath.Join(p.mirror, safety.MarkerName)), otherMarker(p.mirror))
		},
		"mirror moved away":  func(p *pair) error { return os.Rename(p.mirror, p.mirror+".away") },
		"project moved away": func(p *pair) error { return os.Rename(p.project, p.project+".away") },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, "a = 1", "b = 2")
			p.remove(p.mirror, "a")
			var verified atomic.Int32 // looks at the roots: one when a is missed, one when that has stood for a while
			var once sync.Once
			p.hook(mirror.MirrorSide, func(op safety.Op, _ string) error {
				if op == safety.OpMarkerRead {
					verified.Add(1)
				}
				if op == safety.OpDirRead && verified.Load() == 2 {
					once.Do(func() {
						if err := harm(p); err != nil {
							t.Error(err)
						}
					})
				}
				return nil
			})
			c, err := p.tryOnce(autosync.Options{Deletes: true})
			if !errors.Is(err, safety.ErrGone) || c.Halted == "" {
				t.Errorf("err = %v, halted %q", err, c.Halted)
			}
			if name == "project moved away" {
				p.project += ".away"
			}
			p.wantProject("a", "1")
		})
	}
}

func otherMarker(dir string) error {
	root, err := safety.OpenRoot(dir)
	if err != nil {
		return err
	}
	return errors.Join(safety.WriteMarker(root, "another"), root.Close())
}

func TestADirectoryThatCannotBeListedDeletesNothing(t *testing.T) {
	p := newPair(t, "d/a = 1", "d/e/b = 2", "c = 3")
	p.hook(mirror.MirrorSide, func(op safety.Op, name string) error {
		if op == safety.OpDirOpen && name == "d" {
			return syscall.EIO
		}
		return nil
	})
	p.write(p.project, "d/new", "user's")
	c, err := p.tryOnce(autosync.Options{Deletes: true})
	p.must(err)
	p.wantProject("d/a", "1")
	p.wantProject("d/e/b", "2")
	p.wantProject("d/new", "user's")
	if len(c.Failed) == 0 || c.Failed[0].Path != "d" {
		t.Errorf("failed = %+v", c.Failed)
	}
}

// An execute bit is carried, and in that instant the user saves in place: the save is not taken for what we left there.
func TestASaveWhileTheExecuteBitIsCarriedIsSeen(t *testing.T) {
	p := newPair(t, "f = old")
	p.must(os.Chmod(filepath.Join(p.mirror, "f"), 0o755))
	p.hook(mirror.ProjectSide, window(t, safety.OpChmod, "f", 1, func() { overwrite(t, filepath.Join(p.project, "f"), "user's") }))
	p.sync()
	p.sync()
	p.wantProject("f", "user's")
	p.wantMirror("f", "user's")
}

// intent is what a journal says of a call before it is made.
type intent struct {
	Type string `json:"t"`
	Path []byte `json:"path"`
}

func TestEveryCallInTheProjectIsInTheJournalFirst(t *testing.T) {
	p := newPair(t, "changed = old", "deleted = old", "exec = old", "keep = k")
	p.write(p.mirror, "changed", "agent's")
	p.write(p.mirror, "dir/new", "agent's")
	p.remove(p.mirror, "deleted")
	p.must(os.Chmod(filepath.Join(p.mirror, "exec"), 0o755))
	calls := map[safety.Op]string{safety.OpExchange: "changed", safety.OpLink: "dir/new", safety.OpDelete: "deleted", safety.OpChmod: "exec", safety.OpMkdir: "dir"}
	p.hook(mirror.ProjectSide, func(op safety.Op, name string) error {
		path, watched := calls[op]
		if !watched || op != safety.OpDelete && name != filepath.Base(path) { // a delete is named by its slot
			return nil
		}
		delete(calls, op)
		announced := false
		err := journal.Read(filepath.Join(p.m.Session.Dir(), "journal"), func(r intent) error {
			announced = announced || r.Type == "I" && string(r.Path) == path
			return nil
		})
		if err != nil || !announced {
			t.Errorf("%s of %s was not announced: %v", op, path, err)
		}
		return nil
	})
	p.sync()
	if len(calls) > 0 {
		left, _ := json.Marshal(calls)
		t.Errorf("never made: %s", left)
	}
}

// A store into a mapped page moves no time of the file: while somebody has it open for writing its stamp proves nothing.
func TestWhatIsCopiedUnderAWriterIsLookedAtAgain(t *testing.T) {
	p := newPair(t, "f = old")
	p.write(p.project, "f", "user's")
	writer, err := os.OpenFile(filepath.Join(p.project, "f"), os.O_WRONLY, 0)
	p.must(err)
	p.sync()
	p.wantMirror("f", "user's")
	if got := p.m.Base.Get("f").Project; got != (mirror.Stamp{}) {
		t.Errorf("copied under a writer, and taken for proven: %+v", got)
	}
	p.must(writer.Close())
}

// A copy that shares its bytes with the source, or was made inside the kernel, was never read. Where the source's stamp
// proves nothing either, only its content can tell the next pass that the user has not changed it since.
func TestWhatWasCopiedUnreadIsNoConflictLater(t *testing.T) {
	p := newPair(t, "f = old")
	p.write(p.project, "f", strings.Repeat("user's ", 1<<18))
	later := time.Now().Add(time.Hour).Truncate(time.Second) // too young to prove anything
	p.must(os.Chtimes(filepath.Join(p.project, "f"), later, later))
	p.sync()
	p.write(p.mirror, "f", "agent's")
	if c := p.sync(); len(c.Conflicts) > 0 {
		t.Errorf("conflicts %v", c.Conflicts)
	}
	p.wantProject("f", "agent's")
}
