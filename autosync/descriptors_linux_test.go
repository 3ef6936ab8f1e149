package autosync_test

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// uncollected keeps the garbage collection from closing what was left open.
func uncollected(t *testing.T) {
	percent := debug.SetGCPercent(-1)
	t.Cleanup(func() { debug.SetGCPercent(percent) })
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// A pass that can't begin leaves nothing open, whichever call it was that failed.
func TestPassThatCannotBeginLeavesNoDescriptorOpen(t *testing.T) {
	uncollected(t)
	for _, op := range labels(t) {
		p := newPair(t, "f = original", "o = o")
		fails := false
		p.hook(mirror.ProjectSide, func(at safety.Op, _ string) error {
			if fails && at == op {
				return syscall.EIO
			}
			return nil
		})
		fails = true
		before := descriptors(t)
		_, err := p.tryOnce(autosync.Options{Deletes: true})
		if after := descriptors(t); after > before {
			t.Errorf("%s fails (%v): %d descriptors before, %d after", op, err, before, after)
		}
	}
}

func TestUndoThatCannotBeginLeavesNoDescriptorOpen(t *testing.T) {
	p := oldPair(t, "a")
	p.write(p.mirror, "a", "agent")
	p.sync()
	uncollected(t)
	before := descriptors(t)
	_, err := autosync.Undo(t.Context(), p.state(), p.m.Session, autosync.UndoOptions{}.Seen(func(op safety.Op, name string) error {
		if op == safety.OpMkdir { // the store's: a directory is in the way of the journal
			_ = os.Mkdir(filepath.Join(filepath.Dir(name), "journal"), 0o700)
		}
		return nil
	}))
	if after := descriptors(t); err == nil || after > before {
		t.Errorf("%v: %d descriptors before, %d after", err, before, after)
	}
}
