//go:build linux

package safety

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// run calls a tool that is not ours.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("needs", name)
	}
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func TestReplaceKeepsACLAndXattrs(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		path := b.dir + "/f"
		write(t, path, "old")
		if err := unix.Setxattr(path, "user.note", []byte("kept"), 0); err != nil {
			t.Skip(err)
		}
		run(t, "setfacl", "-m", "u:1:rw,g:2:r", path)
		acl := run(t, "getfacl", "-cnp", path)
		_, err := b.replace("f", "new")
		must(t, err)
		if now := run(t, "getfacl", "-cnp", path); now != acl {
			t.Errorf("ACL was\n%s, is\n%s", acl, now)
		}
		buf := make([]byte, 64)
		if n, err := unix.Getxattr(path, "user.note", buf); err != nil || string(buf[:n]) != "kept" {
			t.Errorf("attribute: %q, %v", buf[:max(n, 0)], err)
		}
		if read(t, path) != "new" {
			t.Error("not replaced")
		}
	})
}

func TestNewFilesInheritACLAndGroup(t *testing.T) {
	for name, s := range map[string]sys{"tmpfile": {}, "slot": {noTmpfile: true}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, s)
			must(t, os.Mkdir(b.dir+"/d", 0o755))
			run(t, "setfacl", "-d", "-m", "u:1:rwx", b.dir+"/d")
			if os.Geteuid() == 0 {
				must(t, os.Chown(b.dir+"/d", 0, 12))
				must(t, os.Chmod(b.dir+"/d", 0o755|os.ModeSetgid))
			}
			st, err := b.store.StageNew(context.Background(), 1, b.src("x"), Shape{Mode: 0o664}, "d/f")
			must(t, err)
			_, err = b.store.Place(st)
			must(t, err)
			must(t, st.Discard())
			ours := run(t, "getfacl", "-cnp", b.dir+"/d/f")
			restore := setUmask(0o002)
			must(t, os.WriteFile(b.dir+"/d/kernels", nil, 0o664))
			restore()
			if kernels := run(t, "getfacl", "-cnp", b.dir+"/d/kernels"); ours != kernels {
				t.Errorf("ACL is\n%s, the kernel gives\n%s", ours, kernels)
			}
			if os.Geteuid() == 0 && b.look("d/f").GID != 12 {
				t.Errorf("group %d", b.look("d/f").GID)
			}
		})
	}
}

func TestRootGivesFilesToTheirOwners(t *testing.T) {
	needRoot(t)
	eachStore(t, func(t *testing.T, b *bench) {
		must(t, os.Mkdir(b.dir+"/d", 0o755))
		must(t, os.Chown(b.dir+"/d", 1234, 2345))
		write(t, b.dir+"/d/f", "old")
		must(t, os.Chown(b.dir+"/d/f", 77, 78))
		_, err := b.replace("d/f", "new")
		must(t, err)
		st, err := b.store.StageNew(context.Background(), 9, b.src("x"), Shape{Mode: 0o644}, "d/n")
		must(t, err)
		_, err = b.store.Place(st)
		must(t, err)
		must(t, st.Discard())
		must(t, b.root.Mkdir("d/sub", 0o750))
		l, err := b.store.StageLink(10, "x", "d/l", Info{})
		must(t, err)
		_, err = b.store.Place(l)
		must(t, err)
		must(t, l.Discard())
		for p, want := range map[RelPath][2]uint32{"d/f": {77, 78}, "d/n": {1234, 2345}, "d/sub": {1234, 2345}, "d/l": {1234, 2345}} {
			if now := b.look(p); now.UID != want[0] || now.GID != want[1] {
				t.Errorf("%s belongs to %d:%d, want %v", p, now.UID, now.GID, want)
			}
		}
		if now := b.look("d/sub"); now.Mode != 0o750 {
			t.Errorf("directory's mode %04o", now.Mode)
		}
	})
}

// planReplace is where a new inode is decided against.
func TestPlanReplace(t *testing.T) {
	plain := target{info: Info{Kind: File, Nlink: 1, UID: 1}, dir: Info{UID: 1, Mode: 0o755}, dirOpen: true}
	for name, c := range map[string]struct {
		change func(*target)
		uid    uint32
		want   Placing
	}{
		"plain":                  {func(*target) {}, 1, Exchange},
		"linked":                 {func(t *target) { t.info.Nlink = 2 }, 1, InPlace},
		"closed directory":       {func(t *target) { t.dirOpen = false }, 1, InPlace},
		"mount point":            {func(t *target) { t.mountPoint = true }, 1, InPlace},
		"other mount":            {func(t *target) { t.otherMount = true }, 1, InPlace},
		"sticky, all others'":    {func(t *target) { t.dir.Mode = 0o1777 }, 2, InPlace},
		"sticky, own file":       {func(t *target) { t.dir = Info{Mode: 0o1777, UID: 0} }, 1, Exchange},
		"sticky, own directory":  {func(t *target) { t.dir.Mode = 0o1777; t.info.UID = 5 }, 1, Exchange},
		"sticky, we are root":    {func(t *target) { t.dir.Mode = 0o1777 }, 0, Exchange},
		"linked link":            {func(t *target) { t.info = Info{Kind: Symlink, Nlink: 2} }, 1, Exchange},
		"closed, and we're root": {func(t *target) { t.dirOpen = true }, 0, Exchange},
	} {
		tg := plain
		c.change(&tg)
		if got := planReplace(Exchange, tg, c.uid); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// As an ordinary user: a directory that may not be written in, with a file that may.
func TestClosedDirectoryIsWrittenInPlace(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	eachStore(t, func(t *testing.T, b *bench) {
		write(t, b.dir+"/d/f", "old")
		write(t, b.dir+"/d/ro", "old")
		must(t, os.Chmod(b.dir+"/d/ro", 0o444))
		must(t, os.Chmod(b.dir+"/d", 0o555))
		defer os.Chmod(b.dir+"/d", 0o755)
		was := b.look("d/f")
		out, err := b.replace("d/f", "new")
		must(t, err)
		if now := b.look("d/f"); !now.SameFile(was) || read(t, b.dir+"/d/f") != "new" || read(t, out.Slot) != "old" {
			t.Errorf("placed %+v, displaced %+v", now, out)
		}
		if _, err := b.replace("d/ro", "new"); !errors.Is(err, os.ErrPermission) || read(t, b.dir+"/d/ro") != "old" {
			t.Errorf("read-only file in a closed directory: %v", err)
		}
		must(t, os.Chmod(b.dir+"/d", 0o755)) // and an open directory lets even a read-only file be replaced
		_, err = b.replace("d/ro", "new")
		must(t, err)
		if now := b.look("d/ro"); now.Mode != 0o444 {
			t.Errorf("mode %04o", now.Mode)
		}
	})
}

func TestReplaceMode(t *testing.T) {
	for _, c := range [][3]uint32{
		{0o644, 0o644, 0o644}, {0o640, 0o755, 0o750}, {0o755, 0o644, 0o644}, {0o711, 0o755, 0o711}, {0o600, 0o777, 0o700},
		{0o6755, 0o755, 0o755}, {0o444, 0o755, 0o555}, {0o664, 0o666, 0o664}, {0o200, 0o700, 0o200},
	} {
		if got := replaceMode(c[0], c[1]); got != c[2] {
			t.Errorf("replaceMode(%04o, %04o) = %04o, want %04o", c[0], c[1], got, c[2])
		}
	}
}

func TestSparseStaysSparse(t *testing.T) {
	for name, s := range map[string]sys{"kernel": {noReflink: true}, "by us": {noReflink: true, noCopyRange: true}} {
		dir := t.TempDir()
		src, err := os.Create(dir + "/src")
		must(t, err)
		defer src.Close()
		src.WriteAt([]byte("head"), 0)
		src.WriteAt(bytes.Repeat([]byte("middle"), 100_000), 10<<20)
		must(t, src.Truncate(50<<20))
		dst, err := os.Create(dir + "/dst")
		must(t, err)
		defer dst.Close()
		got, err := (&Copier{sys: &s}).CopyContent(context.Background(), dst, src)
		must(t, err)
		a, b := read(t, dir+"/src"), read(t, dir+"/dst")
		info, _ := new(sys).fstat(OpLstat, int(dst.Fd()), "")
		if a != b || got.Bytes != 50<<20 || info.Blocks*512 > 2<<20 {
			t.Errorf("%s: %+v, equal %v, %d blocks", name, got, a == b, info.Blocks)
		}
	}
}

func TestCopyXattrsOntoAReadOnlyFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/src", "x")
	if err := unix.Setxattr(dir+"/src", "user.note", bytes.Repeat([]byte("n"), 900), 0); err != nil {
		t.Skip(err)
	}
	must(t, unix.Setxattr(dir+"/src", "user."+strings.Repeat("l", 200), nil, 0))
	run(t, "setfacl", "-m", "u:1:r", dir+"/src")
	must(t, os.Chmod(dir+"/src", 0o444))
	r, err := OpenRoot(dir)
	must(t, err)
	defer r.Close()
	d, err := r.OpenDir(Top)
	must(t, err)
	defer d.Close()
	src, _, err := r.Open("src")
	must(t, err)
	defer src.Close()
	dst, err := d.Create("dst", 0o444)
	must(t, err)
	defer dst.Close()
	must(t, CopyXattrs(dst, src))
	for _, args := range [][]string{{"-cnp"}} {
		if a, b := run(t, "getfacl", append(args, dir+"/src")...), run(t, "getfacl", append(args, dir+"/dst")...); a != b {
			t.Errorf("ACL\n%s, copied\n%s", a, b)
		}
	}
	buf := make([]byte, 2000)
	if n, err := unix.Getxattr(dir+"/dst", "user.note", buf); n != 900 || err != nil {
		t.Errorf("user.note: %d, %v", n, err)
	}
	if info, _ := r.Lstat("dst"); info.Mode != 0o444 {
		t.Errorf("mode %04o", info.Mode)
	}
}

// The slot of another version, or of a crash, is never written over.
func TestATakenSlotIsNotReused(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		write(t, b.dir+"/f", "old")
		write(t, b.store.SlotPath(1), "precious")
		write(t, b.store.StagePath(1), "precious")
		if _, err := b.stage("f", "new", 0o644); !errors.Is(err, os.ErrExist) {
			t.Errorf("stage: %v", err)
		}
		if out, err := b.store.Delete(1, "f", b.look("f")); err == nil {
			t.Errorf("delete: %+v", out)
		}
		if read(t, b.store.SlotPath(1)) != "precious" || read(t, b.store.StagePath(1)) != "precious" || read(t, b.dir+"/f") != "old" {
			t.Error("a version is gone")
		}
	})
}

func TestRedoInPlace(t *testing.T) {
	b := newBench(t, sys{})
	write(t, b.dir+"/f", "half new, half old")
	write(t, b.store.StagePath(1), "new")
	must(t, os.Chtimes(b.store.StagePath(1), time.Unix(0, 7), time.Unix(0, 7)))
	was := b.look("f")
	if err := b.store.RedoInPlace(1, "f", was.Ino+1); !errors.Is(err, ErrChanged) {
		t.Errorf("another inode: %v", err)
	}
	must(t, b.store.RedoInPlace(1, "f", was.Ino))
	if now := b.look("f"); read(t, b.dir+"/f") != "new" || now.Mtime != 7 {
		t.Errorf("%+v", now)
	}
}
