//go:build linux

package safety

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// eachRoot runs test over every way in which a Root finds a parent directory.
func eachRoot(t *testing.T, test func(t *testing.T, open func(dir string) *Root)) {
	for name, s := range map[string]sys{"best": {}, "no openat2": {noOpenat2: true}} {
		t.Run(name, func(t *testing.T) {
			test(t, func(dir string) *Root {
				r, err := openRoot(dir, s)
				if errors.Is(err, errors.ErrUnsupported) {
					t.Skip(err)
				}
				must(t, err)
				t.Cleanup(func() { r.Close() })
				return r
			})
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(content), 0o644))
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return string(b)
}

// hardNames are names that something, somewhere, chokes on.
var hardNames = []string{"-rf", "new\nline", "\xff\xfe", "a b", "..x", "x..", "*", "\\", "~", strings.Repeat("n", 255), "\u00e9", "e\u0301"}

func TestRootHandlesHardNames(t *testing.T) {
	eachRoot(t, func(t *testing.T, open func(string) *Root) {
		r := open(t.TempDir())
		for _, name := range hardNames {
			p := Top.Join(name)
			must(t, r.Mkdir(p, 0o751))
			d, err := r.OpenDir(p)
			must(t, err)
			f, err := d.Create(name, 0o604)
			must(t, err)
			f.WriteString(name)
			f.Close()
			must(t, d.Symlink("../"+name, "link"))
			got, info, err := r.Open(p.Join(name))
			must(t, err)
			b, _ := io.ReadAll(got)
			got.Close()
			if string(b) != name || info.Mode != 0o604 || info.Kind != File || info.Size != int64(len(name)) {
				t.Errorf("%q: read %q, %+v", name, b, info)
			}
			if target, err := r.Readlink(p.Join("link")); err != nil || target != "../"+name {
				t.Errorf("readlink: %q, %v", target, err)
			}
			list, err := d.ReadDir()
			must(t, err)
			if len(list) != 2 || !slices.Contains(list, Dirent{name, File}) || !slices.Contains(list, Dirent{"link", Symlink}) {
				t.Errorf("list: %v", list)
			}
			must(t, d.Close())
		}
		d, err := r.OpenDir(Top)
		must(t, err)
		defer d.Close()
		list, err := d.ReadDir()
		must(t, err)
		if len(list) != len(hardNames) || !slices.IsSortedFunc(list, func(a, b Dirent) int { return strings.Compare(a.Name, b.Name) }) {
			t.Errorf("list of the top: %q", list)
		}
	})
}

func TestRootWorksBelowPathMax(t *testing.T) {
	eachRoot(t, func(t *testing.T, open func(string) *Root) {
		dir := t.TempDir()
		r := open(dir)
		d, err := r.OpenDir(Top)
		must(t, err)
		p := Top
		name := strings.Repeat("d", 200)
		for range 60 {
			sub, err := d.Mkdir(name, 0o755)
			must(t, err)
			must(t, d.Close())
			d, p = sub, p.Join(name)
		}
		f, err := d.Create("x", 0o600)
		must(t, err)
		f.Close()
		must(t, d.Close())
		if info, err := r.Lstat(p.Join("x")); err != nil || info.Kind != File {
			t.Errorf("lstat of a path of %d bytes: %+v, %v", len(p), info, err)
		}
		if info, err := r.Lstat(p.Join("y").Join("z")); err != nil || info != (Info{}) {
			t.Errorf("lstat of an absent deep path: %+v, %v", info, err)
		}
		must(t, r.sys.unlinkDeep(r, p.Join("x")))
		for q := p; q != Top; q = q.Dir() {
			must(t, r.Rmdir(q))
		}
	})
}

// unlinkDeep is the clean-up that t.TempDir cannot do.
func (s *sys) unlinkDeep(r *Root, p RelPath) error {
	return r.at("remove", p, func(dirfd int, name string) error { return s.unlink(OpDrop, dirfd, name) })
}

func TestRootRefusesLinksOnTheWay(t *testing.T) {
	eachRoot(t, func(t *testing.T, open func(string) *Root) {
		base := t.TempDir()
		write(t, base+"/outside/f", "secret")
		write(t, base+"/root/in/f", "inside")
		for _, link := range []struct{ name, target string }{{"out", "../outside"}, {"abs", base + "/outside"}, {"near", "in"}, {"in/up", ".."}} {
			must(t, os.Symlink(link.target, base+"/root/"+link.name))
		}
		r := open(base + "/root")
		for _, p := range []RelPath{"out", "abs", "near", "in/up", "in/up/in"} {
			if _, err := r.OpenDir(p); !errors.Is(err, ErrChanged) {
				t.Errorf("OpenDir(%s): %v", p, err)
			}
			if _, _, err := r.Open(p.Join("f")); !errors.Is(err, ErrChanged) {
				t.Errorf("Open below %s: %v", p, err)
			}
			if err := r.Mkdir(p.Join("new"), 0o755); !errors.Is(err, ErrChanged) {
				t.Errorf("Mkdir below %s: %v", p, err)
			}
			if err := r.Rmdir(p.Join("new")); !errors.Is(err, ErrChanged) {
				t.Errorf("Rmdir below %s: %v", p, err)
			}
			if info, err := r.Lstat(p.Join("f")); err != nil || info != (Info{}) {
				t.Errorf("Lstat below %s: %+v, %v", p, info, err)
			}
		}
		if _, _, err := r.Open("out"); !errors.Is(err, ErrNotRegular) {
			t.Errorf("Open of a link: %v", err)
		}
		link, err := r.Lstat("out")
		must(t, err)
		if err := r.Chmod("out", link, 0o777); !errors.Is(err, ErrChanged) {
			t.Errorf("Chmod of a link: %v", err)
		}
	})
}

func TestRootRefusesUncheckedPaths(t *testing.T) {
	eachRoot(t, func(t *testing.T, open func(string) *Root) {
		base := t.TempDir()
		write(t, base+"/secret", "secret")
		write(t, base+"/root/in/f", "inside")
		r := open(base + "/root")
		for _, p := range []RelPath{"..", "../secret", "in/../../secret", "/etc/passwd", "", "in//f", "./in"} {
			if _, err := r.Lstat(p); !errors.Is(err, ErrBadPath) {
				t.Errorf("Lstat(%q): %v", p, err)
			}
		}
		d, err := r.OpenDir("in")
		must(t, err)
		defer d.Close()
		for _, name := range []string{"..", ".", "", "../..", "a/b", "/etc/passwd"} {
			if _, err := d.Lstat(name); !errors.Is(err, ErrBadPath) {
				t.Errorf("Dir.Lstat(%q): %v", name, err)
			}
		}
	})
}

func TestOpenNeverBlocksOnSpecials(t *testing.T) {
	eachRoot(t, func(t *testing.T, open func(string) *Root) {
		dir := t.TempDir()
		makeSpecials(t, dir)
		must(t, os.Mkdir(dir+"/dir", 0o755))
		r := open(dir)
		list, err := os.ReadDir(dir)
		must(t, err)
		for _, e := range list {
			done := make(chan error, 1)
			go func() {
				_, _, err := r.Open(Top.Join(e.Name()))
				done <- err
			}()
			select {
			case err := <-done:
				if !errors.Is(err, ErrNotRegular) {
					t.Errorf("Open(%s): %v", e.Name(), err)
				}
			case <-time.After(5 * time.Second):
				t.Fatalf("Open(%s) blocks", e.Name())
			}
		}
	})
}

func TestModesAreExact(t *testing.T) {
	restore := setUmask(0o077)
	defer restore()
	eachRoot(t, func(t *testing.T, open func(string) *Root) {
		r := open(t.TempDir())
		d, err := r.OpenDir(Top)
		must(t, err)
		defer d.Close()
		for _, mode := range []uint32{0o777, 0o444, 0o200, 0, 0o666} {
			name := "f" + string(rune('a'+mode%26))
			f, err := d.Create(name, mode)
			must(t, err)
			_, err = f.WriteString("x")
			must(t, err)
			f.Close()
			must(t, r.Mkdir(Top.Join("d"+name), mode))
			for _, n := range []string{name, "d" + name} {
				info, err := d.Lstat(n)
				must(t, err)
				if info.Mode != mode {
					t.Errorf("%s: mode %04o, want %04o", n, info.Mode, mode)
				}
				must(t, r.Chmod(Top.Join(n), info, 0o705))
				if info, _ = d.Lstat(n); info.Mode != 0o705 {
					t.Errorf("%s: after chmod %04o", n, info.Mode)
				}
			}
		}
	})
}

func TestChmodLeavesAnotherInodeAlone(t *testing.T) {
	eachRoot(t, func(t *testing.T, open func(string) *Root) {
		dir := t.TempDir()
		write(t, dir+"/f", "1")
		r := open(dir)
		was, err := r.Lstat("f")
		must(t, err)
		write(t, dir+"/g", "2")
		must(t, os.Rename(dir+"/g", dir+"/f"))
		if err := r.Chmod("f", was, 0o777); !errors.Is(err, ErrChanged) {
			t.Errorf("Chmod: %v", err)
		}
		if now, _ := r.Lstat("f"); now.Mode != 0o644 {
			t.Errorf("mode is %04o", now.Mode)
		}
	})
}

func TestSetTimesKeepsNanosecondsAndLinks(t *testing.T) {
	eachRoot(t, func(t *testing.T, open func(string) *Root) {
		dir := t.TempDir()
		write(t, dir+"/f", "1")
		must(t, os.Symlink("f", dir+"/l"))
		r := open(dir)
		must(t, r.SetTimes("f", 1234567890123456789))
		must(t, r.SetTimes("l", 987654321987654321))
		f, _ := r.Lstat("f")
		l, _ := r.Lstat("l")
		if f.Mtime != 1234567890123456789 || l.Mtime != 987654321987654321 {
			t.Errorf("mtimes %d, %d", f.Mtime, l.Mtime)
		}
	})
}

func TestVerifyNoticesAReplacedRoot(t *testing.T) {
	eachRoot(t, func(t *testing.T, open func(string) *Root) {
		dir := t.TempDir() + "/root"
		must(t, os.Mkdir(dir, 0o755))
		r := open(dir)
		must(t, r.Verify())
		must(t, os.Rename(dir, dir+"2"))
		if err := r.Verify(); !errors.Is(err, ErrGone) {
			t.Errorf("moved: %v", err)
		}
		must(t, os.Mkdir(dir, 0o755))
		if err := r.Verify(); !errors.Is(err, ErrGone) {
			t.Errorf("replaced: %v", err)
		}
		must(t, os.Remove(dir))
		must(t, os.Symlink(dir+"2", dir))
		if err := r.Verify(); !errors.Is(err, ErrGone) {
			t.Errorf("replaced by a link to it: %v", err)
		}
	})
}

func TestClosedRootTouchesNothing(t *testing.T) {
	eachRoot(t, func(t *testing.T, open func(string) *Root) {
		r := open(t.TempDir())
		must(t, r.Close())
		if err := r.Mkdir("x", 0o755); !errors.Is(err, os.ErrClosed) {
			t.Errorf("Mkdir after Close: %v", err)
		}
	})
}

func TestCopyContent(t *testing.T) {
	dir := t.TempDir()
	big := bytes.Repeat([]byte("0123456789abcdef"), 70_000)
	for name, content := range map[string][]byte{"empty": nil, "small": []byte("x"), "big": big} {
		for how, s := range map[string]sys{"best": {}, "no kernel copy": {noReflink: true, noCopyRange: true}} {
			write(t, dir+"/src", string(content))
			src, err := os.Open(dir + "/src")
			must(t, err)
			dst, err := os.Create(dir + "/dst")
			must(t, err)
			copy := (&Copier{sys: &s}).CopyContent
			if how == "best" {
				copy = CopyContent
			}
			got, err := copy(context.Background(), dst, src)
			must(t, err)
			if read(t, dir+"/dst") != string(content) || got.Bytes != int64(len(content)) {
				t.Errorf("%s, %s: %+v", name, how, got)
			}
			src.Close()
			dst.Close()
		}
	}
}

func TestCopyStopsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/src", strings.Repeat("x", 1<<20))
	src, err := os.Open(dir + "/src")
	must(t, err)
	defer src.Close()
	dst, err := os.Create(dir + "/dst")
	must(t, err)
	defer dst.Close()
	ctx, cancel := context.WithCancel(context.Background())
	c := &Copier{sys: &sys{noReflink: true, noCopyRange: true, before: func(op Op, _ string) error {
		if op == OpCopyWrite {
			cancel()
		}
		return nil
	}}}
	if got, err := c.CopyContent(ctx, dst, src); !errors.Is(err, context.Canceled) {
		t.Errorf("copy: %+v, %v", got, err)
	}
}
