package autosync_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
	"golang.org/x/sys/unix"
)

type stormCounts struct {
	saves, swaps, churn *int
	repository          *string
	within              *time.Duration
}

func stormFlags() stormCounts {
	return stormCounts{
		saves:      flag.Int("live.saves", 150, "saves between the check and the replacing, each way"),
		swaps:      flag.Int("live.swaps", 20_000, "swaps of a directory and a link, on each side"),
		churn:      flag.Int("live.churn", 1500, "files of the churn"),
		repository: flag.String("live.repository", "", "a git repository whose first and last commits are checked out in turn"),
		within:     flag.Duration("live.within", 0, "how long after the last write of a storm the sides may differ; 0: as long as it takes"),
	}
}

var storm = stormFlags()

// settled waits until both sides hold the same and says how long that took: until the last event, for a look at all of a
// storm's files takes longer than what is looked for. Storms at full count take their time.
func (l *live) settled(what string) time.Duration {
	l.t.Helper()
	began := time.Now()
	var diff []string
	for time.Since(began) < 5*time.Minute {
		looked := time.Now()
		diff = differences(treeOf(l.project, l.m.Policy), treeOf(l.mirror, l.m.Policy), func(string) bool { return false })
		if len(diff) == 0 {
			took := max(0, time.Unix(0, l.latest.Load()).Sub(began))
			l.t.Logf("%s: identical %v after the last write", what, took.Round(time.Millisecond))
			if *storm.within > 0 && took > *storm.within {
				l.t.Errorf("%s: identical only after %v", what, took)
			}
			return took
		}
		time.Sleep(max(50*time.Millisecond, 2*time.Since(looked))) // a look at everything costs the storm its processors
	}
	l.t.Fatalf("%s: the sides differ at %d paths: %q", what, len(diff), diff[:min(len(diff), 20)])
	return 0
}

// Somebody saves each time in the last instant before a version comes in, on the side that it comes to.
func TestEverySaveBetweenCheckAndReplaceIsThere(t *testing.T) {
	for _, side := range []mirror.Side{mirror.ProjectSide, mirror.MirrorSide} {
		for first := 0; first < *storm.saves; first += 100 { // a journal is read anew in each pass
			t.Run(fmt.Sprint(side, " from ", first), func(t *testing.T) {
				t.Parallel()
				savesInTheLastInstant(t, side, &crash{}, min(100, *storm.saves-first))
			})
		}
		t.Run(fmt.Sprint(side, " without exchange"), func(t *testing.T) {
			t.Parallel()
			savesInTheLastInstant(t, side, &crash{NoExchange: true}, 20)
		})
	}
}

func savesInTheLastInstant(t *testing.T, side mirror.Side, way *crash, saves int) {
	p := newPair(t, "f = <start-0>")
	from, to := p.mirror, p.project
	if side == mirror.MirrorSide {
		from, to = to, from
	}
	n, armed := 0, false
	way.Nth = -1
	lacks := way.before()
	p.hook(side, func(o safety.Op, name string) error {
		if err := lacks(o, name); err != nil {
			return err
		}
		if !armed || o != safety.OpTakeAway && (o != safety.OpExchange || name != "f") {
			return nil
		}
		armed = false
		late := fmt.Sprintf("<late-%d>", n)
		if n%2 == 0 {
			save(t, filepath.Join(to, "f"), late)
		} else {
			overwrite(t, filepath.Join(to, "f"), late)
		}
		return nil
	})
	for n = range saves {
		p.write(from, "f", fmt.Sprintf("<early-%d>", n))
		armed = true
		p.once(autosync.Options{Deletes: true})
		if armed {
			t.Fatalf("save %d: nothing was replaced", n)
		}
		if late := fmt.Sprintf("<late-%d>", n); side == mirror.MirrorSide && read(t, filepath.Join(to, "f")) != late {
			t.Fatalf("save %d: the mirror has %q", n, read(t, filepath.Join(to, "f")))
		}
	}
	found := tokensIn(p.project, p.m.Session.Dir())
	for i := range saves {
		lost := fmt.Sprintf("<late-%d>", i) // the user's, in the project
		if side == mirror.MirrorSide {
			lost = fmt.Sprintf("<early-%d>", i) // the user's too: the agent's won
		}
		if !found[lost] {
			t.Errorf("%s is lost", lost)
		}
	}
}

// A directory and a link to outside change places as fast as they can, on both sides, while files in them change.
func TestLiveSwapsOfDirectoriesAndLinksLeadNowhere(t *testing.T) {
	t.Parallel()
	l := newLive(t, "d/f = inside", "d/e/g = inside", "a = 1")
	outside := t.TempDir()
	for _, name := range []string{"f", "e/g", "only/here"} {
		l.write(outside, name, "OUTSIDE")
	}
	before := treeOf(outside, l.m.Policy)
	stop := spin(filepath.Join(l.mirror, "d"), "nothing")
	quit := make(chan struct{})
	var racers, writers sync.WaitGroup
	for i, top := range []string{l.project, l.mirror} {
		alt := filepath.Join(filepath.Dir(top), "alt")
		l.must(os.Symlink(outside, alt))
		t.Cleanup(func() { os.Remove(alt) })
		racers.Go(func() {
			for range *storm.swaps {
				_ = unix.Renameat2(unix.AT_FDCWD, filepath.Join(top, "d"), unix.AT_FDCWD, alt, unix.RENAME_EXCHANGE)
			}
		})
		writers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-quit:
					return
				case <-time.After(time.Millisecond):
				}
				for _, dir := range []string{filepath.Join(top, "d"), alt} {
					_ = saveQuietly(filepath.Join(dir, "f"), fmt.Sprintf("inside %d %d", i, n))
					_ = saveQuietly(filepath.Join(dir, fmt.Sprint("n", n%5)), fmt.Sprintf("inside %d %d", i, n))
				}
			}
		})
	}
	racers.Wait()
	close(quit)
	writers.Wait()
	stop()
	_, _ = l.s.Reconcile(t.Context())
	_, _, _ = l.s.Stop(context.Background())
	if d := differences(before, treeOf(outside, l.m.Policy), func(string) bool { return false }); len(d) > 0 {
		t.Errorf("changed outside: %q", d)
	}
	for _, dir := range []string{l.project, l.mirror, l.m.Session.Dir()} {
		_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				if data, _ := os.ReadFile(p); bytes.Contains(data, []byte("OUTSIDE")) {
					t.Errorf("content from outside: %s", p)
				}
			}
			return nil
		})
	}
}

// Both sides work in trees of their own, each on thousands of files: create, overwrite, move, delete.
func TestLiveChurnConverges(t *testing.T) {
	l := newLive(t, "keep = k")
	var wg sync.WaitGroup
	for i, top := range []string{l.project, l.mirror} {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(7, uint64(i)))
			name := func(k int) string { return filepath.Join(top, fmt.Sprintf("side%d/d%d/f%d", i, k%97, k)) }
			for k := range *storm.churn / 2 {
				if k < 97 {
					l.must(os.MkdirAll(filepath.Dir(name(k)), 0o755))
				}
				l.must(os.WriteFile(name(k), fmt.Appendf(nil, "%d of %d", k, i), 0o644))
				old := name(r.IntN(k + 1))
				switch r.IntN(4) {
				case 0:
					_ = os.Remove(old)
				case 1:
					_ = os.Rename(old, old+"m")
				case 2:
					_ = os.WriteFile(old, []byte("again"), 0o644)
				}
			}
		})
	}
	wg.Wait()
	l.settled(fmt.Sprintf("churn of %d files", *storm.churn))
	if c := l.end(); len(c.Conflicts)+len(c.Failed)+len(c.Held) > 0 {
		t.Errorf("conflicts %v, failed %v, held %v", c.Conflicts, c.Failed, c.Held)
	}
}

func TestLiveCheckoutOfARealRepository(t *testing.T) {
	if *storm.repository == "" {
		t.Skip("no -live.repository")
	}
	run := func(args ...string) string {
		out, err := exec.Command("git", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	for _, side := range []string{"project", "mirror"} {
		t.Run(side, func(t *testing.T) {
			repo := filepath.Join(t.TempDir(), "repo")
			run("clone", "-q", "--bare", *storm.repository, repo)
			all := strings.Fields(run("--git-dir="+repo, "rev-list", "HEAD"))
			l := newLive(t, "keep = k")
			work := map[string]string{"project": l.project, "mirror": l.mirror}[side]
			for i := range 6 {
				commit := []string{all[len(all)*2/3], all[0], all[len(all)/3]}[i%3]
				run("--git-dir="+repo, "--work-tree="+work, "checkout", "-qf", commit)
				l.settled("checkout of " + commit[:8])
				if s := run("--git-dir="+repo, "--work-tree="+l.project, "diff", "--stat", commit); s != "" {
					t.Errorf("the project is not %s: %s", commit, s)
				}
			}
			if c := l.end(); len(c.Conflicts)+len(c.Failed) > 0 {
				t.Errorf("conflicts %v, failed %v", c.Conflicts, c.Failed)
			}
		})
	}
}

// Something takes the mirror away file by file. At most half of the project goes, and that is kept; with the root gone
// before anything came to rest, nothing goes.
func TestLiveMirrorThatIsTakenAwayDeletesAtMostHalf(t *testing.T) {
	for _, c := range []struct {
		how   string
		pause time.Duration
		root  bool // the root goes as well
		stop  bool // the session ends meanwhile
	}{
		{"at once", 0, true, false},
		{"at once, at the end", 0, true, true},
		{"slowly", 2 * time.Millisecond, true, false},
		{"slowly, at the end", 2 * time.Millisecond, true, true},
		{"slowly, all but the root", 2 * time.Millisecond, false, false},
		{"slowly, all but the root, at the end", 2 * time.Millisecond, false, true},
		{"in two goes", -1, true, false},
	} {
		t.Run(c.how, func(t *testing.T) {
			t.Parallel()
			const files = 240
			var lines []string
			for i := range files {
				lines = append(lines, fmt.Sprintf("d%d/e%d/f%d = content %d", i%5, i%3, i, i))
			}
			l := newLive(t, lines...)
			names, err := filepath.Glob(filepath.Join(l.mirror, "d*/e*/f*"))
			l.must(err)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for i, name := range names {
					_ = os.Remove(name)
					_ = os.Remove(filepath.Dir(name))
					_ = os.Remove(filepath.Dir(filepath.Dir(name)))
					if c.pause > 0 {
						time.Sleep(c.pause)
					}
					if c.pause < 0 && i == len(names)/2 {
						time.Sleep(time.Second)
					}
				}
				if c.root {
					_ = os.RemoveAll(l.mirror)
				}
			}()
			if c.stop {
				time.Sleep(50 * time.Millisecond)
			} else {
				<-done
				time.Sleep(400 * time.Millisecond)
			}
			changes, _, _ := l.s.Stop(context.Background())
			<-done
			left := 0
			for i := range files {
				if read(t, filepath.Join(l.project, fmt.Sprintf("d%d/e%d/f%d", i%5, i%3, i))) != "(absent)" {
					left++
				}
			}
			t.Logf("%d of %d left, %d deleted, halted %q", left, files, len(changes.Deleted), changes.Halted)
			if left < files/2 {
				t.Errorf("%d of %d files are left", left, files)
			}
			for _, n := range changes.Deleted {
				if data, err := os.ReadFile(n.Kept); err != nil || !strings.HasPrefix(string(data), "content ") {
					t.Errorf("%s is deleted and not kept: %q %v", n.Path, data, err)
				}
			}
			if left+len(changes.Deleted) != files {
				t.Errorf("%d left and %d reported as deleted of %d", left, len(changes.Deleted), files)
			}
		})
	}
}
