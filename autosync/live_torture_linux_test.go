package autosync_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func tortureFlags() (scale *int) {
	return flag.Int("live.scale", 1, "multiplies the counts of the live torture tests")
}

var liveScale = tortureFlags()

// spin reads everything in the mirror, in turns, and counts reads in which secret shows.
func spin(dir, secret string) (stop func() int64) {
	var seen atomic.Int64
	var wg sync.WaitGroup
	quit := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-quit:
				return
			default:
			}
			names, _ := os.ReadDir(dir)
			for _, n := range names {
				data, _ := os.ReadFile(filepath.Join(dir, n.Name()))
				if bytes.Contains(data, []byte(secret)) || strings.Contains(n.Name(), secret) {
					seen.Add(1)
				}
			}
			runtime.Gosched()
		}
	})
	return func() int64 {
		close(quit)
		wg.Wait()
		return seen.Load()
	}
}

func TestLiveSavesOfAHiddenFileNeverShowInTheMirror(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sed"); err != nil {
		t.Skip(err)
	}
	vim, _ := exec.LookPath("vim")
	l := newLive(t, ".agentignore = .env", ".env = SECRET=1\n", "a = 1")
	stop := spin(l.mirror, "SECRET")
	env := filepath.Join(l.project, ".env")
	for i := range 36 * *liveScale {
		switch i % 3 {
		case 0:
			l.must(exec.Command("sed", "-i", fmt.Sprintf("s/=.*/=%d/", i), env).Run())
		case 1:
			if vim == "" {
				continue
			}
			out, err := exec.Command(vim, "-es", "-u", "NONE", "-i", "NONE", "--cmd", "set nocp backup writebackup swapfile", "-c", fmt.Sprintf("%%s/=.*/=%d/", i), "-c", "wq", env).CombinedOutput()
			if err != nil {
				t.Fatalf("vim: %v %s", err, out)
			}
		case 2: // as vim saves: probe, back up, write anew, drop the back-up, with a swap file beside
			dir := filepath.Dir(env)
			l.must(os.WriteFile(filepath.Join(dir, "..env.swp"), []byte("SECRET in the swap"), 0o600))
			l.must(os.WriteFile(filepath.Join(dir, "4913"), nil, 0o600))
			l.must(os.Remove(filepath.Join(dir, "4913")))
			l.must(os.Rename(env, env+"~"))
			l.must(os.WriteFile(env, fmt.Appendf(nil, "SECRET=%d\n", i), 0o600))
			l.must(os.Remove(env + "~"))
			l.must(os.Remove(filepath.Join(dir, "..env.swp")))
		}
		if i%10 == 0 { // something else to carry, and a scan of everything in between
			l.write(l.project, "a", fmt.Sprint(i))
			l.reconcile()
		}
	}
	l.reconcile()
	if n := stop(); n > 0 {
		t.Errorf("the hidden content was seen %d times", n)
	}
}

func TestLiveNpmLikeStormInTheMirror(t *testing.T) {
	t.Parallel()
	l := newLive(t, "a = 1")
	n := 1000 * *liveScale
	for i := range n {
		dir := filepath.Join(l.mirror, "packages", fmt.Sprintf("p%d", i/40), "lib", fmt.Sprint(i%5))
		if i%40 < 5 {
			l.must(os.MkdirAll(dir, 0o755))
		}
		l.must(os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%d.js", i)), fmt.Appendf(nil, "module %d", i), 0o644))
	}
	l.settled(fmt.Sprintf("a storm of %d new files", n))
}

func runGit(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.email=a@b", "-c", "user.name=n", "-c", "init.defaultBranch=main"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
}

// checkouts makes a tree of two distant commits and returns a switch between them, with the repository elsewhere.
func checkouts(t *testing.T, tree string) func(dir, commit string) {
	repo := filepath.Join(t.TempDir(), "repo")
	runGit(t, tree, "init", "-q", "--separate-git-dir", repo)
	if err := os.Remove(filepath.Join(tree, ".git")); err != nil {
		t.Fatal(err)
	}
	run := func(dir string, args ...string) {
		git(t, dir, append([]string{"--git-dir=" + repo, "--work-tree=" + dir}, args...)...)
	}
	fill := func(version int) {
		for i := range 400 {
			name := filepath.Join(tree, "same", fmt.Sprintf("s%d", i))
			if i%3 == 0 { // less than half: no mass delete
				name = filepath.Join(tree, fmt.Sprintf("d%d", (i*version)%17), fmt.Sprintf("f%d", i))
			}
			if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, fmt.Appendf(nil, "%d of %d", i, version), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		run(tree, "add", "-A")
		run(tree, "commit", "-qm", "v")
		run(tree, "tag", fmt.Sprint("v", version))
	}
	fill(1)
	run(tree, "rm", "-rqf", ".")
	fill(2)
	return func(dir, commit string) { run(dir, "checkout", "-qf", commit) }
}

func TestLiveGitCheckoutOnEitherSide(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	for _, side := range []string{"project", "mirror"} {
		t.Run(side, func(t *testing.T) {
			l := newLive(t, "notes = n")
			checkout := checkouts(t, l.project)
			l.eventually("filled")
			top := l.project
			if side == "mirror" {
				top = l.mirror
			}
			for range *liveScale {
				for _, v := range []string{"v1", "v2"} {
					checkout(top, v)
					l.eventually("checkout of " + v)
				}
			}
			if c := l.end(); len(c.Conflicts)+len(c.Held)+len(c.Failed) > 0 {
				t.Errorf("conflicts %v, held %v, failed %v", c.Conflicts, c.Held, c.Failed)
			}
		})
	}
}

func TestLiveEditorsSavePatternsAreNoDeletions(t *testing.T) {
	t.Parallel()
	l := newLive(t, "f = 0", "g = 0")
	for i := range 40 {
		for j, side := range []string{l.mirror, l.project} {
			p := filepath.Join(side, []string{"f", "g"}[j])
			switch i % 3 {
			case 0: // away and anew
				l.must(os.Rename(p, p+"~"))
				l.must(os.WriteFile(p, fmt.Append(nil, i), 0o644))
				l.must(os.Remove(p + "~"))
			case 1: // over it
				l.must(os.WriteFile(p+".new", fmt.Append(nil, i), 0o644))
				l.must(os.Rename(p+".new", p))
			case 2:
				l.must(os.WriteFile(p, fmt.Append(nil, i), 0o644))
			}
		}
		time.Sleep(time.Duration(i%7) * 10 * time.Millisecond)
	}
	l.eventually("after the saves")
	l.wantProject("f", "39")
	l.wantMirror("g", "39")
	if c := l.end(); hasNote(c.Deleted, "f") || hasNote(c.Conflicts, "f") || hasNote(c.Conflicts, "g") {
		t.Errorf("deleted %v, conflicts %v", c.Deleted, c.Conflicts)
	}
}

// Whatever happens to a whole root, no file of the other side is deleted, halted is said once, and Stop returns.
func TestLiveRootsThatGoHaltOnce(t *testing.T) {
	t.Parallel()
	events := map[string]func(l *live, dir string){
		"removed":  func(l *live, dir string) { l.must(os.RemoveAll(dir)) },
		"renamed":  func(l *live, dir string) { l.must(os.Rename(dir, dir+".away")) },
		"replaced": func(l *live, dir string) { l.must(os.Rename(dir, dir+".away")); l.must(os.WriteFile(dir, nil, 0o644)) },
		"remade":   func(l *live, dir string) { l.must(os.RemoveAll(dir)); l.must(os.Mkdir(dir, 0o755)) },
		"emptied": func(l *live, dir string) {
			names, err := os.ReadDir(dir)
			l.must(err)
			for _, n := range names {
				l.must(os.RemoveAll(filepath.Join(dir, n.Name())))
			}
		},
	}
	for what, do := range events {
		for _, side := range []string{"project", "mirror"} {
			t.Run(side+" "+what, func(t *testing.T) {
				t.Parallel()
				l := newLive(t, "a = 1", "b/c = 2", "b/d = 3", "e/f/g = 4")
				top, other := l.project, l.mirror
				if side == "mirror" {
					top, other = other, top
				}
				do(l, top)
				select {
				case <-l.s.Halted():
				case <-time.After(10 * time.Second):
					t.Error("it did not halt")
				}
				for name, want := range map[string]string{"a": "1", "b/c": "2", "b/d": "3", "e/f/g": "4"} {
					if got := read(t, filepath.Join(other, name)); got != want {
						t.Errorf("%s = %q on the other side", name, got)
					}
				}
				c, drained, err := l.s.Stop(t.Context())
				if drained || err == nil || c.Halted == "" || len(c.Deleted) > 0 {
					t.Errorf("Stop: %+v, %v, %v", c, drained, err)
				}
				said := 0
				for e := range drain(l.events) {
					if e.Type == autosync.Halted {
						said++
					}
				}
				if said != 1 {
					t.Errorf("halted was said %d times", said)
				}
			})
		}
	}
}

func TestLiveUnmountedProjectHalts(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "project")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("mount:", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	l := startLive(t, newPairIn(t, dir, "a = 1", "b = 2"))
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	_, _ = l.s.Reconcile(t.Context()) // a detached mount raises nothing
	select {
	case <-l.s.Halted():
	case <-time.After(10 * time.Second):
		t.Error("it did not halt")
	}
	l.wantMirror("a", "1")
	if _, drained, err := l.s.Stop(t.Context()); drained || err == nil {
		t.Errorf("Stop: %v, %v", drained, err)
	}
}

// Two editors save one file, one on each side, as fast as they can: what none of them overwrote is there or kept.
func TestLiveRacingSavesLoseNoVersion(t *testing.T) {
	t.Parallel()
	for how, save := range map[string]func(*actor, string) error{"by rename": (*actor).saveByRename, "in place": (*actor).create} {
		t.Run(how, func(t *testing.T) {
			l := newLive(t, "f = <start-0>")
			lg := &ledger{made: map[string]string{}, gone: map[string]bool{}, secret: map[string]bool{}, excuse: map[string]bool{}}
			var wg sync.WaitGroup
			for i, top := range []string{l.project, l.mirror} {
				a := &actor{t: t, lg: lg, top: top, name: []string{"user", "agent"}[i], r: rand.New(rand.NewPCG(1, uint64(i)))}
				wg.Go(func() {
					for n := range 100 * *liveScale {
						if err := save(a, "f"); err != nil {
							t.Error(err)
						}
						time.Sleep(time.Duration(n%9) * time.Millisecond)
					}
				})
			}
			wg.Wait()
			l.eventually("after the race")
			l.end()
			found := tokensIn(l.project, l.mirror, filepath.Dir(filepath.Dir(l.m.Session.Dir())))
			for tok := range lg.made {
				if !lg.gone[tok] && !found[tok] && !lg.excuse["f"] {
					t.Errorf("%s is lost", tok)
				}
			}
		})
	}
}

func saveOver(t *testing.T, path, content string) {
	if err := errors.Join(os.WriteFile(path+".new", []byte(content), 0o644), os.Rename(path+".new", path)); err != nil {
		t.Error(err)
	}
}

// A directory turns into a link to outside and back, on both sides, while files in it change.
func TestLiveDirectoriesThatBecomeLinksLeadNowhere(t *testing.T) {
	t.Parallel()
	l := newLive(t, "d/f = inside", "a = 1")
	outside := t.TempDir()
	l.must(os.WriteFile(filepath.Join(outside, "f"), []byte("OUTSIDE"), 0o644))
	l.must(os.WriteFile(filepath.Join(outside, "g"), []byte("OUTSIDE"), 0o644))
	before := treeOf(outside, l.m.Policy)
	stop := spin(filepath.Join(l.mirror, "d"), "INERT")
	quit := make(chan struct{})
	var wg sync.WaitGroup
	for i, top := range []string{l.project, l.mirror} {
		away := filepath.Join(t.TempDir(), "away")
		wg.Go(func() {
			d := filepath.Join(top, "d")
			for n := 0; ; n++ {
				select {
				case <-quit:
					return
				default:
				}
				_ = os.Rename(d, away)
				_ = os.Symlink(outside, d)
				_ = os.WriteFile(filepath.Join(top, "a"), fmt.Appendf(nil, "%d %d", i, n), 0o644)
				_ = os.Remove(d)
				if err := os.Rename(away, d); err != nil { // syncing has made one meanwhile
					_ = os.RemoveAll(away)
				}
				_ = os.WriteFile(filepath.Join(away+"x"), nil, 0o644)
				_ = saveQuietly(filepath.Join(d, "f"), fmt.Sprintf("inside %d %d", i, n))
			}
		})
	}
	time.Sleep(time.Duration(*liveScale) * 2 * time.Second)
	close(quit)
	wg.Wait()
	stop()
	l.reconcile()
	for dir, name := range map[string]string{l.project: "project", l.mirror: "mirror", filepath.Dir(filepath.Dir(l.m.Session.Dir())): "store"} {
		_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				if data, _ := os.ReadFile(p); bytes.Contains(data, []byte("OUTSIDE")) {
					t.Errorf("content from outside in the %s: %s", name, p)
				}
			}
			return nil
		})
	}
	// The racer itself may have written through its own link; syncing writes no other names and removes none.
	after := treeOf(outside, l.m.Policy)
	for p := range after {
		if before[p] == "" {
			t.Errorf("%s was made outside", p)
		}
	}
	for p := range before {
		if after[p] == "" {
			t.Errorf("%s was removed outside", p)
		}
	}
}

// saveQuietly writes only into a directory that is none by link.
func saveQuietly(path, content string) error {
	fd, err := unix.Open(filepath.Dir(path), unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	f, err := unix.Openat(fd, filepath.Base(path), unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	defer unix.Close(f)
	_, err = unix.Write(f, []byte(content))
	return err
}

// A file that is written slowly comes whole when it is closed.
func TestLiveSlowlyWrittenFileArrivesWhole(t *testing.T) {
	t.Parallel()
	for _, side := range []string{"project", "mirror"} {
		t.Run(side, func(t *testing.T) {
			t.Parallel()
			l := newLive(t, "slow = 0")
			from, to := l.mirror, l.project
			if side == "project" {
				from, to = to, from
			}
			f, err := os.Create(filepath.Join(from, "slow"))
			l.must(err)
			for i := range 6 {
				_, err := fmt.Fprintf(f, "part %d\n", i)
				l.must(err)
				time.Sleep(300 * time.Millisecond)
				if got := read(t, filepath.Join(to, "slow")); got != "0" {
					t.Errorf("after part %d: %q has crossed", i, got)
				}
			}
			l.must(f.Close())
			l.eventually("after the close")
			if got := read(t, filepath.Join(to, "slow")); !strings.HasSuffix(got, "part 5\n") {
				t.Errorf("%q", got)
			}
		})
	}
}

// A store into a page that was carried moves no time of the file.
func TestLiveStoreIntoAMappedPageAfterItWasCarriedIsNotLost(t *testing.T) {
	t.Parallel()
	for _, side := range []string{"project", "mirror"} {
		t.Run(side, func(t *testing.T) {
			t.Parallel()
			l := newLive(t, "db = "+strings.Repeat("0", 4096))
			from, to := l.mirror, l.project
			if side == "project" {
				from, to = to, from
			}
			f, err := os.OpenFile(filepath.Join(from, "db"), os.O_RDWR, 0)
			l.must(err)
			mem, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			l.must(err)
			copy(mem, "first")
			time.Sleep(1500 * time.Millisecond)
			l.reconcile()
			copy(mem, "after")
			l.must(unix.Munmap(mem))
			l.must(f.Close())
			l.end()
			if got := read(t, filepath.Join(to, "db")); !strings.HasPrefix(got, "after") {
				t.Errorf("%.20q", got)
			}
		})
	}
}

func TestLiveCallsFromManySidesEndWithStop(t *testing.T) {
	l := newLive(t, "a = 1", "b/c = 2")
	ignore := goleak.IgnoreCurrent()
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			for range 30 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+i)*10*time.Millisecond)
				switch i % 4 {
				case 0:
					_, _ = l.s.Reconcile(ctx)
				case 1:
					_, _ = l.s.Flush(ctx)
				case 2:
					_ = l.s.Ready(ctx)
				case 3:
					_ = l.s.Healthy()
					_ = os.WriteFile(filepath.Join(l.mirror, fmt.Sprint("n", i)), nil, 0o644)
				}
				cancel()
			}
		})
	}
	time.Sleep(100 * time.Millisecond)
	type end struct {
		drained bool
		err     error
		n       int
	}
	ends := make([]end, 3)
	for i := range ends {
		wg.Go(func() {
			c, drained, err := l.s.Stop(context.Background())
			ends[i] = end{drained, err, len(c.ToProject)}
		})
	}
	wg.Wait()
	if !ends[0].drained || ends[0].err != nil || ends[0] != ends[1] || ends[1] != ends[2] {
		t.Errorf("Stop: %+v", ends)
	}
	for what, err := range map[string]error{"Reconcile": second(l.s.Reconcile(t.Context())), "Flush": second(l.s.Flush(t.Context()))} {
		if !errors.Is(err, autosync.ErrStopped) {
			t.Errorf("%s after Stop: %v", what, err)
		}
	}
	goleak.VerifyNone(t, ignore)
}

func second(_ int, err error) error { return err }

func TestLiveTellsEachCauseOnce(t *testing.T) {
	t.Parallel()
	l := newLive(t, ".agentignore = hid", ".agentreadonly = ro", "ro = r", "a = 1", "hid = h")
	l.write(l.mirror, "hid", "agent's")
	l.must(os.Remove(filepath.Join(l.mirror, "ro")))
	l.write(l.mirror, "ro", "agent's")
	l.must(os.Rename(filepath.Join(l.mirror, "a"), filepath.Join(l.mirror, "hid2")))
	l.must(os.Symlink("/etc/passwd", filepath.Join(l.mirror, "link")))
	for range 5 {
		l.reconcile()
		l.write(l.mirror, "hid", "agent's again")
	}
	var got []string
	for e := range drain(l.events) {
		if slices.Contains([]autosync.EventType{autosync.Refused, autosync.Held, autosync.Orphan, autosync.Ready, autosync.Degraded, autosync.Healthy}, e.Type) {
			got = append(got, string(e.Type)+" "+string(e.Path))
		}
	}
	slices.Sort(got)
	got = slices.Compact(got) // a file is restored each time that it is touched
	want := []string{"orphan hid", "ready ", "refused link", "refused ro"}
	if !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}
