//go:build unix

package autosync_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// A process that was stopped scans when it goes on.
func TestLiveScansWhenTheProcessGoesOn(t *testing.T) {
	scans := make(chan bool, 1000)
	p := newPair(t, "d/a = 1")
	p.hook(mirror.MirrorSide, func(o safety.Op, name string) error {
		if o == safety.OpDirRead && name == "d" {
			scans <- true
		}
		return nil
	})
	never := time.Duration(0)
	s, err := autosync.Start(t.Context(), p.m, autosync.Options{}, autosync.LiveOptions{ScanInterval: &never})
	p.must(err)
	defer s.Stop(t.Context())
	p.must(s.Ready(t.Context()))
	for len(scans) > 0 {
		<-scans
	}
	p.must(syscall.Kill(syscall.Getpid(), syscall.SIGCONT))
	select {
	case <-scans:
	case <-time.After(20 * time.Second):
		t.Error("no scan")
	}
}
