package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/safety"
)

// TestMeasure prints what watching costs: from close(2) to the hint, per event, per directory. It judges nothing.
// ALCA_TEST_WATCH_MEASURE=1 turns it on.
func TestMeasure(t *testing.T) {
	if os.Getenv("ALCA_TEST_WATCH_MEASURE") == "" {
		t.Skip("ALCA_TEST_WATCH_MEASURE=1 measures")
	}
	eachBackend(t, func(t *testing.T, b Backend) {
		t.Run("latency", func(t *testing.T) { measureLatency(t, b) })
		t.Run("churn", func(t *testing.T) { measureChurn(t, b) })
		if b == Inotify {
			t.Run("directories", func(t *testing.T) { measureDirectories(t, b) })
		}
	})
}

func measureLatency(t *testing.T, b Backend) {
	r := watchTree(t, b, nil)
	var took []time.Duration
	for i := range 500 {
		name := fmt.Sprint("f", i)
		f, err := os.Create(r.path(name))
		must(t, err)
		f.WriteString("x")
		r.hinted(Busy, name)
		time.Sleep(time.Millisecond) // so that create and write are through
		start := time.Now()
		f.Close()
		r.hinted(Settled, name)
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	t.Logf("close(2) to hint: median %v, p95 %v, worst %v", took[250], took[475], took[499])
}

func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measureChurn compares writing 33,334 files (100,002 events) with and without a watcher.
func measureChurn(t *testing.T, b Backend) {
	const n = 33_334
	churn := func(dir string) time.Duration {
		before := cpu()
		for i := range n {
			write(t, filepath.Join(dir, fmt.Sprint(i)), "x")
		}
		return cpu() - before
	}
	alone := churn(quickDir(t))
	r := watchTree(t, b, nil)
	done := make(chan struct{})
	before := cpu()
	go func() { churn(r.dir); close(done) }()
	batches, hints := 0, 0
	start := time.Now()
	for open := true; open || len(r.seen) < n && time.Since(start) < patience; {
		select {
		case batch := <-r.w.Hints():
			batches, hints = batches+1, hints+len(batch)
			r.take(batch)
		case h := <-r.w.HealthChanges():
			t.Logf("%+v", h)
			r.honour(h)
		case <-done:
			open, done = false, nil
		case <-time.After(time.Second):
			if !open {
				start = time.Time{}
			}
		}
	}
	t.Logf("%d paths of %d seen, in %d hints, %d batches; cpu %v above the %v of writing", len(r.seen), n, hints, batches, cpu()-before-alone, alone)
}

func measureDirectories(t *testing.T, b Backend) {
	const n = 60_000
	r := newRig(t, b, quickDir(t), func(dir string) {
		for i := range n {
			os.MkdirAll(filepath.Join(dir, fmt.Sprintf("some/package-%d/directory-%d", i/20, i)), 0o755)
		}
	})
	before := heap()
	start := time.Now()
	must(t, r.w.AddTree(t.Context(), safety.Top))
	added, grown := time.Since(start), heap()-before
	start = time.Now()
	must(t, r.w.Close())
	t.Logf("63,000 directories: added in %v, %d KiB of heap, closed in %v", added, grown>>10, time.Since(start))
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
