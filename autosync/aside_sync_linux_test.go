package autosync_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// syncs sees what is synced. Where fails says so, that fails.
type syncs struct {
	mu    sync.Mutex
	files []string
	dirs  []string
	all   int
	note  func(op safety.Op, name string)
	fails safety.Op
}

func (s *syncs) before(op safety.Op, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch op {
	case safety.OpKeepFsync:
		s.files = append(s.files, name)
	case safety.OpDirSync:
		s.dirs = append(s.dirs, name)
	case safety.OpSyncAll:
		s.all++
	}
	if s.note != nil {
		s.note(op, name)
	}
	if op == s.fails {
		return syscall.EIO
	}
	return nil
}

// A power cut after the end of a session finds in its folder, and in the project's of orphans, what its records speak of.
func TestWhatIsSetAsideIsSyncedBeforeItIsNoted(t *testing.T) {
	p := newPair(t, ".agentignore = secret\n", ".agentreadonly = ro\n", ".envrc = user")
	attack(t, p, `rm .envrc; mkdir .envrc; echo a > .envrc/held; mkdir ro; echo r > ro/refused; echo s > secret; git init -q d; echo x > file`)
	list := filepath.Join(p.m.Session.Dir(), "held.json")
	s := &syncs{note: func(op safety.Op, name string) {
		text, _ := os.ReadFile(list)
		if op == safety.OpKeepFsync && strings.Contains(string(text), `"kept"`) {
			t.Errorf("%s is synced after it was noted", name)
		}
	}}
	p.hook(mirror.ProjectSide, s.before)
	c := p.once(autosync.Options{Deletes: true, Final: true})
	for _, name := range []string{"held", "refused", "secret"} {
		if !slices.Contains(s.files, name) && s.all == 0 {
			t.Errorf("%s is not synced: %v", name, s.files)
		}
	}
	for _, notes := range [][]autosync.PathNote{c.Held, c.Refused, c.Orphans} {
		for _, n := range notes {
			for _, dir := range []string{filepath.Dir(n.Kept), filepath.Dir(filepath.Dir(n.Kept))} {
				if rel, _ := filepath.Rel(filepath.Dir(filepath.Dir(p.m.Session.Dir())), dir); s.all == 0 && !slices.Contains(s.dirs, rel) {
					t.Errorf("the names in %s are not synced: %v", rel, s.dirs)
				}
			}
		}
	}
}

func TestWhatIsSetAsideAndCannotBeSyncedIsTold(t *testing.T) {
	for _, line := range []string{".envrc", "ro", "secret"} {
		p := newPair(t, ".agentignore = secret\n", ".agentreadonly = ro\n", ".envrc = user")
		p.write(p.mirror, line, "agent")
		p.hook(mirror.ProjectSide, (&syncs{fails: safety.OpKeepFsync}).before)
		c, err := p.tryOnce(autosync.Options{Deletes: true, Final: true})
		if len(c.Failed) == 0 && err == nil {
			t.Errorf("%s: nothing failed", line)
		}
	}
}

// Many files are waited for at once, and where nothing is set aside nothing is waited for.
func TestManyAreSyncedAtOnceAndNoneNotAtAll(t *testing.T) {
	for n, want := range map[int][2]int{0: {0, 0}, 3: {3, 0}, 200: {0, 1}} {
		p := newPair(t, ".envrc = user", "x = user")
		p.write(p.mirror, "x", "agent")
		if n > 0 {
			p.remove(p.mirror, ".envrc")
		}
		for i := range n {
			p.write(p.mirror, fmt.Sprintf(".envrc/%d", i), "agent")
		}
		s := &syncs{}
		p.hook(mirror.ProjectSide, s.before)
		c := p.once(autosync.Options{Deletes: true, Final: true})
		if got := [2]int{len(s.files), s.all}; got != want {
			t.Errorf("%d files are held: synced %v, want %v; %+v", n, got, want, c)
		}
	}
}

// What a program that outlived the command wrote between the look and the move is what is kept, and comes home.
func TestWhatIsWrittenBeforeItIsMovedIsNoted(t *testing.T) {
	p := newPair(t, ".envrc = user")
	p.write(p.mirror, ".envrc", "agent")
	late := false
	p.hook(mirror.MirrorSide, func(op safety.Op, name string) error {
		if op == safety.OpMoveOut && !late {
			late = true
			return os.WriteFile(filepath.Join(p.mirror, ".envrc"), []byte("agent, later"), 0o644)
		}
		return nil
	})
	p.once(autosync.Options{Deletes: true, Final: true})
	_, c, err := autosync.ApplyHeld(t.Context(), p.state(), p.m.Session, nil)
	p.must(err)
	p.is("failed", notePaths(c.Failed), "")
	p.wantProject(".envrc", "agent, later")
}
