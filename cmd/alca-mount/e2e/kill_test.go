//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What a kill -9 leaves is recovered: of a busy session's program, of its command, of both, at any moment, with a user
// who saves at the same time; and recover is killed itself.

const (
	killFiles = 24
	killPad   = 3000
)

// agentScript writes version after version, each by one rename, and then notes it. Its scratch lies outside.
const agentScript = `
echo $$ > "$TOOLS/pid"
pad=$(head -c 3000 /dev/zero | tr '\0' x)
i=1
while test $i -le 25; do
	f=f$((i % 12))
	printf '%s a%d %s\n' $f $i "$pad" > "$TOOLS/scratch"
	mv "$TOOLS/scratch" $f
	echo "$f $i" >> "$TOOLS/ledger"
	test $((i % 5)) = 0 && rm d$i && echo "d$i 0" >> "$TOOLS/ledger"
	test $((i % 7)) = 0 && mkdir -p new/d$i && printf 'n%d a%d %s\n' $i $i "$pad" > "$TOOLS/scratch" && mv "$TOOLS/scratch" new/d$i/n$i && echo "new/d$i/n$i $i" >> "$TOOLS/ledger"
	i=$((i + 1))
done
`

// version is what each file of these tests holds: its name, who wrote it and when, and padding to see a torn one.
var version = regexp.MustCompile(`^(\w+) ([vau])(\d+) (x*)\n$`)

func versionText(name, who string, n int) string {
	return fmt.Sprintf("%s %s%d %s\n", name, who, n, strings.Repeat("x", killPad))
}

type killRun struct {
	*world
	saved  map[string]int // the user's last version, by name
	seen   map[string]int // the agent's last version that the user saved over, by name
	mode   string
	killed string
}

// killCounts is what all kills came to.
type killCounts struct {
	mu               sync.Mutex
	crashes, recover int
	rows             map[string]int // of the recovery table: how often each was come to
}

func (c *killCounts) add(bad []badEnd, recoverKills int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recover += recoverKills
	if len(bad) > 0 {
		c.crashes++
	}
	for _, b := range bad {
		for _, n := range b.Holds.Recovered {
			c.rows[n.Why]++
		}
	}
}

// killWorkers is how many sessions are busy at a time: most of each is waiting, for the disk and for the moment.
const killWorkers = 8

func TestKilledAtAnyMomentLosesNothing(t *testing.T) {
	counts := &killCounts{rows: map[string]int{}}
	next := make(chan int)
	var workers sync.WaitGroup
	for range killWorkers {
		workers.Go(func() {
			for i := range next {
				mode := []string{"exit", "live"}[i%2]
				who := []string{"alca-mount", "CMD", "both"}[i/2%3]
				at := killMoments[i/6%len(killMoments)]
				t.Run(fmt.Sprintf("%d %s %s %s", i, mode, who, at), func(t *testing.T) { killOnce(t, mode, who, at, counts) })
			}
		})
	}
	n := 300
	if os.Getuid() == 0 {
		n = 40 // the many are an ordinary user's: to root it is all the same
	}
	for i := range count(n, 1000) {
		next <- i
	}
	close(next)
	workers.Wait()
	t.Logf("%d sessions ended badly, recover was killed %d times, calls that were cut short: %v", counts.crashes, counts.recover, counts.rows)
}

// killMoments are where to look for a moment: from the start on, in the middle of CMD's work, in the last sync.
var killMoments = []string{"any time", "at work", "at the end"}

// killOnce kills a busy session, and recover up to three times, and holds what is left against what was saved.
func killOnce(t *testing.T, mode, who, at string, counts *killCounts) {
	k := &killRun{world: newWorld(t), saved: map[string]int{}, seen: map[string]int{}, mode: mode, killed: who}
	for j := range killFiles {
		write(t, filepath.Join(k.project, fmt.Sprintf("f%d", j)), versionText(fmt.Sprintf("f%d", j), "v", 0))
	}
	for j := 5; j <= 25; j += 5 {
		write(t, filepath.Join(k.project, fmt.Sprintf("d%d", j)), versionText(fmt.Sprintf("d%d", j), "v", 0))
	}
	bad := k.busySession(at)
	kills := rand.IntN(4)
	counts.add(bad, kills)
	for range kills {
		p := k.start("-C", k.project, "recover", "--all", "--apply")
		time.Sleep(time.Duration(rand.IntN(120)) * time.Millisecond) // a moment, not a synchronisation
		p.cmd.Process.Kill()
		<-p.done
	}
	if r := k.run("-C", k.project, "recover", "--all", "--apply"); r.code != 0 {
		t.Errorf("recover: %v", r)
	}
	if left := k.badEnds(); len(left) > 0 {
		t.Errorf("still to recover: %v", left)
	}
	k.check()
}

// busySession runs one until it is killed, while the user saves, and returns what is to recover.
func (k *killRun) busySession(at string) []badEnd {
	p := k.start("-q", "--sync", k.mode, "--", "sh", "-c", agentScript)
	stop, saving := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(saving)
		for n := 1; n < 200; n++ { // bounded: a program that is left alone must come to its end
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond): // a rate
			}
			name := fmt.Sprintf("f%d", n*5%killFiles)
			scratch := filepath.Join(k.dir, "user")
			if os.WriteFile(scratch, []byte(versionText(name, "u", n)), 0o644) == nil && k.saveOver(scratch, name) {
				k.saved[name] = n
			}
		}
	}()
	k.moment(at, p)
	if k.killed != "CMD" {
		p.cmd.Process.Kill()
		<-p.done
	}
	if k.killed != "alca-mount" {
		k.killCommand()
	}
	if k.killed == "CMD" {
		p.wait()
	}
	close(stop)
	<-saving
	return k.endSurvivors()
}

// moment waits for one, or for the program's end. What it waits for is only where to look; it need not be met.
func (k *killRun) moment(at string, p *running) {
	after, reached := time.Duration(rand.IntN(700))*time.Millisecond, func() bool { return true }
	switch at {
	case "at work":
		lines := 1 + rand.IntN(30)
		after, reached = time.Duration(rand.IntN(10_000))*time.Microsecond, func() bool {
			ledger, _ := os.ReadFile(filepath.Join(k.dir, "ledger"))
			return bytes.Count(ledger, []byte("\n")) >= lines
		}
	case "at the end":
		after, reached = time.Duration(rand.IntN(60_000))*time.Microsecond, func() bool {
			pid, err := os.ReadFile(filepath.Join(k.dir, "pid"))
			return err == nil && len(pid) > 0 && syscall.Kill(number("p"+strings.TrimSpace(string(pid))), 0) != nil
		}
	}
	for end := time.Now().Add(patience); !reached() && time.Now().Before(end); {
		select {
		case <-p.done:
			return
		case <-time.After(time.Millisecond):
		}
	}
	time.Sleep(after)
}

// saveOver puts scratch in the project's name's place by an exchange, which hands out what was there at that very moment:
// an agent's version that had come home before is not lost, the user saved over it.
func (k *killRun) saveOver(scratch, name string) bool {
	if unix.Renameat2(unix.AT_FDCWD, scratch, unix.AT_FDCWD, filepath.Join(k.project, name), unix.RENAME_EXCHANGE) != nil {
		return false
	}
	if old, err := os.ReadFile(scratch); err == nil {
		if m := version.FindSubmatch(old); m != nil && string(m[2]) == "a" {
			k.seen[name] = max(k.seen[name], number("a"+string(m[3])))
		}
	}
	return os.Remove(scratch) == nil // the next save is a new file
}

func (k *killRun) killCommand() {
	pid, err := os.ReadFile(filepath.Join(k.dir, "pid"))
	if n, aerr := strconv.Atoi(strings.TrimSpace(string(pid))); err == nil && aerr == nil {
		_ = syscall.Kill(n, syscall.SIGKILL)
	}
}

type badEnd struct {
	Session   string
	Processes []int
	Holds     struct{ Recovered []struct{ Why string } }
}

func (k *killRun) badEnds() []badEnd {
	k.t.Helper()
	var all []badEnd
	r := k.expect(0, "-C", k.project, "recover", "--json")
	must(k.t, json.Unmarshal([]byte(r.stdout), &all))
	return all
}

// endSurvivors lets what is left of CMD come to its end, as a user is told to, and returns what is to recover then.
func (k *killRun) endSurvivors() (bad []badEnd) {
	k.t.Helper()
	if pid, err := os.ReadFile(filepath.Join(k.dir, "pid")); err == nil && len(pid) > 0 {
		cmd := number("p" + strings.TrimSpace(string(pid)))
		k.until("the end of CMD's shell", func() bool { return syscall.Kill(cmd, 0) != nil })
	}
	k.until("the end of CMD", func() bool {
		bad = k.badEnds()
		return !slices.ContainsFunc(bad, func(b badEnd) bool { return len(b.Processes) > 0 })
	})
	return bad
}

// check: each file of the project is whole, none is there that nobody made, and the last version of each writer is at
// its path or kept.
func (k *killRun) check() {
	k.t.Helper()
	there, kept := map[string]string{}, map[string]bool{}
	must(k.t, filepath.WalkDir(k.project, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(k.project, path)
		m := version.FindStringSubmatch(read(k.t, path))
		if m == nil || len(m[4]) != killPad || m[1] != filepath.Base(rel) {
			k.t.Errorf("torn or stray: %s", rel)
			return nil
		}
		there[rel] = m[2] + m[3]
		return nil
	}))
	must(k.t, filepath.WalkDir(k.state, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if m := version.FindStringSubmatch(read(k.t, path)); m != nil {
				kept[m[1]+" "+m[2]+m[3]] = true
			}
		}
		return err
	}))
	for name, last := range k.agentsLast() {
		got, base := there[name], filepath.Base(name)
		switch {
		case last == 0: // deleted
			if got == "" && !kept[base+" v0"] {
				k.t.Errorf("lost: %s was deleted and is kept nowhere", name)
			}
		case got == fmt.Sprint("a", last) || kept[fmt.Sprintf("%s a%d", base, last)]:
		case strings.HasPrefix(got, "a") && number(got) > last: // the ledger was cut short before its line
		case strings.HasPrefix(got, "u") && k.seen[name] >= last: // a later save of the user's, over what had come home
		default:
			k.t.Errorf("lost: the agent's version %d of %s; there is %q", last, name, got)
		}
	}
	for name, last := range k.saved {
		if there[name] != fmt.Sprint("u", last) && !kept[fmt.Sprintf("%s u%d", name, last)] {
			k.t.Errorf("lost: the user's version %d of %s; there is %q", last, name, there[name])
		}
	}
}

func number(v string) int {
	n, _ := strconv.Atoi(v[1:])
	return n
}

func (k *killRun) agentsLast() map[string]int {
	last := map[string]int{}
	data, _ := os.ReadFile(filepath.Join(k.dir, "ledger"))
	for line := range strings.Lines(string(data)) {
		name, n, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if i, err := strconv.Atoi(n); ok && err == nil {
			last[name] = i
		}
	}
	return last
}
