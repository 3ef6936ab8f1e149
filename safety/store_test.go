//go:build linux

package safety

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bench is a root with a store beside it.
type bench struct {
	t     testing.TB
	base  string
	dir   string // the root
	root  *Root
	store *Store
	seq   uint64
	kept  []string         // what replaceFor found in slots
	was   map[RelPath]Info // looks taken before calls were made to fail
}

func newBench(t testing.TB, s sys) *bench {
	t.Helper()
	return newBenchAt(t, t.TempDir(), s)
}

func newBenchAt(t testing.TB, base string, s sys) *bench {
	b := &bench{t: t, base: base, dir: base + "/root"}
	must(t, os.MkdirAll(b.dir, 0o755))
	var err error
	b.root, err = openRoot(b.dir, s)
	must(t, err)
	b.store, err = OpenStore(b.root, true, "s", base+"/store")
	must(t, err)
	t.Cleanup(func() { b.store.Close(); b.root.Close() })
	return b
}

// eachStore runs test over the ways of replacing and of finding a parent.
func eachStore(t *testing.T, test func(t *testing.T, b *bench)) {
	for name, s := range map[string]sys{
		"exchange":         {},
		"rename away":      {noExchange: true, noTmpfile: true},
		"rename and link":  {noExchange: true, noReplace: true, noTmpfile: true},
		"no openat2":       {noOpenat2: true},
		"no kernel copies": {noReflink: true, noCopyRange: true},
	} {
		t.Run(name, func(t *testing.T) { test(t, newBench(t, s)) })
	}
}

func (b *bench) src(content string) *os.File {
	b.t.Helper()
	path := filepath.Join(b.base, "src")
	must(b.t, os.WriteFile(path, []byte(content), 0o600))
	f, err := os.Open(path)
	must(b.t, err)
	b.t.Cleanup(func() { f.Close() })
	return f
}

func (b *bench) look(p RelPath) Info {
	b.t.Helper()
	if info, ok := b.was[p]; ok {
		return info
	}
	info, err := b.root.Lstat(p)
	must(b.t, err)
	return info
}

func (b *bench) stage(p RelPath, content string, mode uint32) (*Staged, error) {
	b.seq++
	return b.store.StageReplacement(context.Background(), b.seq, b.src(content), Shape{Mode: mode, Mtime: 1e18 + 1}, p, b.look(p))
}

func (b *bench) replace(p RelPath, content string) (Displaced, error) {
	b.t.Helper()
	st, err := b.stage(p, content, 0o644)
	if err != nil {
		return Displaced{}, err
	}
	defer st.Discard()
	return b.store.Place(st)
}

// storeIsEmpty is the check that nothing temporary is left.
func (b *bench) storeIsEmpty() {
	b.t.Helper()
	list, err := os.ReadDir(b.base + "/store")
	must(b.t, err)
	for _, e := range list {
		b.t.Errorf("left in the store: %s", e.Name())
	}
}

func TestReplaceKeepsTheOldVersion(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		write(t, b.dir+"/d/f", "old")
		must(t, os.Chmod(b.dir+"/d/f", 0o640))
		was := b.look("d/f")
		st, err := b.stage("d/f", "newer", 0o755)
		must(t, err)
		if read(t, b.dir+"/d/f") != "old" {
			t.Error("staging changed the target")
		}
		out, err := b.store.Place(st)
		must(t, err)
		now := b.look("d/f")
		if read(t, b.dir+"/d/f") != "newer" || now.Mode != 0o750 || now.Mtime != 1e18+1 || now.UID != was.UID {
			t.Errorf("placed %+v", now)
		}
		if !unchanged(st.Info(), now) {
			t.Errorf("stamp %+v is not what is there: %+v", st.Info(), now)
		}
		if !out.Expected || read(t, out.Slot) != "old" || !out.Info.SameFile(was) || out.Slot != b.store.SlotPath(st.Seq()) {
			t.Errorf("displaced %+v", out)
		}
		must(t, st.Discard())
		if read(t, out.Slot) != "old" {
			t.Error("Discard after Place removed the old version")
		}
		must(t, b.store.Drop(st.Seq()))
		must(t, b.store.Drop(st.Seq()))
		b.storeIsEmpty()
	})
}

func TestDiscardLeavesNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		write(t, b.dir+"/f", "old")
		st, err := b.stage("f", "new", 0o644)
		must(t, err)
		must(t, st.Discard())
		must(t, st.Discard())
		st, err = b.store.StageNew(context.Background(), 9, b.src("new"), Shape{Mode: 0o644}, "n")
		must(t, err)
		must(t, st.Discard())
		b.storeIsEmpty()
		if read(t, b.dir+"/f") != "old" || b.look("n").Kind != Absent {
			t.Error("something was placed")
		}
	})
}

func TestReplaceKeepsUsersNewerVersion(t *testing.T) {
	saves := map[string]func(path string){
		"rename": func(path string) {
			os.WriteFile(path+"~", []byte("user's"), 0o644)
			os.Rename(path+"~", path)
		},
		"in place": func(path string) { os.WriteFile(path, []byte("user's"), 0o644) },
		"chmod":    func(path string) { os.Chmod(path, 0o755) },
	}
	for _, s := range []sys{{}, {noExchange: true}} {
		for how, save := range saves {
			var armed atomic.Bool
			var path string
			s.before = func(op Op, _ string) error {
				// In the instant between the last look and the one call.
				if (op == OpExchange || op == OpTakeAway) && armed.Swap(false) {
					save(path)
				}
				return nil
			}
			b := newBench(t, s)
			path = b.dir + "/f"
			write(t, path, "old")
			st, err := b.stage("f", "agent's", 0o644)
			must(t, err)
			armed.Store(true)
			out, err := b.store.Place(st)
			must(t, err)
			if out.Expected || how != "chmod" && read(t, out.Slot) != "user's" || read(t, path) != "agent's" {
				t.Errorf("%s: displaced %+v, slot %q, path %q", how, out, read(t, out.Slot), read(t, path))
			}
			if how == "chmod" && out.Info.Mode != 0o755 {
				t.Errorf("the user's mode is not kept: %+v", out.Info)
			}
			must(t, st.Discard())
			if _, err := os.Stat(out.Slot); err != nil {
				t.Error("Discard removed the user's version")
			}
		}
	}
}

func TestPlaceSeesASameSizeWriteWithMtimePutBack(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		path := b.dir + "/f"
		write(t, path, "old")
		st, err := b.stage("f", "new", 0o644)
		must(t, err)
		defer st.Discard()
		sneak(t, path)
		if _, err := b.store.Place(st); !errors.Is(err, ErrChanged) {
			t.Errorf("Place: %v", err)
		}
		if read(t, path) != "OLD" {
			t.Errorf("path holds %q", read(t, path))
		}
	})
}

// sneak changes content but neither size nor mtime.
func sneak(t testing.TB, path string) {
	info, err := os.Stat(path)
	must(t, err)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	time.Sleep(5 * time.Millisecond) // more than a tick of a coarse clock
	f.WriteString("OLD")
	f.Close()
	must(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
}

func TestExpectSumSeesASneakyWriteInTheInstantOfTheExchange(t *testing.T) {
	var armed atomic.Bool
	var path string
	b := newBench(t, sys{before: func(op Op, _ string) error {
		if op == OpExchange && armed.Swap(false) {
			sneak(t, path)
		}
		return nil
	}})
	path = b.dir + "/f"
	write(t, path, "old")
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	tmp, err := os.Create(b.base + "/tmp")
	must(t, err)
	defer tmp.Close()
	c := &Copier{sys: &sys{noReflink: true}}
	was, err := c.CopyContent(context.Background(), tmp, f)
	must(t, err)
	st, err := b.stage("f", "new", 0o644)
	must(t, err)
	defer st.Discard()
	st.ExpectSum(was.Sum)
	armed.Store(true)
	out, err := b.store.Place(st)
	must(t, err)
	if out.Expected || read(t, out.Slot) != "OLD" {
		t.Errorf("displaced %+v", out)
	}
}

func TestPlaceGoesBackFromADirectory(t *testing.T) {
	for name, s := range map[string]sys{"exchange": {}, "rename away": {noExchange: true}, "link": {noExchange: true, noReplace: true}} {
		var armed atomic.Bool
		var path string
		s.before = func(op Op, _ string) error {
			if (op == OpExchange || op == OpTakeAway) && armed.Swap(false) {
				os.Remove(path)
				os.MkdirAll(path+"/sub", 0o755)
				os.WriteFile(path+"/sub/f", []byte("user's"), 0o644)
			}
			return nil
		}
		b := newBench(t, s)
		path = b.dir + "/f"
		write(t, path, "old")
		st, err := b.stage("f", "new", 0o644)
		must(t, err)
		armed.Store(true)
		if out, err := b.store.Place(st); !errors.Is(err, ErrChanged) {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
		must(t, st.Discard())
		if read(t, path+"/sub/f") != "user's" {
			t.Errorf("%s: the directory is not back", name)
		}
		b.storeIsEmpty()
	}
}

func TestNewNeverReplaces(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		st, err := b.store.StageNew(context.Background(), 1, b.src("new"), Shape{Mode: 0o6755, Mtime: 77}, "f")
		must(t, err)
		defer st.Discard()
		write(t, b.dir+"/f", "user's")
		if _, err := b.store.Place(st); !errors.Is(err, ErrChanged) {
			t.Errorf("Place over a new file: %v", err)
		}
		if read(t, b.dir+"/f") != "user's" {
			t.Error("the user's file was replaced")
		}
		if _, err := b.store.StageNew(context.Background(), 2, b.src("new"), Shape{Mode: 0o644}, "f"); !errors.Is(err, ErrChanged) {
			t.Errorf("StageNew over a file: %v", err)
		}
		must(t, os.Remove(b.dir+"/f"))
		out, err := b.store.Place(st)
		must(t, err)
		now := b.look("f")
		if read(t, b.dir+"/f") != "new" || now.Mode != 0o755 || now.Mtime != 77 || !unchanged(st.Info(), now) || out != (Displaced{}) {
			t.Errorf("placed %+v, displaced %+v", now, out)
		}
		must(t, st.Discard())
		b.storeIsEmpty()
	})
}

func TestReplaceStripsSetuid(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		write(t, b.dir+"/f", "old")
		must(t, os.Chmod(b.dir+"/f", 0o755|os.ModeSetuid|os.ModeSetgid))
		_, err := b.replace("f", "new")
		must(t, err)
		if now := b.look("f"); now.Mode&0o7000 != 0 {
			t.Errorf("mode %04o", now.Mode)
		}
	})
}

func TestLinksArePlacedAndReplaced(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		st, err := b.store.StageLink(1, "a", "l", Info{})
		must(t, err)
		_, err = b.store.Place(st)
		must(t, err)
		must(t, st.Discard())
		if !unchanged(st.Info(), b.look("l")) {
			t.Errorf("stamp %+v, there %+v", st.Info(), b.look("l"))
		}
		st, err = b.store.StageLink(2, "b", "l", b.look("l"))
		must(t, err)
		out, err := b.store.Place(st)
		must(t, err)
		must(t, st.Discard())
		if old, _ := os.Readlink(out.Slot); old != "a" || !out.Expected {
			t.Errorf("displaced %+v -> %q", out, old)
		}
		b.seq = 2
		out, err = b.replace("l", "file now") // a link becomes a file
		must(t, err)
		if old, _ := os.Readlink(out.Slot); old != "b" || read(t, b.dir+"/l") != "file now" {
			t.Errorf("displaced %+v -> %q", out, old)
		}
		if _, err := os.Lstat(b.dir + "/b"); !os.IsNotExist(err) {
			t.Error("the link was written through")
		}
		st, err = b.store.StageLink(8, "c", "l", b.look("l")) // and a link again
		must(t, err)
		_, err = b.store.Place(st)
		must(t, err)
		must(t, st.Discard())
		if now, _ := b.root.Readlink("l"); now != "c" {
			t.Errorf("link to %q", now)
		}
	})
}

func TestDeleteKeepsAndRestores(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		write(t, b.dir+"/d/f", "x")
		was := b.look("d/f")
		out, err := b.store.Delete(1, "d/f", was)
		must(t, err)
		if b.look("d/f").Kind != Absent || read(t, out.Slot) != "x" || !out.Expected {
			t.Errorf("deleted %+v", out)
		}
		must(t, b.store.Restore(1, "d/f"))
		now := b.look("d/f")
		if !sameVersion(was, now) {
			t.Errorf("restored %+v", now)
		}
		_, err = b.store.Delete(2, "d/f", now)
		must(t, err)
		write(t, b.dir+"/d/f", "newer")
		if err := b.store.Restore(2, "d/f"); !errors.Is(err, ErrChanged) {
			t.Errorf("Restore over a file: %v", err)
		}
		if read(t, b.dir+"/d/f") != "newer" || read(t, b.store.SlotPath(2)) != "x" {
			t.Error("Restore lost a version")
		}
		if _, err := b.store.Delete(3, "d/f", now); !errors.Is(err, ErrChanged) {
			t.Errorf("Delete of another version: %v", err)
		}
		if _, err := b.store.Delete(3, "d", b.look("d")); !errors.Is(err, ErrChanged) {
			t.Errorf("Delete of a directory: %v", err)
		}
	})
}

func TestDeleteGivesBackWhatCameInstead(t *testing.T) {
	for name, s := range map[string]sys{"noreplace": {}, "link": {noExchange: true, noReplace: true}} {
		for _, both := range []bool{false, true} {
			var at Op
			var path string
			s.before = func(op Op, _ string) error {
				if op == OpDelete && at == OpDelete {
					os.Remove(path)
					os.WriteFile(path, []byte("user's"), 0o644)
					at = ""
					if both {
						at = OpPutBack
					}
				}
				if op == OpPutBack && at == OpPutBack {
					os.WriteFile(path, []byte("newest"), 0o644)
				}
				return nil
			}
			b := newBench(t, s)
			path = b.dir + "/f"
			write(t, path, "old")
			was := b.look("f")
			at = OpDelete
			out, err := b.store.Delete(1, "f", was)
			if !both && (!errors.Is(err, ErrChanged) || read(t, path) != "user's" || out != (Displaced{})) {
				t.Errorf("%s: %+v, %v, path holds %q", name, out, err, read(t, path))
			}
			if both && (err != nil || out.Expected || read(t, out.Slot) != "user's" || read(t, path) != "newest") {
				t.Errorf("%s: %+v, %v, path holds %q", name, out, err, read(t, path))
			}
		}
	}
}

func TestHardLinkedFileIsRewrittenInPlace(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		for _, content := range []string{"a much longer content than before", "short", ""} {
			os.Remove(b.dir + "/f")
			os.Remove(b.dir + "/g")
			write(t, b.dir+"/f", "old content")
			must(t, os.Link(b.dir+"/f", b.dir+"/g"))
			was := b.look("f")
			st, err := b.stage("f", content, 0o755)
			must(t, err)
			if st.Placing() != InPlace || read(t, b.store.SlotPath(st.Seq())) != "old content" {
				t.Errorf("%v, slot %q", st.Placing(), read(t, b.store.SlotPath(st.Seq())))
			}
			out, err := b.store.Place(st)
			must(t, err)
			must(t, st.Discard())
			now := b.look("f")
			if !now.SameFile(was) || read(t, b.dir+"/g") != content || now.Mode != 0o755 || !unchanged(st.Info(), now) {
				t.Errorf("placed %+v", now)
			}
			if read(t, out.Slot) != "old content" || !out.Expected {
				t.Errorf("displaced %+v", out)
			}
			must(t, b.store.Drop(st.Seq()))
		}
		b.storeIsEmpty()
	})
}

// Every label that a replacement passes fails once: the path holds the old or the new version, the old one is never
// gone, and after Discard nothing else is left.
func TestEveryFailingCallLeavesOldOrNew(t *testing.T) {
	base := map[string]sys{"exchange": {}, "rename away": {noExchange: true}, "link": {noExchange: true, noReplace: true, noTmpfile: true}}
	actions := map[string]func(b *bench) (Displaced, error){
		"replace": func(b *bench) (Displaced, error) { return b.replace("f", "new") },
		"in place": func(b *bench) (Displaced, error) {
			return b.replace("linked", "new")
		},
		"create": func(b *bench) (Displaced, error) {
			st, err := b.store.StageNew(context.Background(), 5, b.src("new"), Shape{Mode: 0o644, Mtime: 5}, "n")
			if err != nil {
				return Displaced{}, err
			}
			defer st.Discard()
			return b.store.Place(st)
		},
		"link": func(b *bench) (Displaced, error) {
			st, err := b.store.StageLink(6, "x", "f", b.look("f"))
			if err != nil {
				return Displaced{}, err
			}
			defer st.Discard()
			return b.store.Place(st)
		},
		"delete": func(b *bench) (Displaced, error) { return b.store.Delete(7, "f", b.look("f")) },
	}
	seen := map[Op]bool{}
	for how, s := range base {
		for what, act := range actions {
			for n := 1; ; n++ {
				if failNth(t, s, n, act, how+"/"+what, seen) {
					break
				}
			}
		}
	}
	for _, op := range []Op{OpStageCreate, OpStageWrite, OpStageMeta, OpStageFsync, OpStageStat, OpExchange, OpTakeAway,
		OpBringIn, OpInspect, OpPin, OpLink, OpDelete, OpKeepWrite, OpKeepFsync, OpInOpen, OpInReserve, OpInWrite, OpInMeta, OpInFsync} {
		if !seen[op] {
			t.Errorf("%s was never made to fail", op)
		}
	}
}

// failNth makes the nth call fail; true: there were fewer calls.
func failNth(t *testing.T, s sys, n int, act func(*bench) (Displaced, error), what string, seen map[Op]bool) (done bool) {
	count, failed := 0, Op("")
	armed := false
	s.before = func(op Op, _ string) error {
		if !armed {
			return nil
		}
		if count++; count == n {
			failed, seen[op] = op, true
			return unix.EIO
		}
		return nil
	}
	b := newBench(t, s)
	write(t, b.dir+"/f", "old")
	write(t, b.dir+"/linked", "old")
	must(t, os.Link(b.dir+"/linked", b.dir+"/other"))
	b.was = map[RelPath]Info{"f": b.look("f"), "linked": b.look("linked")}
	armed = true
	out, err := act(b)
	armed = false
	if failed == "" {
		must(t, err)
		return true
	}
	where := fmt.Sprintf("%s, call %d (%s) fails, %v", what, n, failed, err)
	versions := map[string]string{}
	for _, p := range []string{"f", "linked", "other", "n"} {
		if b, err := os.ReadFile(b.dir + "/" + p); err == nil {
			versions[p] = string(b)
			if string(b) != "old" && string(b) != "new" {
				t.Errorf("%s: %s is torn: %q", where, p, b)
			}
		}
	}
	if versions["f"] != "old" {
		kept, _ := os.ReadFile(out.Slot)
		if string(kept) != "old" {
			t.Errorf("%s: path holds %q, and %+v does not keep the old version", where, versions["f"], out)
		}
	}
	if versions["linked"] != versions["other"] {
		t.Errorf("%s: the names of one file came apart", where)
	}
	if err != nil && out.Slot == "" && failed != OpStageDrop {
		list, _ := os.ReadDir(b.base + "/store")
		for _, e := range list {
			t.Errorf("%s: left in the store: %s", where, e.Name())
		}
	}
	return false
}

// An editor saves all the time while we replace. Every version is accounted for: overwritten by the editor's own next
// save, in a slot, or at the path in the end.
func TestNoSaveIsLostWhileReplacing(t *testing.T) {
	for name, s := range map[string]sys{"exchange": {}, "rename away": {noExchange: true}} {
		t.Run(name, func(t *testing.T) {
			s.before = func(op Op, _ string) error {
				if op == OpExchange || op == OpTakeAway {
					time.Sleep(100 * time.Microsecond) // between the last look and the one call
				}
				return nil
			}
			b := newBench(t, s)
			e := &editor{path: b.dir + "/f", had: map[string]bool{}}
			write(t, e.path, "user-0")
			var wg sync.WaitGroup
			wg.Go(func() { e.run(t) })
			placed, changed, surprises := b.replaceFor(700 * time.Millisecond)
			e.stop.Store(true)
			wg.Wait()
			e.account(read(t, e.path))
			for _, v := range b.kept {
				e.account(v)
			}
			for i := range e.saves + 1 {
				if v := fmt.Sprintf("user-%d", i); !e.had[v] {
					t.Errorf("version %s is lost", v)
				}
			}
			if placed == 0 || surprises == 0 {
				t.Errorf("the race was not run: placed %d, changed meanwhile %d, surprises %d", placed, changed, surprises)
			}
			t.Logf("placed %d, changed meanwhile %d, newer versions kept %d, saves %d", placed, changed, surprises, e.saves)
		})
	}
}

// editor saves by exchange, so that it knows which version each of its own saves overwrote.
type editor struct {
	path  string
	stop  atomic.Bool
	saves int
	mu    sync.Mutex
	had   map[string]bool
}

func (e *editor) account(version string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.had[version] = true
}

func (e *editor) run(t *testing.T) {
	for !e.stop.Load() {
		time.Sleep(time.Duration(e.saves%20) * 100 * time.Microsecond)
		tmp := e.path + "~"
		must(t, os.WriteFile(tmp, fmt.Appendf(nil, "user-%d", e.saves+1), 0o644))
		e.saves++
		for {
			err := unix.Renameat2(unix.AT_FDCWD, tmp, unix.AT_FDCWD, e.path, unix.RENAME_EXCHANGE)
			if err == nil {
				e.account(read(t, tmp))
				break
			}
			if unix.Renameat2(unix.AT_FDCWD, tmp, unix.AT_FDCWD, e.path, unix.RENAME_NOREPLACE) == nil {
				break
			}
		}
	}
}

// replaceFor places agent versions as fast as it can and notes what came out.
func (b *bench) replaceFor(d time.Duration) (placed, changed, surprises int) {
	var kept []string
	deadline := time.Now().Add(d)
	for i := 0; time.Now().Before(deadline); i++ {
		st, err := b.stage("f", fmt.Sprintf("agent-%d", i), 0o644)
		if err != nil {
			changed++
			continue
		}
		out, err := b.store.Place(st)
		must(b.t, st.Discard())
		if err != nil && !errors.Is(err, ErrChanged) {
			b.t.Fatal(err)
		}
		if err != nil {
			changed++
		} else if placed++; !out.Expected {
			surprises++
		}
		if out.Slot != "" {
			kept = append(kept, read(b.t, out.Slot))
		}
		must(b.t, b.store.Drop(st.Seq()))
	}
	b.kept = kept
	return placed, changed, surprises
}

func TestAbandonedStoreLeavesNothingInTheProjectButWhatItKeeps(t *testing.T) {
	for _, kept := range []bool{false, true} {
		dir := t.TempDir()
		root, err := OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { root.Close() })
		own := filepath.Join(dir, reservedPrefix+"store", "s1")
		if err := os.Mkdir(filepath.Dir(own), 0o700); err != nil {
			t.Fatal(err)
		}
		store, err := OpenStore(root, true, "s1", own)
		if err != nil {
			t.Fatal(err)
		}
		if kept {
			write(t, store.SlotPath(1), "kept")
		}
		store.Abandon()
		if _, err := os.Lstat(filepath.Dir(own)); (err == nil) != kept {
			t.Errorf("kept %v: %v", kept, err)
		}
	}
}
