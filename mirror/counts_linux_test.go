package mirror

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// What a build costs is counted, not timed: a count is the same on every machine. The bounds lie a little above what was
// counted; whoever adds a call for each file sees this test fail, and decides whether the call is worth it.
const (
	callsPerFile      = 13.3 // open, look; make; lease, unlease; read, write; look; attributes; time, look; close both
	callsPerDirectory = 12.3 // open, look, list twice; make, open; attributes, look, time; close both; a share of the rest
	allocsPerFile     = 5.6
	bytesPerFile      = 1500.0
)

// countedTree is the environment variable by which the test starts itself to build a mirror of the tree named there.
const countedTree = "COUNTED_TREE"

func TestSystemCallsOfABuild(t *testing.T) {
	if dir := os.Getenv(countedTree); dir != "" {
		w := &world{t: t, project: filepath.Join(dir, "project"), state: NewStateDir(filepath.Join(dir, "state")), mirror: filepath.Join(dir, "mirror")}
		w.create(Options{Policy: everything(t), Workers: 1, Population: Walk})
		return
	}
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("no strace")
	}
	each := leastCalls(t, callsPerFile, func() float64 { return float64(countedCalls(t, 1, 1100)-countedCalls(t, 1, 100)) / 1000 })
	if each > callsPerFile {
		t.Errorf("a file takes %.2f system calls, at most %.1f are allowed", each, callsPerFile)
	}
	each = leastCalls(t, callsPerDirectory, func() float64 { return float64(countedCalls(t, 201, 0)-countedCalls(t, 1, 0)) / 200 })
	if each > callsPerDirectory {
		t.Errorf("a directory takes %.2f system calls, at most %.1f are allowed", each, callsPerDirectory)
	}
}

// leastCalls counts up to three times: the runtime makes calls of its own now and then, the more so with the race detector.
func leastCalls(t *testing.T, allowed float64, count func() float64) float64 {
	t.Helper()
	least := count()
	for range 2 {
		if least > allowed {
			least = min(least, count())
		}
	}
	return least
}

// countedCalls is how many calls about files and descriptors a build takes of so many directories, the first of which
// holds so many files.
func countedCalls(t *testing.T, dirs, files int) int {
	t.Helper()
	world := t.TempDir()
	makeCounted(t, filepath.Join(world, "project"), dirs, files)
	c := exec.Command("strace", "-f", "-c", "-e", "trace=%file,%desc", os.Args[0], "-test.run=^TestSystemCallsOfABuild$")
	c.Env = append(os.Environ(), countedTree+"="+world)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Skipf("strace: %v: %s", err, out)
	}
	return sumOfCalls(t, out)
}

// sumOfCalls adds up strace's table but for what the scheduler does.
func sumOfCalls(t *testing.T, table []byte) int {
	t.Helper()
	sum := 0
	for s := bufio.NewScanner(bytes.NewReader(table)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) < 5 || strings.HasPrefix(f[len(f)-1], "epoll") || f[len(f)-1] == "total" {
			continue
		}
		if n, err := strconv.Atoi(f[3]); err == nil {
			sum += n
		}
	}
	if sum == 0 {
		t.Fatalf("no table of calls:\n%s", table)
	}
	return sum
}

func makeCounted(t *testing.T, project string, dirs, files int) {
	t.Helper()
	old := time.Now().Add(-time.Hour) // of younger ones it is asked whether somebody writes
	for i := range dirs {
		if err := os.MkdirAll(filepath.Join(project, fmt.Sprintf("d%d", i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i := range files {
		name := filepath.Join(project, "d0", fmt.Sprintf("f%d", i))
		if err := os.WriteFile(name, []byte("content"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAllocationsOfABuild(t *testing.T) {
	if dropsBuffers() {
		t.Skip("under the race detector buffers are not kept for the next file")
	}
	few, many := allocated(t, 100), allocated(t, 1100)
	if each := float64(many.Mallocs-few.Mallocs) / 1000; each > allocsPerFile {
		t.Errorf("a file takes %.2f allocations, at most %.1f are allowed", each, allocsPerFile)
	}
	if each := float64(many.TotalAlloc-few.TotalAlloc) / 1000; each > bytesPerFile {
		t.Errorf("a file takes %.0f bytes of memory, at most %.0f are allowed", each, bytesPerFile)
	}
}

// allocated is the least that several builds of a tree with so many files allocated: what else runs adds to some.
func allocated(t *testing.T, files int) runtime.MemStats {
	t.Helper()
	var all []runtime.MemStats
	w := newWorld(t)
	makeCounted(t, w.project, 1, files)
	for range 5 {
		var before, after runtime.MemStats
		s := w.session()
		runtime.ReadMemStats(&before)
		m := w.create(Options{Policy: everything(t), Workers: 1, Population: Walk, Session: s})
		runtime.ReadMemStats(&after)
		if err := m.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
		after.Mallocs -= before.Mallocs
		after.TotalAlloc -= before.TotalAlloc
		all = append(all, after)
	}
	return slices.MinFunc(all, func(a, b runtime.MemStats) int { return int(a.Mallocs) - int(b.Mallocs) })
}

// dropsBuffers reports whether a sync.Pool forgets what it was just given now and then, as it does under the race detector.
func dropsBuffers() bool {
	var pool sync.Pool
	for range 100 {
		pool.Put(new(int))
		if pool.Get() == nil {
			return true
		}
	}
	return false
}
