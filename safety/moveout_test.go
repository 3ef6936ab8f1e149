//go:build linux

package safety

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTakeBackGivesTheNewerVersionBack(t *testing.T) {
	for name, s := range map[string]sys{"exchange": {}, "rename away": {noExchange: true}, "rename and link": {noExchange: true, noReplace: true}} {
		t.Run(name, func(t *testing.T) {
			var armed atomic.Bool
			var path string
			s.before = func(op Op, _ string) error {
				if (op == OpExchange || op == OpTakeAway) && armed.Swap(false) {
					os.WriteFile(path+"~", []byte("agent's newer"), 0o644)
					os.Rename(path+"~", path)
				}
				return nil
			}
			b := newBench(t, s)
			path = b.dir + "/f"
			write(t, path, "old")
			st, err := b.stage("f", "project's", 0o644)
			must(t, err)
			armed.Store(true)
			out, err := b.store.Place(st)
			must(t, err)
			if out.Expected {
				t.Fatal("the save was not noticed")
			}
			must(t, b.store.TakeBack(st))
			if got := read(t, path); got != "agent's newer" {
				t.Errorf("path holds %q", got)
			}
			must(t, st.Discard())
			b.storeIsEmpty()
		})
	}
}

func TestTakeBackLeavesWhatSomebodyElsePut(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		path := b.dir + "/f"
		write(t, path, "old")
		st, err := b.stage("f", "ours", 0o644)
		must(t, err)
		out, err := b.store.Place(st)
		must(t, err)
		must(t, os.Remove(path))
		write(t, path, "newest")
		if err := b.store.TakeBack(st); !errors.Is(err, ErrChanged) {
			t.Errorf("err = %v", err)
		}
		must(t, st.Discard())
		if read(t, path) != "newest" || read(t, out.Slot) != "old" {
			t.Errorf("path %q, slot %q", read(t, path), read(t, out.Slot))
		}
	})
}

// Where there is no exchange the path is empty for an instant: what somebody saves or edits then stays.
func TestTakeBackByHandReplacesNothing(t *testing.T) {
	for what, do := range map[string]func(path string){
		"edited": func(path string) { os.WriteFile(path, []byte("newest of all"), 0o644) },
		"saved": func(path string) {
			os.WriteFile(path+"~", []byte("newest of all"), 0o644)
			os.Rename(path+"~", path)
		},
		"made anew": nil,
	} {
		for name, s := range map[string]sys{"noreplace": {noExchange: true}, "link": {noExchange: true, noReplace: true}} {
			t.Run(what+" "+name, func(t *testing.T) {
				var calls atomic.Int32
				calls.Store(-1000)
				var path string
				s.before = func(op Op, _ string) error {
					if op != OpTakeBack {
						return nil
					}
					n := calls.Add(1)
					if n == 2 && do != nil { // the look is the first
						do(path)
					}
					if _, err := os.Lstat(path); n > 2 && do == nil && err != nil {
						os.WriteFile(path, []byte("newest of all"), 0o644)
					}
					return nil
				}
				b := newBench(t, s)
				path = b.dir + "/f"
				write(t, path, "agent's newer")
				st, err := b.stage("f", "ours", 0o644)
				must(t, err)
				out, err := b.store.Place(st)
				must(t, err)
				calls.Store(0)
				if err := b.store.TakeBack(st); !errors.Is(err, ErrChanged) {
					t.Errorf("err = %v", err)
				}
				must(t, st.Discard())
				if read(t, path) != "newest of all" || read(t, out.Slot) != "agent's newer" {
					t.Errorf("path %q, slot %q", read(t, path), read(t, out.Slot))
				}
			})
		}
	}
}

func TestMoveOutTakesWholeDirectories(t *testing.T) {
	for _, where := range []string{"same mount", "other mount"} {
		t.Run(where, func(t *testing.T) {
			b := newBench(t, sys{})
			to := t.TempDir()
			if where == "other mount" {
				if os.Geteuid() != 0 {
					t.Skip("only root may mount")
				}
				must(t, unix.Mount("tmpfs", to, "tmpfs", 0, "size=1m"))
				t.Cleanup(func() { must(t, unix.Unmount(to, 0)) })
			}
			write(t, b.dir+"/d/shut/f", "content")
			must(t, os.Symlink("/etc/passwd", b.dir+"/d/link"))
			must(t, os.Chmod(b.dir+"/d/shut", 0o555))
			t.Cleanup(func() { os.Chmod(to+"/moved/shut", 0o755) })
			must(t, b.root.MoveOut(context.Background(), "d", rootAt(t, to), "moved"))
			if got := read(t, to+"/moved/shut/f"); got != "content" {
				t.Errorf("moved file holds %q", got)
			}
			if target, err := os.Readlink(to + "/moved/link"); target != "/etc/passwd" {
				t.Errorf("link -> %q, %v", target, err)
			}
			if info, err := b.root.Lstat("d"); err != nil || info.Kind != Absent {
				t.Errorf("still there: %+v, %v", info, err)
			}
		})
	}
}

func TestMoveOutNeverReplaces(t *testing.T) {
	for name, s := range map[string]sys{"noreplace": {}, "look": {noReplace: true}} {
		b := newBench(t, s)
		to := t.TempDir()
		write(t, b.dir+"/f", "mine")
		write(t, to+"/f", "there")
		if err := b.root.MoveOut(context.Background(), "f", rootAt(t, to), "f"); err == nil {
			t.Errorf("%s: no error", name)
		}
		if read(t, b.dir+"/f") != "mine" || read(t, to+"/f") != "there" {
			t.Errorf("%s: something was replaced", name)
		}
		must(t, b.root.MoveOut(context.Background(), "f", rootAt(t, to), "g"))
		if read(t, to+"/g") != "mine" {
			t.Errorf("%s: it is not moved", name)
		}
	}
}

func rootAt(t *testing.T, dir string) *Root {
	t.Helper()
	r, err := OpenRoot(dir)
	must(t, err)
	t.Cleanup(func() { r.Close() })
	return r
}

func TestMovingOutFollowsNoLinkThatWasMovedOutBefore(t *testing.T) {
	b := newBench(t, sys{})
	to, outside := t.TempDir(), t.TempDir()
	write(t, b.dir+"/ro/f", "agent's")
	must(t, os.Symlink(outside, to+"/ro"))
	kept := rootAt(t, to)
	if err := kept.MkdirAll("ro", 0o700); !errors.Is(err, ErrChanged) {
		t.Errorf("MkdirAll through a link: %v", err)
	}
	if err := b.root.MoveOut(context.Background(), "ro/f", kept, "ro/f"); err == nil {
		t.Error("MoveOut through a link: no error")
	}
	st, err := b.store.StageNew(context.Background(), 7, b.src("slot"), Shape{Mode: 0o600}, "x")
	must(t, err)
	_, err = b.store.Place(st)
	must(t, err)
	must(t, st.Discard())
	_, err = b.store.Delete(8, "x", b.look("x"))
	must(t, err)
	if err := b.store.MoveSlot(8, kept, "ro/x"); err == nil {
		t.Error("MoveSlot through a link: no error")
	}
	if list, _ := os.ReadDir(outside); len(list) > 0 {
		t.Errorf("written outside: %v", list)
	}
	must(t, b.store.MoveSlot(8, kept, "x"))
	if read(t, to+"/x") != "slot" {
		t.Error("MoveSlot moved something else")
	}
}

func TestReplacementTakesAnExactModeWhereAsked(t *testing.T) {
	b := newBench(t, sys{})
	write(t, b.dir+"/f", "old")
	st, err := b.store.StageReplacement(context.Background(), 1, b.src("new"), Shape{Mode: 0o444, Exact: true}, "f", b.look("f"))
	must(t, err)
	_, err = b.store.Place(st)
	must(t, err)
	if now := b.look("f"); now.Mode != 0o444 {
		t.Errorf("mode %04o", now.Mode)
	}
	must(t, st.Discard())
}
