package autosync_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// A pass is killed, by a real SIGKILL, at a call of which the label is known; then the session is opened anew.

func crashFlags() (all *bool) {
	return flag.Bool("crash.all", false, "kill at every call, not at some")
}

var crashAll = crashFlags()

// crash says where a child dies, and what somebody else does just before.
type crash struct {
	State, Session string
	Nth            int         // at which call that has a label in Ops, and Name if that is set
	Ops            []safety.Op // none: all but those that only look
	Name           string
	Act            string // "save FILE", "mkdir FILE", "overwrite FILE": at the call labelled At
	At             safety.Op
	NoExchange     bool   // the file system has none
	Count          string // the file that gets the number of calls of a child that lives
	NoTmpfile      bool

	seen atomic.Int32
}

const crashEnv = "ALCA_MOUNT_TEST_CRASH"

// onlyLooks are the calls that change nothing: to die before one is to die after the one before it.
func onlyLooks(op safety.Op) bool {
	return slices.Contains([]safety.Op{
		safety.OpRootOpen, safety.OpRootStat, safety.OpParentOpen, safety.OpDirOpen, safety.OpDirStat, safety.OpDirRead, safety.OpLstat,
		safety.OpFileOpen, safety.OpFileStat, safety.OpReadlink, safety.OpRead, safety.OpXattr, safety.OpPin, safety.OpMarkerRead, safety.OpProbe,
	}, op)
}

// before is the seam of both roots of the child.
func (c *crash) before() safety.Before {
	var probes atomic.Int32
	return func(op safety.Op, name string) error {
		switch {
		case c.NoExchange && op == safety.OpProbe && strings.HasPrefix(name, "probe-b-") && probes.Add(1)%4 == 3: // create, stat, exchange, unlink
			return syscall.EINVAL
		case c.NoTmpfile && op == safety.OpStageCreate && name == ".":
			return syscall.EOPNOTSUPP
		}
		if c.At == op && c.Act != "" {
			act(c.Act)
			c.Act = ""
		}
		if c.Name != "" && name != c.Name || len(c.Ops) > 0 && !slices.Contains(c.Ops, op) || len(c.Ops) == 0 && onlyLooks(op) {
			return nil
		}
		if c.seen.Add(1) == int32(c.Nth) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}
}

// act is what a user does meanwhile.
func act(what string) {
	how, path, _ := strings.Cut(what, " ")
	var err error
	switch how {
	case "save":
		err = errors.Join(os.WriteFile(path+"~", []byte("user's save"), 0o644), os.Rename(path+"~", path))
	case "mkdir":
		err = errors.Join(os.Remove(path), os.Mkdir(path, 0o755), os.WriteFile(filepath.Join(path, "in"), []byte("user's save"), 0o644))
	}
	if err != nil {
		panic(err)
	}
}

// TestCrashChild is the process that dies; it is no test by itself.
func TestCrashChild(t *testing.T) {
	text := os.Getenv(crashEnv)
	if text == "" {
		t.Skip("only as a child of the crash tests")
	}
	var c crash
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	p := &pair{t: t}
	p.take(c.State, c.Session)
	before := c.before()
	p.project, p.mirror = p.m.Project.Path(), p.m.Root.Path()
	p.hook(mirror.ProjectSide, before)
	p.hook(mirror.MirrorSide, before)
	_, err := autosync.Once(t.Context(), p.m, autosync.Options{Deletes: true})
	p.must(err)
	if c.Count != "" {
		p.must(os.WriteFile(c.Count, fmt.Append(nil, c.seen.Load()), 0o600))
	}
}

// take opens a session as a new process does.
func (p *pair) take(state, id string) {
	p.t.Helper()
	s, err := mirror.NewStateDir(state).Find(id, "")
	p.must(err)
	p.m, err = mirror.Attach(p.t.Context(), s.Project, s.Mirror, mirror.Options{Session: s})
	p.must(err)
}

// reopen leaves what this process knows of the session behind.
func (p *pair) reopen() {
	p.t.Helper()
	_ = p.m.Close()
	p.take(p.stateDir(), p.m.Session.ID)
	p.t.Cleanup(func() { _ = p.m.Close() })
}

func (p *pair) stateDir() string { return filepath.Dir(filepath.Dir(filepath.Dir(p.m.Session.Dir()))) }

// dies runs a pass in a child and reports whether it was killed; else it came to its end.
func (p *pair) dies(c *crash) bool {
	p.t.Helper()
	c.State, c.Session = p.stateDir(), p.m.Session.ID
	text, err := json.Marshal(c)
	p.must(err)
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$")
	cmd.Env = append(os.Environ(), crashEnv+"="+string(text))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return true
	}
	if err != nil {
		p.t.Fatalf("child: %v\n%s", err, out)
	}
	return false
}

// textsIn are all bytes that files below dir hold, each with a path.
func textsIn(t *testing.T, dir string, leaveOut string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path == leaveOut:
			return fs.SkipDir
		case d.Type().IsRegular():
			data, err := os.ReadFile(path)
			all[string(data)] = path
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// names are all entries below dir.
func names(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, path)
		all = append(all, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// busy makes a pair in which a pass has every kind of step to take.
func busy(t *testing.T) (p *pair, versions, after []string) {
	t.Helper()
	p = newPair(t, ".agentreadonly = ro/\n", "edit = v0 edit", "big = "+strings.Repeat("v0 big ", 90_000), "both = v0 both", "gone = v0 gone",
		"user = v0 user", "dropped = v0 dropped", "run = v0 run", "l -> edit", "ro/f = v0 ro", "dir/f = v0 dir/f", "kind/f = v0 kind", "linked = v0 linked", "name => linked")
	p.must(os.Link(filepath.Join(p.project, "linked"), filepath.Join(p.project, "third")))
	p.write(p.mirror, "edit", "v1 edit")
	p.write(p.mirror, "big", strings.Repeat("v1 bigger ", 90_000))
	p.write(p.mirror, "both", "v1 both")
	p.write(p.project, "both", "v2 both")
	p.remove(p.mirror, "gone")
	p.write(p.project, "user", "v2 user")
	p.write(p.project, "fresh", "v2 fresh")
	p.remove(p.project, "dropped")
	p.must(os.Chmod(filepath.Join(p.mirror, "run"), 0o755))
	p.remove(p.mirror, "l")
	p.must(os.Symlink("both", filepath.Join(p.mirror, "l")))
	p.must(os.Chmod(filepath.Join(p.mirror, "ro"), 0o755))
	p.must(os.Chmod(filepath.Join(p.mirror, "ro/f"), 0o644))
	p.write(p.mirror, "ro/f", "v1 ro")
	p.remove(p.mirror, "dir")
	p.remove(p.mirror, "kind")
	p.write(p.mirror, "kind", "v1 kind")
	p.write(p.mirror, "new/deep/f", "v1 new")
	p.write(p.mirror, "linked", strings.Repeat("v1 linked ", 90_000))
	versions = []string{
		"v0 edit", "v1 edit", strings.Repeat("v0 big ", 90_000), strings.Repeat("v1 bigger ", 90_000), "v0 both", "v1 both", "v2 both", "v0 gone",
		"v2 user", "v2 fresh", "v0 run", "v0 ro", "v0 dir/f", "v0 kind", "v1 kind", "v1 new", "v0 linked", strings.Repeat("v1 linked ", 90_000), "v1 ro",
	}
	versions = slices.DeleteFunc(versions, func(v string) bool { return v == "v0 both" }) // the user's own save took its place
	after = []string{".", ".agentreadonly", "big", "both", "edit", "fresh", "kind", "l", "linked", "name", "new", "new/deep", "new/deep/f", "ro", "ro/f", "run", "third", "user"}
	return p, versions, after
}

// nothingLost checks a project and what is kept for it after all was recovered and carried.
func (p *pair) nothingLost(when string, versions, after []string) {
	p.t.Helper()
	have := textsIn(p.t, p.project, "")
	for text, path := range have {
		if !slices.Contains(versions, text) && !strings.HasPrefix(text, "ro/") && text != "user's save" {
			p.t.Errorf("%s: torn: %s holds %.30q… of %d bytes", when, path, text, len(text))
		}
	}
	maps.Copy(have, textsIn(p.t, p.m.Session.Dir(), p.mirror))
	if store := p.m.Session.Stores[mirror.ProjectSide]; !strings.HasPrefix(store, p.m.Session.Dir()) {
		maps.Copy(have, textsIn(p.t, store, ""))
	}
	for _, v := range versions {
		if have[v] == "" {
			p.t.Errorf("%s: lost: %.30q", when, v)
		}
	}
	if got := names(p.t, p.project); !slices.Equal(got, after) {
		p.t.Errorf("%s: the project holds\n%q, want\n%q", when, got, after)
	}
}

// hits counts the rows of the table that recovery came to.
type hits map[string]int

func (h hits) add(c autosync.Changes) {
	for _, n := range c.Recovered {
		h[n.Why]++
	}
}

// sharedHits are hits of tests that run side by side.
type sharedHits struct {
	sync.Mutex
	hits
}

func (p *pair) lacking(c *crash) {
	if c.NoExchange || c.NoTmpfile {
		p.hook(mirror.ProjectSide, (&crash{NoExchange: c.NoExchange, NoTmpfile: c.NoTmpfile, Nth: -1}).before())
		p.hook(mirror.MirrorSide, (&crash{NoExchange: c.NoExchange, NoTmpfile: c.NoTmpfile, Nth: -1}).before())
	}
}

// callsOf counts the calls of a whole pass at which a child can die.
func callsOf(t *testing.T, way *crash) int {
	t.Helper()
	p, _, _ := busy(t)
	c := &crash{NoExchange: way.NoExchange, NoTmpfile: way.NoTmpfile, Nth: 1 << 30, Count: filepath.Join(t.TempDir(), "count")}
	if p.dies(c) {
		t.Fatal("killed at a call that there is not")
	}
	n, err := strconv.Atoi(read(t, c.Count))
	p.must(err)
	return n
}

// A pass is killed at a call, then the pass that recovers is, at another, and then again; the last one is let through.
func TestKilledAtAnyCallLosesNothing(t *testing.T) {
	rows, kills := sharedHits{hits: hits{}}, atomic.Int32{}
	t.Run("killed", func(t *testing.T) {
		for i, way := range []*crash{{}, {NoExchange: true}, {NoTmpfile: true}} {
			calls := callsOf(t, way)
			step := max(calls/8, 1)
			if *crashAll {
				step = 1
			}
			for n := 1 + rand.IntN(step); n <= calls; n += step {
				t.Run(fmt.Sprintf("%d at %d", i, n), func(t *testing.T) {
					t.Parallel()
					p, versions, after := busy(t)
					c := &crash{NoExchange: way.NoExchange, NoTmpfile: way.NoTmpfile}
					for c.Nth = n; p.dies(c); c.Nth = 1 + rand.IntN(calls) {
						kills.Add(1)
					}
					p.reopen()
					p.lacking(way)
					changes := p.sync()
					rows.Lock()
					rows.add(changes)
					rows.Unlock()
					p.nothingLost(fmt.Sprintf("killed at call %d of %d, and again", n, calls), versions, after)
					p.sync() // what came to one name of a file with several goes on to the mirror's other copies
					p.wantNothingMore()
				})
			}
		}
	})
	t.Logf("%d kills", kills.Load())
	rows.tell(t)
}

func (h hits) tell(t *testing.T) {
	t.Helper()
	for _, row := range slices.Sorted(maps.Keys(h)) {
		t.Logf("%4d × %s", h[row], row)
	}
}

// Each row of the table in docs/design.md, by a crash at the call that leads to it, or by what somebody does meanwhile.
func TestEachRowOfRecovery(t *testing.T) {
	for _, c := range []struct {
		row, name, project string // project: what f holds there after a further pass; conflict: what is kept as a loser
		conflict           string
		make               func(p *pair) // ahead of the pass; nil: the agent edits f
		crash              *crash
		then               func(p *pair) // between crash and recovery
	}{
		{row: "exchange: not done", project: "agent's", crash: &crash{Ops: []safety.Op{safety.OpExchange}, Name: "f"}},
		{row: "exchange: done", project: "agent's", crash: &crash{Ops: []safety.Op{safety.OpInspect}}},
		{row: "exchange: done", name: "and edited since", project: "user's save", crash: &crash{Ops: []safety.Op{safety.OpInspect}}, then: (*pair).userSaves},
		{row: "exchange: done", name: "over the session's own", project: "agent's", make: (*pair).agentEditsAgain, crash: &crash{Ops: []safety.Op{safety.OpInspect}}},
		{row: "exchange: done, over a version saved meanwhile", project: "agent's", conflict: "user's save",
			crash: &crash{Ops: []safety.Op{safety.OpInspect}, At: safety.OpExchange, Act: "save"}},
		{row: "exchange: put back", project: "agent's", conflict: "user's save", crash: &crash{Ops: []safety.Op{safety.OpInspect}, At: safety.OpExchange, Act: "mkdir"}},
		{row: "exchange: put back", name: "in the mirror", project: "user's save", make: (*pair).userEdits,
			crash: &crash{Ops: []safety.Op{safety.OpInspect}, At: safety.OpExchange, Act: "save mirror"}},
		{row: "exchange: overtaken by a newer version", project: "agent's", conflict: "user's save",
			crash: &crash{Ops: []safety.Op{safety.OpInspect}, At: safety.OpExchange, Act: "mkdir"}, then: (*pair).userReplacesDirectory},
		{row: "new-name: not done", project: "agent's", make: (*pair).agentCreates, crash: &crash{Ops: []safety.Op{safety.OpLink}}},
		{row: "new-name: done", project: "agent's", make: (*pair).agentCreates, crash: &crash{Ops: []safety.Op{safety.OpStageStat}, Nth: 2}},
		{row: "new-name: done", name: "and edited since", project: "user's save", make: (*pair).agentCreates,
			crash: &crash{Ops: []safety.Op{safety.OpStageStat}, Nth: 2}, then: (*pair).userOverwrites},
		{row: "delete: not done", project: "(absent)", make: (*pair).agentDeletes, crash: &crash{Ops: []safety.Op{safety.OpDelete}}},
		{row: "delete: done", project: "(absent)", make: (*pair).agentDeletes, crash: &crash{Ops: []safety.Op{safety.OpInspect}}},
		{row: "delete: put back", project: "user's save", make: (*pair).agentDeletes,
			crash: &crash{Ops: []safety.Op{safety.OpInspect}, At: safety.OpDelete, Act: "save"}},
		{row: "delete: overtaken by a newer version", project: "user's second", conflict: "user's save", make: (*pair).agentDeletes,
			crash: &crash{Ops: []safety.Op{safety.OpInspect}, At: safety.OpDelete, Act: "save"}, then: func(p *pair) { p.write(p.project, "f", "user's second") }},
		{row: "rename-away: not done", project: "agent's", crash: &crash{NoExchange: true, Ops: []safety.Op{safety.OpTakeAway}}},
		{row: "rename-away: brought in", project: "agent's", crash: &crash{NoExchange: true, Ops: []safety.Op{safety.OpBringIn}}},
		{row: "rename-away: done", project: "agent's", crash: &crash{NoExchange: true, Ops: []safety.Op{safety.OpStageStat}, Nth: 4}},
		{row: "rename-away: overtaken by a newer version", project: "agent's", conflict: "v0",
			crash: &crash{NoExchange: true, Ops: []safety.Op{safety.OpBringIn}}, then: (*pair).userSaves},
		{row: "rename-away: put back", project: "agent's", conflict: "user's save", crash: &crash{NoExchange: true, Ops: []safety.Op{safety.OpInspect}, At: safety.OpTakeAway, Act: "mkdir"}},
		{row: "in-place: not done", project: "agent's", make: (*pair).linked, crash: &crash{Ops: []safety.Op{safety.OpInReserve}}},
		{row: "in-place: finished", project: "agent's", make: (*pair).linked, crash: &crash{Ops: []safety.Op{safety.OpInMeta}}},
		{row: "in-place: done", project: "agent's", make: (*pair).linked, crash: &crash{Ops: []safety.Op{safety.OpDirSync}}},
		{row: "in-place: not done", name: "and written since", project: "agent's", conflict: "user's save", make: (*pair).linked,
			crash: &crash{Ops: []safety.Op{safety.OpInMeta}}, then: (*pair).userOverwrites},
		{row: "mkdir: not done", make: func(p *pair) { p.must(os.Mkdir(filepath.Join(p.mirror, "made"), 0o755)) }, project: "v0", crash: &crash{Ops: []safety.Op{safety.OpChmod}, Name: "made"}},
		{row: "chmod: not done", make: func(p *pair) { p.must(os.Chmod(filepath.Join(p.mirror, "f"), 0o755)) }, project: "v0", crash: &crash{Ops: []safety.Op{safety.OpChmod}}},
	} {
		t.Run(strings.TrimSpace(c.row+" "+c.name), func(t *testing.T) {
			t.Parallel()
			p := newPair(t, "f = v0", "other = o")
			if c.make == nil {
				c.make = (*pair).agentEdits
			}
			c.make(p)
			c.crash.Nth = max(c.crash.Nth, 1)
			side, _, _ := strings.Cut(c.crash.Act+" ", " ")
			if strings.HasSuffix(c.crash.Act, " mirror") {
				c.crash.Act = side + " " + filepath.Join(p.mirror, "f")
			} else if c.crash.Act != "" {
				c.crash.Act = side + " " + filepath.Join(p.project, "f")
			}
			if !p.dies(c.crash) {
				t.Fatal("it was not killed")
			}
			if c.then != nil {
				c.then(p)
			}
			p.reopen()
			p.lacking(c.crash)
			foreseen := p.once(autosync.Options{Deletes: true, DryRun: true})
			p.reopen()
			p.lacking(c.crash)
			got := p.sync()
			for what, c2 := range map[string]autosync.Changes{"told": got, "foreseen": foreseen} {
				if len(c2.Recovered) != 1 || c2.Recovered[0].Why != c.row {
					if what == "foreseen" && strings.Contains(c.row, "overtaken") {
						continue // only found out by trying
					}
					t.Errorf("%s: %+v, want %s", what, c2.Recovered, c.row)
				}
			}
			p.wantProject("f", c.project)
			if c.conflict != "" {
				if textsIn(t, p.m.Session.Dir(), p.mirror)[c.conflict] == "" || len(got.Conflicts) == 0 {
					t.Errorf("%q is not kept: %+v", c.conflict, got.Conflicts)
				}
			} else if len(got.Conflicts) > 0 && c.project != "user's save" {
				t.Errorf("conflicts: %+v", got.Conflicts)
			}
			p.sync()
			p.wantNothingMore()
		})
	}
}

func (p *pair) agentEdits() { p.write(p.mirror, "f", "agent's") }
func (p *pair) agentEditsAgain() {
	p.write(p.mirror, "f", "agent's first")
	p.sync()
	p.agentEdits()
}
func (p *pair) agentCreates()   { p.remove(p.project, "f"); p.sync(); p.write(p.mirror, "f", "agent's") }
func (p *pair) agentDeletes()   { p.remove(p.mirror, "f") }
func (p *pair) userEdits()      { p.write(p.project, "f", "user's") }
func (p *pair) userSaves()      { save(p.t, filepath.Join(p.project, "f"), "user's save") }
func (p *pair) userOverwrites() { overwrite(p.t, filepath.Join(p.project, "f"), "user's save") }
func (p *pair) userReplacesDirectory() {
	p.remove(p.project, "f")
	p.userSaves()
}

func (p *pair) linked() {
	p.must(os.Link(filepath.Join(p.project, "f"), filepath.Join(p.project, "second")))
	p.sync()
	p.agentEdits()
}
