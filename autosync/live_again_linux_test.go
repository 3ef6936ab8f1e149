package autosync_test

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// No hint comes a second time of a file at which the look failed: it is looked at again all the same.
func TestLiveLooksAgainWhereALookFailed(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOENT} {
		t.Run(errno.Error(), func(t *testing.T) {
			p := newPair(t, "a = 1")
			var armed atomic.Bool
			p.hook(mirror.MirrorSide, func(op safety.Op, name string) error {
				if op == safety.OpFileOpen && name == "a" && armed.CompareAndSwap(true, false) {
					return errno
				}
				return nil
			})
			l := startLive(t, p)
			armed.Store(true)
			l.write(l.mirror, "a", "2") // as long as before: the look has to read it
			l.await(autosync.Synced, "a")
			l.wantProject("a", "2")
			if armed.Load() {
				t.Error("no look failed")
			}
			if c := l.end(); len(c.Failed) > 0 {
				t.Errorf("failed: %+v", c.Failed)
			}
		})
	}
}

// What recovery can't settle is told by the pass that follows, and keeps the mirror: the user's save that lies in the
// store is given back when the session is opened again.
func TestARecoveryThatFailsIsTold(t *testing.T) {
	p := newPair(t, "f = v0", "other = o")
	p.agentDeletes()
	if !p.dies(&crash{Ops: []safety.Op{safety.OpInspect}, Nth: 1, At: safety.OpDelete, Act: "save " + p.project + "/f"}) {
		t.Fatal("it was not killed")
	}
	p.reopen()
	p.hook(mirror.ProjectSide, func(op safety.Op, _ string) error {
		if op == safety.OpRestore {
			return syscall.EACCES
		}
		return nil
	})
	c, err := autosync.Once(context.Background(), p.m, autosync.Options{Deletes: true, Final: true})
	if err != nil && !errors.Is(err, syscall.EACCES) {
		t.Fatal(err)
	}
	if len(c.Failed) != 1 || c.Failed[0].Path != "f" || c.Untouched() {
		t.Errorf("failed: %+v, untouched %v", c.Failed, c.Untouched())
	}
	p.reopen()
	p.sync()
	p.wantProject("f", "user's save")
}
