//go:build linux

package safety

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// racer swaps root/d, a directory, with root/alt, a link to outside (or to another directory of the root), as fast as
// it can.
type racer struct {
	stop  atomic.Bool
	swaps int
	wg    sync.WaitGroup
}

func startRacer(a, b string) *racer {
	r := &racer{}
	r.wg.Go(func() {
		for !r.stop.Load() {
			if unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE) == nil {
				r.swaps++
			}
		}
	})
	return r
}

func (r *racer) end() int {
	r.stop.Store(true)
	r.wg.Wait()
	return r.swaps
}

// fingerprint is all that an attack could change in a tree: names, modes, times, content, links.
func fingerprint(t *testing.T, dir string) string {
	var out strings.Builder
	must(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		must(t, err)
		var st unix.Stat_t
		must(t, unix.Lstat(path, &st))
		fmt.Fprintf(&out, "%s %v %d %d %d", path, info.Mode(), st.Nlink, st.Uid, info.ModTime().UnixNano())
		if info.Mode().IsRegular() {
			fmt.Fprintf(&out, " %q", read(t, path))
		}
		out.WriteByte('\n')
		return nil
	}))
	return out.String()
}

// mutations are all operations that change something, each on paths below d.
func (b *bench) mutations() map[string]func() {
	r, s := b.root, b.store
	seq := func() uint64 { b.seq++; return b.seq }
	ctx := context.Background()
	src := b.src("agent's")
	return map[string]func(){
		"replace": func() {
			now, _ := r.Lstat("d/f")
			if st, err := s.StageReplacement(ctx, seq(), src, Shape{Mode: 0o755}, "d/f", now); err == nil {
				s.Place(st)
				st.Discard()
			}
		},
		"replace, outside's stamp": func() {
			var st unix.Stat_t
			unix.Stat(b.base+"/outside/f", &st)
			if staged, err := s.StageReplacement(ctx, seq(), src, Shape{Mode: 0o755}, "d/f", infoOf(&st)); err == nil {
				b.t.Errorf("outside's file was taken for the target")
				staged.Discard()
			}
		},
		"in place": func() {
			now, _ := r.Lstat("d/hard")
			if st, err := s.StageReplacement(ctx, seq(), src, Shape{Mode: 0o644}, "d/hard", now); err == nil {
				s.Place(st)
				st.Discard()
			}
		},
		"create": func() {
			if st, err := s.StageNew(ctx, seq(), src, Shape{Mode: 0o644}, RelPath(fmt.Sprintf("d/new%d", b.seq))); err == nil {
				s.Place(st)
				st.Discard()
			}
		},
		"link": func() {
			if st, err := s.StageLink(seq(), "x", RelPath(fmt.Sprintf("d/link%d", b.seq)), Info{}); err == nil {
				s.Place(st)
				st.Discard()
			}
		},
		"delete": func() {
			now, _ := r.Lstat("d/sub/victim")
			n := seq()
			if _, err := s.Delete(n, "d/sub/victim", now); err == nil {
				s.Restore(n, "d/sub/victim")
			}
		},
		"mkdir, rmdir": func() { r.Mkdir("d/dir", 0o755); r.Rmdir("d/dir") },
		"chmod": func() {
			for _, p := range []RelPath{"d/f", "d/sub", "d"} {
				now, _ := r.Lstat(p)
				r.Chmod(p, now, 0o700)
			}
		},
		"times": func() { r.SetTimes("d/f", 12345); r.SetTimes("d/sub", 12345) },
		"handle": func() {
			d, err := r.OpenDir("d/sub")
			if err != nil {
				return
			}
			defer d.Close()
			if f, err := d.Create("made", 0o600); err == nil {
				f.WriteString("x")
				f.Close()
				s.Delete(seq(), "d/sub/made", Info{})
			}
			d.SetTimes("victim", 5)
			d.Chmod(0o750)
		},
		"read": func() {
			if f, _, err := r.Open("d/f"); err == nil {
				buf := make([]byte, 16)
				n, _ := f.Read(buf)
				f.Close()
				if string(buf[:n]) == "outside" {
					b.t.Error("outside's content was read")
				}
			}
		},
	}
}

func TestRacingSwapsChangeNothingOutside(t *testing.T) {
	for name, s := range map[string]sys{"best": {}, "walk, no exchange": {noOpenat2: true, noExchange: true, noReplace: true, noTmpfile: true}} {
		for _, where := range []string{"outside", "inside"} {
			t.Run(name+"/"+where, func(t *testing.T) {
				b := newBench(t, s)
				target := b.base + "/outside"
				if where == "inside" { // os.Root alone would follow this one
					target = b.dir + "/hidden"
				}
				write(t, target+"/f", "outside")
				write(t, target+"/hard", "outside")
				write(t, target+"/sub/victim", "outside")
				must(t, os.Link(target+"/hard", target+"/hard2"))
				write(t, b.dir+"/d/f", "inside")
				write(t, b.dir+"/d/hard", "inside")
				write(t, b.dir+"/d/sub/victim", "inside")
				must(t, os.Link(b.dir+"/d/hard", b.dir+"/hard2"))
				must(t, os.Symlink(target, b.dir+"/alt"))
				before := fingerprint(t, target)
				r := startRacer(b.dir+"/d", b.dir+"/alt")
				muts := b.mutations()
				rounds := 0
				for end := time.Now().Add(raceTime()); time.Now().Before(end); rounds++ {
					for _, m := range muts {
						m()
					}
				}
				swaps := r.end()
				if after := fingerprint(t, target); after != before {
					t.Errorf("changed outside:\n%s\nbefore:\n%s", after, before)
				}
				if swaps < 1000 || rounds < 5 {
					t.Errorf("too little happened: %d swaps, %d rounds", swaps, rounds)
				}
				t.Logf("%d swaps, %d rounds of %d operations", swaps, rounds, len(muts))
			})
		}
	}
}

// raceTime is how long a race runs; ALCA_LONG makes it long.
func raceTime() time.Duration {
	if os.Getenv("ALCA_LONG") != "" {
		return 10 * time.Second
	}
	return 700 * time.Millisecond
}

func TestRacingSwapsDuringRemovalRemoveNothingOutside(t *testing.T) {
	for name, s := range map[string]sys{"best": {}, "walk": {noOpenat2: true}} {
		t.Run(name, func(t *testing.T) {
			swaps := 0
			for range int(raceTime() / (100 * time.Millisecond)) {
				base := t.TempDir()
				for i := range 40 {
					write(t, fmt.Sprintf("%s/outside/d%d/f", base, i), "outside")
					write(t, fmt.Sprintf("%s/m/d/d%d/f", base, i), "x")
				}
				must(t, os.Symlink(base+"/outside", base+"/m/alt"))
				root, err := openRoot(base+"/m", s)
				must(t, err)
				must(t, WriteMarker(root, "s"))
				before := fingerprint(t, base+"/outside")
				r := startRacer(base+"/m/d", base+"/m/alt")
				for try := 0; try < 50; try++ {
					if err = RemoveMirror(context.Background(), root, "s"); err == nil {
						break
					}
				}
				swaps += r.end()
				root.Close()
				if after := fingerprint(t, base+"/outside"); after != before {
					t.Fatalf("changed outside:\n%s", after)
				}
				if err != nil {
					t.Errorf("the mirror could not be removed: %v", err)
				}
			}
			t.Logf("%d swaps", swaps)
		})
	}
}

// A full disk: the target is as it was, nothing is left in the store, and what fits still goes.
func TestFullDiskLeavesTheTarget(t *testing.T) {
	needRoot(t)
	for name, s := range map[string]sys{"exchange": {}, "rename away": {noExchange: true, noTmpfile: true}} {
		base := t.TempDir() + "/small"
		mount(t, "tmpfs", base, "tmpfs", 0, "size=1m,mode=755")
		b := newBenchAt(t, base, s)
		old := strings.Repeat("old ", 100_000)
		write(t, b.dir+"/f", old)
		write(t, b.dir+"/linked", "old")
		must(t, os.Link(b.dir+"/linked", b.dir+"/other"))
		src := filepath.Join(t.TempDir(), "src")
		write(t, src, strings.Repeat("new ", 200_000))
		f, err := os.Open(src)
		must(t, err)
		defer f.Close()
		ctx := context.Background()
		for _, p := range []RelPath{"f", "linked"} {
			if _, err := b.store.StageReplacement(ctx, 1, f, Shape{}, p, b.look(p)); !errors.Is(err, unix.ENOSPC) {
				t.Errorf("%s: stage %s: %v", name, p, err)
			}
		}
		if _, err := b.store.StageNew(ctx, 2, f, Shape{Mode: 0o644}, "new"); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%s: stage new: %v", name, err)
		}
		if read(t, b.dir+"/f") != old || read(t, b.dir+"/linked") != "old" || b.look("new").Kind != Absent {
			t.Errorf("%s: a target changed", name)
		}
		b.storeIsEmpty()
		// In place, with the room gone only after staging: the old content is still there.
		must(t, os.Truncate(src, 300_000))
		st, err := b.store.StageReplacement(ctx, 3, f, Shape{}, "linked", b.look("linked"))
		must(t, err)
		if st.Placing() != InPlace {
			t.Errorf("%s: %v", name, st.Placing())
		}
		fill, _ := os.Create(base + "/fill")
		for {
			if _, err := fill.Write(make([]byte, 4096)); err != nil {
				break
			}
		}
		fill.Close()
		if _, err := b.store.Place(st); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%s: place in place: %v", name, err)
		}
		must(t, st.Discard())
		if read(t, b.dir+"/linked") != "old" || read(t, b.dir+"/other") != "old" {
			t.Errorf("%s: the rewritten file is torn", name)
		}
		b.storeIsEmpty()
	}
}

// A size limit (ulimit -f) gives EFBIG and no signal that ends us: Go's runtime catches SIGXFSZ. It is set in a child.
func TestSizeLimitLeavesTheTarget(t *testing.T) {
	if dir := os.Getenv("ALCA_TEST_FSIZE"); dir != "" {
		b := newBenchAt(t, dir, sys{})
		src := b.src(strings.Repeat("new ", 100_000))
		must(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 64 << 10, Max: 64 << 10}))
		for i, p := range []RelPath{"f", "linked"} {
			_, err := b.store.StageReplacement(context.Background(), uint64(i), src, Shape{}, p, b.look(p))
			if !errors.Is(err, unix.EFBIG) {
				t.Errorf("stage %s: %v", p, err)
			}
		}
		if _, err := b.store.StageNew(context.Background(), 3, src, Shape{}, "n"); !errors.Is(err, unix.EFBIG) {
			t.Errorf("stage new: %v", err)
		}
		b.storeIsEmpty()
		return
	}
	base := t.TempDir()
	write(t, base+"/root/f", "old")
	write(t, base+"/root/linked", "old")
	must(t, os.Link(base+"/root/linked", base+"/root/other"))
	child := exec.Command(os.Args[0], "-test.run=^TestSizeLimitLeavesTheTarget$")
	child.Env = append(os.Environ(), "ALCA_TEST_FSIZE="+base)
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("child: %v\n%s", err, out)
	}
	if read(t, base+"/root/f") != "old" || read(t, base+"/root/linked") != "old" {
		t.Error("a target changed")
	}
}

// bindfs has no exchange and no no-replace: the fallbacks on a real file system.
func TestStoreWorksOnFUSE(t *testing.T) {
	needRoot(t)
	if _, err := exec.LookPath("bindfs"); err != nil {
		t.Skip("needs bindfs")
	}
	under, on := t.TempDir(), t.TempDir()
	if out, err := exec.Command("bindfs", under, on).CombinedOutput(); err != nil {
		t.Skipf("bindfs: %v %s", err, out)
	}
	t.Cleanup(func() { must(t, unix.Unmount(on, unix.MNT_DETACH)) })
	b := newBenchAt(t, on, sys{})
	t.Log("places by", b.store.Placing())
	if b.store.Placing() != RenameAway {
		t.Log("this bindfs can exchange")
	}
	write(t, b.dir+"/f", "old")
	out, err := b.replace("f", "new")
	must(t, err)
	if read(t, b.dir+"/f") != "new" || read(t, out.Slot) != "old" || !out.Expected {
		t.Errorf("displaced %+v", out)
	}
	st, err := b.store.StageNew(context.Background(), 7, b.src("made"), Shape{Mode: 0o640}, "n")
	must(t, err)
	_, err = b.store.Place(st)
	must(t, err)
	must(t, st.Discard())
	// The kernel caches a path's ctime for a second here, so stamps of descriptor and path may differ by it.
	if now := b.look("n"); read(t, b.dir+"/n") != "made" || now.Mode != 0o640 || !sameVersion(st.Info(), now) {
		t.Errorf("made %+v, stamp %+v", now, st.Info())
	}
	st, err = b.store.StageNew(context.Background(), 8, b.src("over"), Shape{Mode: 0o640}, "n2")
	must(t, err)
	write(t, b.dir+"/n2", "user's")
	if _, err := b.store.Place(st); !errors.Is(err, ErrChanged) || read(t, b.dir+"/n2") != "user's" {
		t.Errorf("place over a new file: %v", err)
	}
	must(t, st.Discard())
	_, err = b.store.Delete(9, "n", b.look("n"))
	must(t, err)
	must(t, b.store.Restore(9, "n"))
	if read(t, b.dir+"/n") != "made" {
		t.Error("not restored")
	}
}

// A store on another mount of the same device would look right by st_dev alone.
func TestStoreAcrossABindMountIsRefused(t *testing.T) {
	needRoot(t)
	base := t.TempDir()
	must(t, os.MkdirAll(base+"/real", 0o755))
	mount(t, base+"/real", base+"/root", "", unix.MS_BIND, "")
	r, err := OpenRoot(base + "/root")
	must(t, err)
	defer r.Close()
	s, err := OpenStore(r, true, "s", base+"/store")
	must(t, err)
	defer s.Close()
	if s.Path() != base+"/root/.alca-mount-store/s" || s.Placing() != Exchange || !Reserved(".alca-mount-store") {
		t.Errorf("store at %s, %v", s.Path(), s.Placing())
	}
	if _, err := os.Stat(base + "/store"); !os.IsNotExist(err) {
		t.Error("the refused folder is left")
	}
}

// A bind-mounted file, or a subdirectory on another mount, has no rename into the store: it is rewritten in place.
func TestMountsInsideTheRootAreWritten(t *testing.T) {
	needRoot(t)
	b := newBench(t, sys{})
	write(t, b.base+"/elsewhere/f", "old")
	write(t, b.base+"/file", "old")
	write(t, b.dir+"/file", "under")
	mount(t, b.base+"/elsewhere", b.dir+"/sub", "", unix.MS_BIND, "")
	must(t, unix.Mount(b.base+"/file", b.dir+"/file", "", unix.MS_BIND, ""))
	defer unix.Unmount(b.dir+"/file", unix.MNT_DETACH)
	for _, p := range []RelPath{"sub/f", "file"} {
		out, err := b.replace(p, "new")
		if err != nil || read(t, b.dir+"/"+string(p)) != "new" || read(t, out.Slot) != "old" {
			t.Errorf("%s: %+v, %v", p, out, err)
		}
	}
	st, err := b.store.StageNew(context.Background(), 9, b.src("made"), Shape{Mode: 0o644}, "sub/n")
	must(t, err)
	_, err = b.store.Place(st)
	must(t, err)
	must(t, st.Discard())
	if read(t, b.base+"/elsewhere/n") != "made" {
		t.Error("not made")
	}
}
