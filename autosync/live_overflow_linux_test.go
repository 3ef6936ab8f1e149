package autosync_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
)

// The kernel's queue runs over: that is told, all is found all the same, and told again when it is over.
func TestLiveOverflowIsToldAndConverges(t *testing.T) {
	l := &live{pair: newPair(t, "a = 1", "gone/b = 2"), events: make(chan autosync.Event, 100_000)}
	l.startWithQueueOf(8)
	l.must(l.s.Ready(t.Context()))
	for i := range 400 {
		l.write([]string{l.mirror, l.project}[i%2], fmt.Sprintf("d%d/f%d", i%7, i), fmt.Sprint(i))
	}
	l.remove(l.mirror, "gone")
	if e := l.await(autosync.Degraded, ""); !strings.Contains(e.Reason, "max_queued_events") {
		t.Errorf("%+v", e)
	}
	l.await(autosync.Healthy, "")
	l.eventually("after an overflow")
	for i := range 400 {
		l.wantProject(fmt.Sprintf("d%d/f%d", i%7, i), fmt.Sprint(i))
	}
	l.wantProject("gone/b", "(absent)")
	l.end()
}

// startWithQueueOf starts while the kernel queues that few events. The system's limit counts for what is made meanwhile.
func (l *live) startWithQueueOf(n int) {
	l.t.Helper()
	const limit = "/proc/sys/fs/inotify/max_queued_events"
	before, err := os.ReadFile(limit)
	if err == nil {
		err = os.WriteFile(limit, fmt.Append(nil, n), 0)
	}
	if err != nil {
		l.t.Skip("the limit can't be lowered:", err)
	}
	l.s, err = autosync.Start(l.t.Context(), l.m, autosync.Options{Events: l.note}, autosync.LiveOptions{})
	l.must(errors.Join(err, os.WriteFile(limit, before, 0)))
	l.t.Cleanup(func() { l.s.Stop(context.Background()) })
}

// inOwnUserNamespace runs the test that calls it once more, in a user namespace of its own, whose limits nobody shares.
// It reports whether this is there.
func inOwnUserNamespace(t *testing.T) bool {
	t.Helper()
	const mark = "ALCA_TEST_OWN_NAMESPACE"
	if os.Getenv(mark) != "" {
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), mark+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Skip("no user namespace to lower the limit in:", err)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// Directories that can't be watched are found by scans, until they can be.
func TestLiveWatchLimitIsToldAndHealed(t *testing.T) {
	if !inOwnUserNamespace(t) {
		return
	}
	setLimit := func(n int) {
		if err := os.WriteFile("/proc/sys/user/max_inotify_watches", fmt.Append(nil, n), 0); err != nil {
			t.Skip("the limit can't be set:", err)
		}
	}
	var lines []string
	for i := range 40 {
		lines = append(lines, fmt.Sprintf("d%d/f = %d", i, i))
	}
	setLimit(5)
	every := 100 * time.Millisecond
	l := &live{pair: newPair(t, lines...), events: make(chan autosync.Event, 100_000)}
	var err error
	l.s, err = autosync.Start(t.Context(), l.m, autosync.Options{Events: l.note}, autosync.LiveOptions{ScanInterval: &every})
	l.must(err)
	t.Cleanup(func() { l.s.Stop(context.Background()) })
	if e := l.await(autosync.Degraded, ""); !strings.Contains(e.Reason, "max_user_watches") || l.s.Healthy() {
		t.Errorf("%+v, healthy: %v", e, l.s.Healthy())
	}
	for i := range 40 {
		l.write([]string{l.mirror, l.project}[i%2], fmt.Sprintf("d%d/f", i), fmt.Sprint("new ", i))
	}
	l.eventually("with the limit")
	setLimit(10_000)
	l.await(autosync.Healthy, "")
	for i := range 40 {
		l.write(l.mirror, fmt.Sprintf("d%d/g", i), "x")
	}
	l.eventually("after the limit was raised")
	l.end()
}
