package watch

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/alca-mount/alca-mount/safety"
	"golang.org/x/sys/unix"
)

// rounds is n, or what the environment asks for.
func rounds(n int) int {
	if long, err := strconv.Atoi(os.Getenv("ALCA_TEST_WATCH_ROUNDS")); err == nil {
		return long
	}
	return n
}

// TestRandomMovesKeepPathsRight lets several writers make, move, exchange and remove directories at once, in and out of
// the tree and to unwanted names. When they are done each directory that is there is watched and known by its path,
// and nothing else is watched.
func TestRandomMovesKeepPathsRight(t *testing.T) {
	for seed := range uint64(rounds(25)) {
		outside := quickDir(t)
		r := watchTree(t, Inotify, nil)
		var writers sync.WaitGroup
		for n := range uint64(3) {
			writers.Go(func() { churn(rand.New(rand.NewPCG(seed, n)), r.dir, outside, 200) })
		}
		writers.Wait()
		r.forget()
		checkWatched(t, seed, r)
		r.w.Close()
		if t.Failed() {
			return
		}
	}
}

func churn(rnd *rand.Rand, dir, outside string, steps int) {
	some := func() string {
		names := []string{"a", "b", "c", "hidden"}
		p := dir
		if rnd.IntN(8) == 0 {
			p = outside
		}
		for range 1 + rnd.IntN(3) {
			p = filepath.Join(p, names[rnd.IntN(len(names))])
		}
		return p
	}
	for range steps { // what can't be done is not done
		switch rnd.IntN(6) {
		case 0, 1:
			os.MkdirAll(some(), 0o755)
		case 2:
			os.Rename(some(), some())
		case 3:
			unix.Renameat2(unix.AT_FDCWD, some(), unix.AT_FDCWD, some(), unix.RENAME_EXCHANGE)
		case 4:
			os.RemoveAll(some())
		case 5:
			os.WriteFile(filepath.Join(some(), "f"), nil, 0o644)
		}
	}
}

func checkWatched(t *testing.T, seed uint64, r *rig) {
	t.Helper()
	var files []string
	got := watchedInodes(t)
	delete(got, inode(t, filepath.Dir(r.dir)))
	filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if !d.IsDir() {
			return nil
		}
		if rel, _ := filepath.Rel(r.dir, path); !wanted(safety.RelPath(rel)) {
			return fs.SkipDir
		}
		if got[inode(t, path)] != 1 {
			t.Errorf("seed %d: %s is not watched", seed, path)
		}
		delete(got, inode(t, path))
		file := filepath.Join(path, "probe")
		write(t, file, "x")
		rel, _ := filepath.Rel(r.dir, file)
		files = append(files, rel)
		return nil
	})
	if len(got) > 0 {
		t.Errorf("seed %d: inodes %v are watched too", seed, got)
	}
	r.hinted(Settled, files...)
	for p := range r.seen {
		if strings.HasSuffix(string(p), "/probe") {
			if _, err := os.Lstat(r.path(string(p))); err != nil {
				t.Errorf("seed %d: hint at a wrong path: %v", seed, err)
			}
		}
	}
}

// TestNoWatchLeadsOutside sets watches while another process swaps a directory and a link to the outside.
func TestNoWatchLeadsOutside(t *testing.T) {
	outside := quickDir(t)
	must(t, os.MkdirAll(filepath.Join(outside, "sub"), 0o755))
	r := watchTree(t, Inotify, func(dir string) {
		os.MkdirAll(filepath.Join(dir, "d/sub"), 0o755)
		os.Symlink(outside, filepath.Join(dir, "swap"))
	})
	stop := make(chan struct{})
	var racer sync.WaitGroup
	racer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, r.path("d"), unix.AT_FDCWD, r.path("swap"), unix.RENAME_EXCHANGE)
			}
		}
	})
	bad := map[uint64]string{inode(t, outside): "the link's target", inode(t, filepath.Join(outside, "sub")): "below the link"}
	for range rounds(2000) {
		for _, p := range []safety.RelPath{"d", "d/sub", "swap", "swap/sub"} {
			r.w.Add(p)
		}
	}
	close(stop)
	racer.Wait()
	for ino := range watchedInodes(t) {
		if what := bad[ino]; what != "" {
			t.Errorf("%s is watched", what)
		}
	}
}

func TestDirsFindTheirPaths(t *testing.T) {
	for seed := range uint64(500) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		d := newDirs()
		d.place(safety.Top, 1, inodeID{})
		at := map[int32]safety.RelPath{1: safety.Top} // the naive model
		for wd := int32(2); wd < 60; wd++ {
			moved := wd
			if rnd.IntN(3) == 0 {
				moved = 2 + rnd.Int32N(58)
			}
			p := randomPath(rnd)
			own, known := at[moved]
			dropped, placed := d.place(p, moved, inodeID{})
			if below := known && p != own && p.In(own); placed == below {
				t.Fatalf("seed %d: %q placed at %q: %v", seed, own, p, placed)
			}
			if placed {
				modelMove(at, own, known, p, moved)
			}
			for wd, want := range at {
				if got := d.path(d.byWD[wd]); got != want || d.at(want).wd != wd {
					t.Fatalf("seed %d: watch %d is at %q, want %q", seed, wd, got, want)
				}
			}
			for _, wd := range dropped {
				if p, ok := at[wd]; ok {
					t.Fatalf("seed %d: %q was dropped", seed, p)
				}
			}
			if len(d.byWD) != len(at) {
				t.Fatalf("seed %d: %d watches, want %d", seed, len(d.byWD), len(at))
			}
		}
	}
}

func randomPath(rnd *rand.Rand) safety.RelPath {
	p := safety.Top
	for range 1 + rnd.IntN(3) {
		p = p.Join(fmt.Sprint(rnd.IntN(4)))
	}
	return p
}

// modelMove moves own, with all below, to p; what was at p, with all below, is dropped.
func modelMove(at map[int32]safety.RelPath, own safety.RelPath, known bool, p safety.RelPath, wd int32) {
	if known && own == p {
		return
	}
	next := map[int32]safety.RelPath{}
	fills := !known && !slices.Contains(slices.Collect(maps.Values(at)), p) // a place that was known only by what is below
	for w, q := range at {
		switch {
		case known && q.In(own):
			next[w] = p + q[len(own):]
		case fills || !q.In(p):
			next[w] = q
		}
	}
	clear(at)
	for w, q := range next {
		at[w] = q
	}
	at[wd] = p
}

func TestEventsOfCutOffBufferEnd(t *testing.T) {
	buf := []byte{1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 'f', 0}
	for n := range buf {
		if e, _, ok := next(buf[:n]); ok {
			t.Errorf("%d bytes: %+v", n, e)
		}
	}
}
