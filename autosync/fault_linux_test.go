package autosync_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

func faultFlags() (all *bool, together *int) {
	return flag.Bool("fault.all", false, "every error at every label, not one of them"),
		flag.Int("fault.together", 1, "from how many moments on calls fail together, of each label")
}

var faultAll, faultTogether = faultFlags()

// faults are what a failing, full or read-only disk says, and a process at its limit.
func faults() []syscall.Errno {
	return []syscall.Errno{syscall.ENOSPC, syscall.EIO, syscall.EACCES, syscall.EROFS, syscall.EDQUOT, syscall.EMFILE}
}

// labels are the operations that safety declares, by reading its source: a new one can't be forgotten here.
func labels(t *testing.T) []safety.Op {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../safety/sys.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []safety.Op
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if ok && len(spec.Values) == 1 && strings.HasPrefix(spec.Names[0].Name, "Op") {
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
				text, _ := strconv.Unquote(lit.Value)
				all = append(all, safety.Op(text))
			}
		}
		return true
	})
	return all
}

// elsewhere are the labels that no pass comes to; package safety's own tests make them fail.
func elsewhere() []safety.Op {
	return []safety.Op{
		safety.OpRootOpen, safety.OpRootStat, safety.OpMarkerWrite, safety.OpSyncAll, safety.OpRemove, safety.OpLock, safety.OpTempCreate, safety.OpTempWrite,
		safety.OpTempFsync, safety.OpTempRename, safety.OpTempDrop, safety.OpCreate, safety.OpMountRoot, safety.OpChown, safety.OpSetTimes, safety.OpXattr,
		safety.OpSymlink, safety.OpCopyWrite, safety.OpPutBack, safety.OpRestore, safety.OpTakeBack, safety.OpInUndo,
	}
}

// fault fails calls labelled op: the nth, or from the nth on.
type fault struct {
	op      safety.Op
	errno   syscall.Errno
	nth     int
	staying bool
	on      bool // the roots are open

	mu   sync.Mutex
	seen map[safety.Op]int
	hit  int

	also []safety.Op // fail from the nth call of op on, too
}

func (f *fault) before(op safety.Op, _ string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.on {
		return nil
	}
	f.seen[op]++
	if f.hit > 0 && slices.Contains(f.also, op) {
		return f.errno
	}
	if op != f.op || f.seen[op] < f.nth || f.seen[op] > f.nth && !f.staying {
		return nil
	}
	f.hit++
	return f.errno
}

// seenIn counts the calls of a pass without faults, by label.
func seenIn(t *testing.T, way *crash) map[safety.Op]int {
	p, _, _ := busy(t)
	f := &fault{seen: map[safety.Op]int{}}
	p.withFault(f, way)
	p.sync()
	return f.seen
}

func (p *pair) withFault(f *fault, way *crash) {
	lacks := (&crash{NoExchange: way.NoExchange, NoTmpfile: way.NoTmpfile, Nth: -1}).before()
	before := func(op safety.Op, name string) error {
		if err := lacks(op, name); err != nil {
			return err
		}
		return f.before(op, name)
	}
	p.hook(mirror.ProjectSide, before)
	p.hook(mirror.MirrorSide, before)
	f.on = true
}

// Whatever call fails, once or from then on: every path is old or new, nothing is lost, trouble is told, and when the
// disk is well again the rest is carried.
func TestFailingCallsLoseNothing(t *testing.T) {
	var mu sync.Mutex
	injected := map[safety.Op]bool{}
	t.Run("faults", func(t *testing.T) {
		tried := map[safety.Op]bool{}
		for _, way := range []*crash{{}, {NoExchange: true}, {NoTmpfile: true}} {
			seen := seenIn(t, way)
			for _, op := range slices.Sorted(maps.Keys(seen)) {
				if tried[op] && !*faultAll {
					continue
				}
				tried[op] = true
				errnos := faults()
				if !*faultAll {
					errnos = errnos[rand.IntN(len(errnos)):][:1]
				}
				for _, errno := range errnos {
					f := &fault{op: op, errno: errno, nth: 1 + rand.IntN(seen[op]), staying: rand.IntN(2) == 0, seen: map[safety.Op]int{}}
					t.Run(fmt.Sprintf("%v %s %d staying %v exchange %v tmpfile %v", errno, op, f.nth, f.staying, !way.NoExchange, !way.NoTmpfile), func(t *testing.T) {
						t.Parallel()
						hit := loseNothing(t, f, way)
						mu.Lock()
						injected[op] = injected[op] || hit
						mu.Unlock()
					})
				}
			}
		}
	})
	for _, op := range labels(t) {
		// How many calls a pass makes depends on how young its files are to the clock: the nth may not have come.
		for _, way := range []*crash{{}, {NoExchange: true}, {NoTmpfile: true}} {
			if !injected[op] && !slices.Contains(elsewhere(), op) {
				injected[op] = loseNothing(t, &fault{op: op, errno: syscall.EIO, nth: 1, staying: true, seen: map[safety.Op]int{}}, way)
			}
		}
		if !injected[op] && !slices.Contains(elsewhere(), op) {
			t.Errorf("%s was never made to fail", op)
		}
	}
}

// Calls that belong together fail together, from a moment on: what the pass began with one it can't take back with another.
func TestCallsThatFailTogetherLoseNothing(t *testing.T) {
	for what, ops := range map[string][]safety.Op{
		"names":  {safety.OpExchange, safety.OpPutBack, safety.OpTakeAway, safety.OpBringIn, safety.OpLink, safety.OpDelete, safety.OpMoveOut, safety.OpTakeBack, safety.OpRestore},
		"writes": {safety.OpStageWrite, safety.OpKeepWrite, safety.OpInWrite, safety.OpInUndo, safety.OpJournalWrite, safety.OpCopyWrite, safety.OpTempWrite},
		"syncs":  {safety.OpStageFsync, safety.OpKeepFsync, safety.OpInFsync, safety.OpJournalSync, safety.OpDirSync},
		"looks":  {safety.OpLstat, safety.OpInspect, safety.OpStageStat, safety.OpFileStat, safety.OpDirStat},
	} {
		for _, way := range []*crash{{}, {NoExchange: true}} {
			seen := seenIn(t, way)
			for _, op := range ops {
				if seen[op] == 0 {
					continue
				}
				for n := range *faultTogether {
					f := &fault{op: op, also: ops, errno: faults()[rand.IntN(6)], nth: 1 + (n+rand.IntN(seen[op]))%seen[op], staying: true, seen: map[safety.Op]int{}}
					t.Run(fmt.Sprintf("%s from %v %s %d exchange %v", what, f.errno, op, f.nth, !way.NoExchange), func(t *testing.T) {
						t.Parallel()
						loseNothing(t, f, way)
					})
				}
			}
		}
	}
}

// loseNothing makes a fault in a pass and looks at what came of it. It reports whether the call came at all.
func loseNothing(t *testing.T, f *fault, way *crash) bool {
	p, versions, after := busy(t)
	t.Cleanup(func() { p.dropStores() })
	p.withFault(f, way)
	c, err := p.tryOnce(autosync.Options{Deletes: true})
	p.wantOldOrNew(c, err, f)
	p.reopen()
	p.sync()
	p.sync()
	p.nothingLost("after the fault", versions, after)
	p.wantNothingMore()
	return f.hit > 0
}

// wantOldOrNew checks the project right after a fault: whole versions only, and what did not come is told.
func (p *pair) wantOldOrNew(c autosync.Changes, err error, f *fault) {
	p.t.Helper()
	told := err != nil || len(c.Failed) > 0 || c.Halted != ""
	for text, path := range textsIn(p.t, p.project, "") {
		if !strings.HasPrefix(text, "v") && text != "ro/\n" {
			p.t.Errorf("%s holds %.30q", path, text)
		}
		if strings.HasPrefix(text, "v0 edit") && !told {
			p.t.Errorf("%s is old after %v at %s, and nobody was told", path, f.errno, f.op)
		}
	}
}

func TestADirectoryStaysInTheBaseWhileSomethingInItCouldNotGo(t *testing.T) {
	p := newPair(t, "dir/f = f", "other = o")
	p.remove(p.mirror, "dir")
	f := &fault{op: safety.OpDelete, errno: syscall.EIO, nth: 1, seen: map[safety.Op]int{}}
	p.withFault(f, &crash{})
	if c, err := p.tryOnce(autosync.Options{Deletes: true}); err != nil || len(c.Failed) == 0 {
		t.Errorf("%+v, %v", c, err)
	}
	p.sync()
	if got := names(t, p.project); !slices.Equal(got, []string{".", "other"}) {
		t.Errorf("the project holds %q", got)
	}
}

// dropStores removes what a session has at the top of the file system, since its own folder could not be had, or since
// the clean-up was made to fail as well.
func (p *pair) dropStores() {
	stores := p.m.Session.Stores[:]
	found, _ := filepath.Glob(filepath.Join("/.alca-mount-"+strconv.Itoa(os.Getuid()), p.m.Session.ID))
	for _, s := range append(stores, found...) {
		if top := filepath.Dir(s); safety.Reserved(filepath.Base(top)) {
			_ = os.RemoveAll(s)
			_ = os.Remove(top)
		}
	}
}

// For once the session's folder could not be opened, and the store lies at the top of the file system. It is the
// session's from then on: a store that its record does not name is found by nobody.
func TestAStoreStaysWhereItIs(t *testing.T) {
	p := newPair(t, "f = old", "g = old")
	t.Cleanup(func() { p.dropStores() })
	p.write(p.mirror, "f", "new")
	own := filepath.Join(p.m.Session.Dir(), "store")
	p.hook(mirror.ProjectSide, func(op safety.Op, name string) error {
		if op == safety.OpRootOpen && name == own {
			return syscall.EMFILE
		}
		return nil
	})
	p.sync()
	first := p.m.Session.Stores[mirror.ProjectSide]
	if strings.HasPrefix(first, p.m.Session.Dir()) {
		t.Skip("the store is in the session's folder: its file system has no other place")
	}
	if strings.HasPrefix(first, p.project+"/") {
		t.Skip("the store is in the project: the sync takes it home at its end")
	}
	p.reopen()
	p.write(p.mirror, "g", "new")
	p.sync()
	if now := p.m.Session.Stores[mirror.ProjectSide]; now != first {
		t.Errorf("the store was in %s and is in %s", first, now)
	}
}
