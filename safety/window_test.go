//go:build linux

package safety

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Each test here steps into one window between two calls, by the label of the second.

// once makes a hook that calls do at the first call labelled op after it was armed.
func once(op Op, do func()) (before Before, arm func()) {
	armed := false
	return func(o Op, _ string) error {
		if armed && o == op {
			armed = false
			do()
		}
		return nil
	}, func() { armed = true }
}

func TestOpenDoesNotFollowALinkThatCameAfterTheLook(t *testing.T) {
	base := t.TempDir()
	write(t, base+"/secret", "secret")
	write(t, base+"/root/f", "x")
	write(t, base+"/root/hidden", "hidden")
	for _, to := range []string{"../secret", "hidden"} {
		before, arm := once(OpFileOpen, func() {
			must(t, os.Symlink(to, base+"/root/l"))
			must(t, os.Rename(base+"/root/l", base+"/root/f"))
		})
		r, err := OpenRootWith(base+"/root", before)
		must(t, err)
		arm()
		if f, _, err := r.Open("f"); !errors.Is(err, ErrNotRegular) {
			t.Errorf("opened %v, %v", f, err)
		}
		must(t, r.Close())
		must(t, os.Remove(base+"/root/f"))
		write(t, base+"/root/f", "x")
	}
}

func TestOpenDoesNotWaitForAFifoThatCameAfterTheLook(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/f", "x")
	before, arm := once(OpFileOpen, func() {
		must(t, os.Remove(dir+"/f"))
		must(t, unix.Mkfifo(dir+"/f", 0o600))
	})
	r, err := OpenRootWith(dir, before)
	must(t, err)
	defer r.Close()
	arm()
	done := make(chan error, 1)
	go func() {
		_, _, err := r.Open("f")
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, ErrNotRegular) {
			t.Errorf("Open: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("Open waits for somebody to write into the FIFO")
		f, err := os.OpenFile(dir+"/f", os.O_RDWR, 0) // lets it go
		must(t, err)
		f.Close()
	}
}

func TestSpecialsAreNotEvenOpened(t *testing.T) {
	dir := t.TempDir()
	makeSpecials(t, dir)
	r, err := OpenRootWith(dir, func(op Op, name string) error {
		if op == OpFileOpen {
			t.Errorf("%s was opened", name)
		}
		return nil
	})
	must(t, err)
	defer r.Close()
	list, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range list {
		r.Open(Top.Join(e.Name()))
	}
}

// A write that fails half-way through a file that keeps its inode.
func TestFailedRewriteBringsTheOldContentBack(t *testing.T) {
	failing := 0
	b := newBench(t, sys{before: func(op Op, _ string) error {
		if op == OpInWrite && failing > 0 {
			if failing--; failing == 0 {
				return unix.EIO
			}
		}
		return nil
	}})
	old := strings.Repeat("old!", 200_000)
	write(t, b.dir+"/f", old)
	must(t, os.Link(b.dir+"/f", b.dir+"/g"))
	for _, size := range []int{100_000, 400_000} { // shorter and longer than the old one
		was := b.look("f")
		st, err := b.stage("f", strings.Repeat("new.", size), 0o644)
		must(t, err)
		failing = 2
		if out, err := b.store.Place(st); !errors.Is(err, unix.EIO) || out != (Displaced{}) {
			t.Errorf("Place: %+v, %v", out, err)
		}
		must(t, st.Discard())
		if now := b.look("f"); read(t, b.dir+"/g") != old || now.Mtime != was.Mtime || !now.SameFile(was) {
			t.Errorf("after the failure: %+v, was %+v", now, was)
		}
		b.storeIsEmpty()
	}
}

// Undoing fails too: both versions stay in the store, and the error says where.
func TestTornRewriteKeepsBothVersions(t *testing.T) {
	armed := false
	b := newBench(t, sys{before: func(op Op, _ string) error {
		if armed && (op == OpInWrite || op == OpInUndo) {
			return unix.EIO
		}
		return nil
	}})
	write(t, b.dir+"/f", "old")
	must(t, os.Link(b.dir+"/f", b.dir+"/g"))
	st, err := b.stage("f", "new", 0o644)
	must(t, err)
	armed = true
	out, err := b.store.Place(st)
	if !errors.Is(err, unix.EIO) || !strings.Contains(err.Error(), out.Slot) {
		t.Errorf("Place: %+v, %v", out, err)
	}
	must(t, st.Discard())
	if read(t, out.Slot) != "old" || read(t, b.store.StagePath(st.Seq())) != "new" {
		t.Error("a version is gone")
	}
}

func TestRewriteSeesASameSizeWriteWithMtimePutBack(t *testing.T) {
	b := newBench(t, sys{})
	write(t, b.dir+"/f", "old")
	must(t, os.Link(b.dir+"/f", b.dir+"/g"))
	st, err := b.stage("f", "new", 0o644)
	must(t, err)
	sneak(t, b.dir+"/f")
	if _, err := b.store.Place(st); !errors.Is(err, ErrChanged) || read(t, b.dir+"/f") != "OLD" {
		t.Errorf("Place: %v, path holds %q", err, read(t, b.dir+"/f"))
	}
	must(t, st.Discard())
	b.storeIsEmpty()
}

// A directory came out; before it is exchanged back, the user saves over the file that we placed for an instant.
func TestASaveDuringTheExchangeBackIsKept(t *testing.T) {
	var path string
	step := Op("")
	b := newBench(t, sys{before: func(op Op, _ string) error {
		if op != step {
			return nil
		}
		if op == OpExchange {
			step = OpPutBack
			os.Remove(path)
			os.Mkdir(path, 0o755)
			return nil
		}
		step = ""
		os.WriteFile(path+"~", []byte("user's"), 0o644)
		os.Rename(path+"~", path)
		return nil
	}})
	path = b.dir + "/f"
	write(t, path, "old")
	st, err := b.stage("f", "new", 0o644)
	must(t, err)
	step = OpExchange
	out, err := b.store.Place(st)
	if !errors.Is(err, ErrChanged) || out.Slot == "" || out.Expected {
		t.Fatalf("Place: %+v, %v", out, err)
	}
	must(t, st.Discard())
	if info, _ := os.Stat(path); !info.IsDir() || read(t, out.Slot) != "user's" {
		t.Errorf("slot holds %q", read(t, out.Slot))
	}
}

// The same, but the user writes into our own inode: Discard must not take it for ours.
func TestAWriteIntoThePlacedFileDuringTheExchangeBackIsKept(t *testing.T) {
	var path string
	step := Op("")
	b := newBench(t, sys{before: func(op Op, _ string) error {
		if op != step {
			return nil
		}
		if op == OpExchange {
			step = OpPutBack
			os.Remove(path)
			os.Mkdir(path, 0o755)
			return nil
		}
		step = ""
		os.WriteFile(path, []byte("user's edit of the new one"), 0o644)
		return nil
	}})
	path = b.dir + "/f"
	write(t, path, "old")
	st, err := b.stage("f", "new", 0o644)
	must(t, err)
	step = OpExchange
	out, err := b.store.Place(st)
	must(t, st.Discard())
	if !errors.Is(err, ErrChanged) || read(t, out.Slot) != "user's edit of the new one" {
		t.Errorf("Place: %+v, %v", out, err)
	}
}

func TestDiscardRemovesOnlyItsOwn(t *testing.T) {
	b := newBench(t, sys{})
	write(t, b.dir+"/f", "old")
	st, err := b.stage("f", "new", 0o644)
	must(t, err)
	write(t, b.base+"/other", "somebody's")
	must(t, os.Rename(b.base+"/other", b.store.SlotPath(st.Seq())))
	must(t, st.Discard())
	if read(t, b.store.SlotPath(st.Seq())) != "somebody's" {
		t.Error("another version was removed")
	}
}

// TakeBack, and somebody writes into the placed file before it comes out: that edit is the only copy.
func TestTakeBackKeepsAnEditOfThePlacedFile(t *testing.T) {
	var path string
	armed := false
	b := newBench(t, sys{before: func(op Op, _ string) error {
		if armed && op == OpTakeBack {
			armed = false
			os.WriteFile(path, []byte("an edit of the new one"), 0o644)
		}
		return nil
	}})
	path = b.dir + "/f"
	write(t, path, "old")
	st, err := b.stage("f", "new", 0o644)
	must(t, err)
	_, err = b.store.Place(st)
	must(t, err)
	armed = true
	err = b.store.TakeBack(st)
	must(t, st.Discard())
	if !errors.Is(err, ErrChanged) || read(t, path) != "old" || read(t, b.store.SlotPath(st.Seq())) != "an edit of the new one" {
		t.Errorf("TakeBack: %v", err)
	}
}
