//go:build linux

package safety

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCheckRoots(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	home := base + "/home"
	t.Setenv("HOME", home)
	for _, d := range []string{"p/sub", "q", "home/p", "home/state"} {
		must(t, os.MkdirAll(base+"/"+d, 0o755))
	}
	for link, to := range map[string]string{"top": "p", "up": "p/sub/..", "into": base + "/p/sub", "dangling": "p/new", "loop": "loop", "homelink": "home"} {
		must(t, os.Symlink(to, base+"/"+link))
	}
	for _, c := range []struct{ project, mirror, why string }{
		{"p", "q/new/deep", ""},
		{"p", "pq", ""},
		{"home/p", "home/state/m", ""},
		{"p", "p", "itself"},
		{"p", "top", "itself"},
		{"p", "up", "itself"},
		{"p", "p/sub/../../p", "itself"},
		{"p", "p/m", "inside the project"},
		{"p", "top/m/n", "inside the project"},
		{"p", "into/m", "inside the project"},
		{"p", "dangling", "inside the project"},
		{"p", "dangling/x", "inside the project"},
		{"top/sub", "p", "inside the mirror"},
		{"into", "top", "inside the mirror"},
		{"home", "q", "home directory"},
		{"homelink", "q", "home directory"},
		{"p", "home", "home directory"},
		{"p", "../../../../../../../../..", "root of the file system"},
		{"q", base[:strings.LastIndexByte(base, '/')] + "/../../../../../..", "root of the file system"},
	} {
		project, mirror := base+"/"+c.project, base+"/"+c.mirror
		if filepath.IsAbs(c.mirror) {
			mirror = c.mirror
		}
		err := CheckRoots(project, mirror)
		var refused *RootsError
		if c.why == "" && err != nil || c.why != "" && (!errors.As(err, &refused) || !strings.Contains(err.Error(), c.why)) {
			t.Errorf("CheckRoots(%s, %s) = %v; want %q", c.project, c.mirror, err, c.why)
		}
	}
	if err := CheckRoots(base+"/p", base+"/loop/x"); err == nil {
		t.Error("a mirror behind a loop of links is accepted")
	}
}

func TestCheckRootsSeesABindMount(t *testing.T) {
	needRoot(t)
	base := t.TempDir()
	t.Setenv("HOME", "/nonexistent")
	must(t, os.MkdirAll(base+"/p/sub", 0o755))
	must(t, os.MkdirAll(base+"/alias", 0o755))
	mount(t, base+"/p", base+"/alias", "", unix.MS_BIND, "")
	if err := CheckRoots(base+"/p", base+"/alias/sub/m"); err == nil {
		t.Error("a mirror inside the project through a bind mount is accepted")
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount")
	}
}

func mount(t *testing.T, what, where, fs string, flags uintptr, data string) {
	t.Helper()
	must(t, os.MkdirAll(where, 0o755))
	if err := unix.Mount(what, where, fs, flags, data); err != nil {
		t.Skip("cannot mount here:", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(where, unix.MNT_DETACH); err != nil {
			t.Error("unmount:", err)
		}
	})
}

func TestMarker(t *testing.T) {
	eachRoot(t, func(t *testing.T, open func(string) *Root) {
		dir := t.TempDir()
		r := open(dir)
		if _, err := ReadMarker(r); !errors.Is(err, ErrNoMarker) {
			t.Errorf("no marker: %v", err)
		}
		must(t, WriteMarker(r, "s1"))
		must(t, WriteMarker(r, "s1"))
		if err := WriteMarker(r, "s2"); !errors.Is(err, ErrChanged) {
			t.Errorf("marked twice: %v", err)
		}
		if s, err := ReadMarker(r); err != nil || s != "s1" {
			t.Errorf("ReadMarker = %q, %v", s, err)
		}
		for _, bad := range []string{"", "s1", markerText, markerText + "s", markerText + "a\nb\n"} {
			os.Remove(dir + "/" + MarkerName)
			write(t, dir+"/"+MarkerName, bad)
			if s, err := ReadMarker(r); !errors.Is(err, ErrNoMarker) {
				t.Errorf("ReadMarker of %q = %q, %v", bad, s, err)
			}
		}
		os.Remove(dir + "/" + MarkerName)
		must(t, os.Symlink("x", dir+"/"+MarkerName))
		if err := WriteMarker(r, "s1"); err == nil {
			t.Error("a marker was written through a link")
		}
	})
}

// hostileMirror is a marked mirror with all that makes a removal hard, and an outside that it must not touch.
func hostileMirror(t *testing.T, open func(string) *Root) (*Root, string) {
	base := t.TempDir()
	dir := base + "/m"
	write(t, base+"/outside/f", "outside")
	for _, d := range []string{"ro/sub", "none/sub", "x/y/z"} {
		write(t, dir+"/"+d+"/f", "x")
	}
	for _, name := range hardNames {
		write(t, dir+"/names/"+name, "x")
	}
	must(t, os.Symlink(base+"/outside", dir+"/out"))
	must(t, os.Symlink("../../outside", dir+"/x/out"))
	must(t, os.Link(base+"/outside/f", dir+"/hard"))
	must(t, os.Mkdir(dir+"/specials", 0o755))
	makeSpecials(t, dir+"/specials")
	r := open(dir)
	must(t, WriteMarker(r, "s"))
	deep, err := r.OpenDir(Top)
	must(t, err)
	for range 450 { // deeper than maxDepth, longer than PATH_MAX
		sub, err := deep.Mkdir("dddddddddd", 0o755)
		must(t, err)
		deep.Close()
		deep = sub
	}
	must(t, deep.Chmod(0o555))
	deep.Close()
	for _, d := range []string{"ro/sub", "ro", "none/sub", "none"} {
		must(t, os.Chmod(dir+"/"+d, map[bool]os.FileMode{true: 0o555, false: 0}[strings.HasPrefix(d, "ro")]))
	}
	return r, base
}

func TestRemoveMirrorRemovesAllAndNothingElse(t *testing.T) {
	eachRoot(t, func(t *testing.T, open func(string) *Root) {
		r, base := hostileMirror(t, open)
		if err := RemoveMirror(context.Background(), r, "other"); !errors.Is(err, ErrNoMarker) {
			t.Errorf("another session's mirror: %v", err)
		}
		if read(t, base+"/m/x/y/z/f") != "x" {
			t.Error("another session's mirror was touched")
		}
		must(t, RemoveMirror(context.Background(), r, "s"))
		if _, err := os.Lstat(base + "/m"); !os.IsNotExist(err) {
			t.Errorf("the mirror is there: %v", err)
		}
		if read(t, base+"/outside/f") != "outside" {
			t.Error("outside was touched")
		}
		if err := RemoveMirror(context.Background(), r, "s"); !errors.Is(err, ErrGone) {
			t.Errorf("again: %v", err)
		}
	})
}

func TestRemoveMirrorRefusesWithoutMarkerOrRoot(t *testing.T) {
	eachRoot(t, func(t *testing.T, open func(string) *Root) {
		dir := t.TempDir() + "/m"
		write(t, dir+"/f", "x")
		r := open(dir)
		if err := RemoveMirror(context.Background(), r, "s"); !errors.Is(err, ErrNoMarker) {
			t.Errorf("without marker: %v", err)
		}
		must(t, WriteMarker(r, "s"))
		must(t, os.Rename(dir, dir+"2"))
		write(t, dir+"/g", "x")
		write(t, dir+"/"+MarkerName, markerText+"s\n")
		if err := RemoveMirror(context.Background(), r, "s"); !errors.Is(err, ErrGone) {
			t.Errorf("replaced root: %v", err)
		}
		if read(t, dir+"/g") != "x" || read(t, dir+"2/f") != "x" {
			t.Error("something was removed")
		}
	})
}

func TestRemoveMirrorDoesNotEnterMounts(t *testing.T) {
	needRoot(t)
	eachRoot(t, func(t *testing.T, open func(string) *Root) {
		base := t.TempDir()
		write(t, base+"/outside/f", "outside")
		write(t, base+"/m/a/f", "x")
		mount(t, base+"/outside", base+"/m/a/bind", "", unix.MS_BIND, "") // same st_dev
		r := open(base + "/m")
		must(t, WriteMarker(r, "s"))
		if err := RemoveMirror(context.Background(), r, "s"); err == nil || !strings.Contains(err.Error(), "mounted") {
			t.Errorf("RemoveMirror: %v", err)
		}
		if read(t, base+"/outside/f") != "outside" {
			t.Error("a mount was emptied")
		}
		if s, err := ReadMarker(r); err != nil || s != "s" {
			t.Errorf("the marker went before the rest: %v", err)
		}
	})
}

func TestLockIsExclusiveAndNamesItsHolder(t *testing.T) {
	path := t.TempDir() + "/lock"
	if h, err := ReadHolder(path); err != nil || h != (Holder{}) {
		t.Errorf("no lock: %v, %v", h, err)
	}
	l, err := TryLock(path)
	must(t, err)
	var held *LockedError
	if _, err := TryLock(path); !errors.As(err, &held) || held.Holder.PID != os.Getpid() {
		t.Errorf("locked twice: %v", err)
	}
	h, err := ReadHolder(path)
	must(t, err)
	if h.PID != os.Getpid() || h.Started.IsZero() {
		t.Errorf("holder %+v", h)
	}
	if info, _ := os.Stat(path); info.Mode() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	must(t, l.Unlock())
	must(t, l.Unlock())
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("the lock file is left")
	}
	l, err = TryLock(path)
	must(t, err)
	must(t, l.Unlock())
}

func TestReusedPidHoldsNothing(t *testing.T) {
	path := t.TempDir() + "/lock"
	me, err := identify(os.Getpid())
	must(t, err)
	fields := strings.Fields(me)
	earlier := fields[0] + " " + strconv.Itoa(7) + " " + fields[2] + "\n"
	otherBoot := fields[0] + " " + fields[1] + " 00000000-0000-0000-0000-000000000000\n"
	for _, text := range []string{earlier, otherBoot, "999999999 1 x\n", "", "garbage"} {
		must(t, os.WriteFile(path, []byte(text), 0o600))
		if h, err := ReadHolder(path); err != nil || h != (Holder{}) {
			t.Errorf("ReadHolder of %q = %+v, %v", text, h, err)
		}
	}
	l, err := TryLock(path) // a dead holder's file is taken over
	must(t, err)
	must(t, l.Unlock())
}

func TestChildrenDoNotInheritTheLock(t *testing.T) {
	path := t.TempDir() + "/lock"
	l, err := TryLock(path)
	must(t, err)
	child := exec.Command("sleep", "5")
	must(t, child.Start())
	defer func() { child.Process.Kill(); child.Wait() }()
	l.file.Close() // as if we died
	l, err = TryLock(path)
	if err != nil {
		t.Fatal("the child holds the lock:", err)
	}
	must(t, l.Unlock())
}

func TestWriteFileDurablyLeavesOldOrNew(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/f"
	must(t, WriteFileDurably(path, []byte("old"), 0o640))
	if info, _ := os.Stat(path); info.Mode() != 0o640 || read(t, path) != "old" {
		t.Errorf("mode %v", info.Mode())
	}
	seen := 0
	for n := 1; ; n++ {
		count := 0
		s := &sys{before: func(op Op, _ string) error {
			if count++; count == n {
				return unix.EIO
			}
			return nil
		}}
		err := s.writeDurably(path, 0o640, whole([]byte("new")))
		if count < n {
			must(t, err)
			break
		}
		seen++
		if got := read(t, path); err == nil || got != "old" && got != "new" {
			t.Errorf("call %d fails: %v, %q", n, err, got)
		}
		if list, _ := os.ReadDir(dir); len(list) != 1 {
			t.Errorf("call %d fails: left %v", n, list)
		}
		must(t, os.WriteFile(path, []byte("old"), 0o640))
	}
	if seen < 6 {
		t.Errorf("only %d calls failed", seen)
	}
}

func TestHasWriter(t *testing.T) {
	path := t.TempDir() + "/f"
	write(t, path, "some content")
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	if got := Writing(f); got != NoWriter {
		t.Skip("no leases on this file system:", got)
	}
	w, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	if got := Writing(f); got != Writes || !HasWriter(f) {
		t.Errorf("open for writing: %v", got)
	}
	m, err := unix.Mmap(int(w.Fd()), 0, 4, unix.PROT_WRITE|unix.PROT_READ, unix.MAP_SHARED)
	must(t, err)
	w.Close()
	if got := Writing(f); got != Writes {
		t.Errorf("mapped for writing: %v", got)
	}
	must(t, unix.Munmap(m))
	if HasWriter(f) {
		t.Error("a writer is left")
	}
	w, err = os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0) // would fail if our lease were still held
	must(t, err)
	w.Close()
}
