package autosync_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// What syncing costs is counted, not timed: a count is the same on every machine. The bounds lie a little above what was
// counted; whoever adds a call for each file sees these tests fail, and decides whether the call is worth it. What has no
// label is not counted: leases and the closing of descriptors.
const (
	callsOfIdleReconcile  = 2.1  // a look on each side
	allocsOfIdleReconcile = 4.2  // over both sides
	callsToMirror         = 34.5 // of one edit: see the list that a failure prints
	callsToProject        = 35.5 // likewise; with the sync to disk, and the directory's times before and after
)

// calls counts labelled calls.
type calls struct {
	mu   sync.Mutex
	seen map[safety.Op]int
}

func (c *calls) before(op safety.Op, _ string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[op]++
	return nil
}

// perFile is what a further file adds, and of what.
func perFile(few, many map[safety.Op]int, files int) (sum float64, list string) {
	var out strings.Builder
	for _, op := range slices.Sorted(maps.Keys(many)) {
		if each := float64(many[op]-few[op]) / float64(files); each > 0.05 {
			sum += each
			fmt.Fprintf(&out, "\n%6.2f × %s", each, op)
		}
	}
	return sum, out.String()
}

func TestCallsOfAnIdleReconcile(t *testing.T) {
	count := func(files int) map[safety.Op]int { return countIdle(t, files) }
	holds(t, "a file", callsOfIdleReconcile, [2]int{100, 1100}, count)
}

func TestCallsOfCatchingUp(t *testing.T) {
	count := func(files int) map[safety.Op]int { return countCatchUp(t, files) }
	holds(t, "a file", callsOfIdleReconcile, [2]int{100, 1100}, count) // nothing is hidden: one look at either side does
}

// holds counts the calls of few and of many, and again where they are too many: a pause of the machine has some files read
// twice, and none left out.
func holds(t *testing.T, what string, most float64, sizes [2]int, count func(int) map[safety.Op]int) {
	t.Helper()
	least := lesser(count(sizes[0]), count(sizes[0]))
	each, list := perFile(least, count(sizes[1]), sizes[1]-sizes[0])
	for try := 0; each > most && try < 12; try++ {
		if again, what := perFile(least, count(sizes[1]), sizes[1]-sizes[0]); again < each {
			each, list = again, what
		}
	}
	if each > most {
		t.Errorf("%s takes %.2f system calls, at most %.1f are allowed:%s", what, each, most, list)
	}
}

func countCatchUp(t *testing.T, files int) map[safety.Op]int {
	p := newCounted(t, files)
	c := p.count()
	_, _, err := autosync.CatchUp(t.Context(), p.m, autosync.Options{Deletes: true}, nil)
	p.must(err)
	return c.seen
}

func countIdle(t *testing.T, files int) map[safety.Op]int {
	p := newCounted(t, files)
	c := p.count()
	p.sync()
	return c.seen
}

func TestAllocationsOfAnIdleReconcile(t *testing.T) {
	few, each := allocatedIdle(t, 100, 30), 0.0
	for range 10 { // what is left running of other tests adds to a count, and takes nothing from it
		many := allocatedIdle(t, 1100, 6)
		if each = (float64(many) - float64(few)) / 1000; each <= allocsOfIdleReconcile {
			return
		}
	}
	t.Errorf("a file takes %.2f allocations, at most %.1f are allowed", each, allocsOfIdleReconcile)
}

// allocatedIdle is the least that several reconciles took: what else runs adds to some.
func allocatedIdle(t *testing.T, files, rounds int) uint64 {
	p := newCounted(t, files)
	least := ^uint64(0)
	for range rounds {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		p.sync()
		runtime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	return least
}

func TestCallsOfAnEdit(t *testing.T) {
	for side, most := range map[mirror.Side]float64{mirror.ProjectSide: callsToMirror, mirror.MirrorSide: callsToProject} {
		count := func(edits int) map[safety.Op]int { return countEdits(t, side, edits) }
		holds(t, "an edit in the "+side.String(), most, [2]int{64, 256}, count)
	}
}

// lesser is the count with fewer calls.
func lesser(a, b map[safety.Op]int) map[safety.Op]int {
	sum := func(m map[safety.Op]int) (n int) {
		for _, calls := range m {
			n += calls
		}
		return n
	}
	if sum(b) < sum(a) {
		return b
	}
	return a
}

// countEdits counts what carrying so many edits takes, of files whose size tells nothing.
func countEdits(t *testing.T, side mirror.Side, edits int) map[safety.Op]int {
	p := newCounted(t, 300)
	c := p.count()
	for i := range edits {
		name := filepath.Join([...]string{p.project, p.mirror}[side], countedFile(i))
		p.must(os.WriteFile(name, []byte("changed"), 0o644))
		old := time.Now().Add(-time.Minute)
		p.must(os.Chtimes(name, old, old))
	}
	time.Sleep(150 * time.Millisecond) // what changed a tick ago is read twice, and how many did depends on the machine
	p.sync()
	p.wantMirror(countedFile(edits-1), "changed")
	p.wantProject(countedFile(edits-1), "changed")
	return c.seen
}

func countedFile(i int) string { return fmt.Sprintf("d/f%d", i) }

// newCounted is a pair with so many files that were settled long ago.
func newCounted(t *testing.T, files int) *pair {
	t.Helper()
	project := filepath.Join(t.TempDir(), "project")
	if err := os.MkdirAll(filepath.Join(project, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range files {
		if err := os.WriteFile(filepath.Join(project, countedFile(i)), []byte("content"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(50 * time.Millisecond) // two ticks of the clock of files, so that their stamps prove something
	p := newPairAt(t, project, mirror.Options{Workers: 1, Population: mirror.Walk})
	time.Sleep(50 * time.Millisecond)
	p.sync()
	return p
}

// count counts the calls of both sides from now on.
func (p *pair) count() *calls {
	c := &calls{seen: map[safety.Op]int{}}
	p.hook(mirror.ProjectSide, c.before)
	p.hook(mirror.MirrorSide, c.before)
	clear(c.seen)
	return c
}
