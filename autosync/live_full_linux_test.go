package autosync_test

import (
	"syscall"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// A call that fails for a while, of the journal or of a file: it is told once, nothing halts, and all is carried when
// the disk is well again, without another hint.
func TestLiveGoesOnAfterAFullDisk(t *testing.T) {
	for _, op := range []safety.Op{safety.OpJournalWrite, safety.OpJournalSync, safety.OpStageFsync} {
		t.Run(string(op), func(t *testing.T) {
			p := newPair(t, "a = 1", "b = 2")
			f := &fault{op: op, errno: syscall.ENOSPC, nth: 1, staying: true, seen: map[safety.Op]int{}}
			p.hook(mirror.ProjectSide, f.before)
			p.hook(mirror.MirrorSide, f.before)
			l := startLive(t, p)
			f.turn(true)
			l.write(l.mirror, "a", "agent")
			l.await(autosync.Failed, "a")
			l.wantProject("a", "1")
			f.turn(false)
			for told := 0; ; {
				switch e := <-l.events; {
				case e.Type == autosync.Halted:
					t.Fatalf("halted: %s", e.Reason)
				case e.Type == autosync.Failed:
					if told++; told > 1 { // of the journal
						t.Errorf("told again: %+v", e)
					}
					continue
				case e.Type != autosync.Synced:
					continue
				}
				break
			}
			l.wantProject("a", "agent")
			if c := l.end(); len(c.Failed) > 0 {
				t.Errorf("failed in the end: %+v", c.Failed)
			}
		})
	}
}

// turn lets calls fail, or not.
func (f *fault) turn(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on = on
}

// What is only to come into a mirror that goes need not fit on its disk.
func TestFullDiskOfAMirrorThatGoes(t *testing.T) {
	p := newPair(t, "a = 1", "b = 2")
	f := &fault{op: safety.OpStageCreate, errno: syscall.ENOSPC, nth: 1, staying: true, on: true, seen: map[safety.Op]int{}}
	p.hook(mirror.MirrorSide, f.before)
	p.write(p.project, "a", "user")
	p.write(p.mirror, "b", "agent")
	c, err := autosync.Once(t.Context(), p.m, autosync.Options{Deletes: true, Final: true})
	if p.must(err); len(c.Failed) > 0 {
		t.Errorf("failed: %+v", c.Failed)
	}
	p.wantProject("b", "agent")
}

// What fails of the user's own files alone is no failure to bring the agent's home.
func TestFilesThatOnlyTheUserChangesDoNotFailTheEnd(t *testing.T) {
	for _, c := range []struct{ name, project, mirror, want string }{
		{"a new file of the user's", "user", "", ""},
		{"the agent's too", "users", "agent", "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPair(t, "b = 2")
			p.write(p.project, "a", c.project)
			if c.mirror != "" {
				p.write(p.mirror, "a", c.mirror)
			}
			p.write(p.mirror, "b", "agent")
			p.hook(mirror.ProjectSide, func(op safety.Op, name string) error {
				if op == safety.OpFileOpen && name == "a" {
					return syscall.ENOENT // gone at each look, and there again at the next
				}
				return nil
			})
			changes, err := autosync.Once(t.Context(), p.m, autosync.Options{Deletes: true, Final: true})
			p.must(err)
			failed := ""
			if len(changes.Failed) > 0 {
				failed = string(changes.Failed[0].Path)
			}
			if failed != c.want {
				t.Errorf("failed: %+v, want %q", changes.Failed, c.want)
			}
			p.wantProject("b", "agent")
		})
	}
}
