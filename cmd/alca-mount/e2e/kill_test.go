//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
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
while test $i -le 40; do
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

func TestKilledAtAnyMomentLosesNothing(t *testing.T) {
	var recoverKills, crashes atomic.Int32
	t.Run("runs", func(t *testing.T) {
		for i := range count(24, 1000) {
			mode := []string{"exit", "live"}[i%2]
			who := []string{"alca-mount", "CMD", "both"}[i/2%3]
			t.Run(fmt.Sprintf("%d %s %s", i, mode, who), func(t *testing.T) {
				if !*long || i%4 != 0 {
					t.Parallel()
				}
				k := &killRun{world: newWorld(t), saved: map[string]int{}, seen: map[string]int{}, mode: mode, killed: who}
				for j := range killFiles {
					write(t, filepath.Join(k.project, fmt.Sprintf("f%d", j)), versionText(fmt.Sprintf("f%d", j), "v", 0))
				}
				for j := 5; j <= 40; j += 5 {
					write(t, filepath.Join(k.project, fmt.Sprintf("d%d", j)), versionText(fmt.Sprintf("d%d", j), "v", 0))
				}
				k.busySession(time.Duration(rand.IntN(700)) * time.Millisecond)
				if len(k.badEnds()) > 0 {
					crashes.Add(1)
				}
				for range rand.IntN(4) {
					p := k.start("-C", k.project, "recover", "--all", "--apply")
					time.Sleep(time.Duration(rand.IntN(120)) * time.Millisecond) // a moment, not a synchronisation
					p.cmd.Process.Kill()
					<-p.done
					recoverKills.Add(1)
				}
				r := k.run("-C", k.project, "recover", "--all", "--apply")
				if r.code != 0 {
					t.Errorf("recover: %v", r)
				}
				if left := k.badEnds(); len(left) > 0 {
					t.Errorf("still to recover: %v", left)
				}
				k.check()
			})
		}
	})
	t.Logf("%d sessions ended badly, recover was killed %d times", crashes.Load(), recoverKills.Load())
}

// busySession runs one until it is killed, while the user saves.
func (k *killRun) busySession(after time.Duration) {
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
	time.Sleep(after) // a moment, not a synchronisation
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
	k.endSurvivors()
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
}

func (k *killRun) badEnds() []badEnd {
	k.t.Helper()
	var all []badEnd
	r := k.expect(0, "-C", k.project, "recover", "--json")
	must(k.t, json.Unmarshal([]byte(r.stdout), &all))
	return all
}

// endSurvivors lets what is left of CMD come to its end, as a user is told to.
func (k *killRun) endSurvivors() {
	k.t.Helper()
	k.until("the end of CMD", func() bool {
		for _, b := range k.badEnds() {
			if len(b.Processes) > 0 {
				return false
			}
		}
		return true
	})
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
