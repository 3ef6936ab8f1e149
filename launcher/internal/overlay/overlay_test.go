package overlay

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alca-mount/alca-mount/safety"
)

func TestDecide(t *testing.T) {
	for _, c := range []struct {
		have, want, onStale string
		step                Step
	}{
		{"", "1", "fail", SeedNow}, {"1", "1", "fail", Use}, {"1", "2", "", Warn}, {"1", "2", "warn", Warn},
		{"1", "2", "rerun", Rerun}, {"1", "2", "fail", Fail},
	} {
		if got := Decide(c.have, c.want, c.onStale); got != c.step {
			t.Errorf("Decide(%q, %q, %q) = %d; want %d", c.have, c.want, c.onStale, got, c.step)
		}
	}
}

func TestRecognize(t *testing.T) {
	var got []string
	for _, f := range Recognize([]safety.RelPath{
		"package.json", "web/package.json", "py/uv.lock", "py/pyproject.toml", "Cargo.toml", "php/composer.json", "rb/Gemfile", "j/build.gradle.kts", "package.json.md",
	}) {
		got = append(got, string(f.Path))
	}
	want := []string{"j/.gradle", "j/build", "node_modules", "php/vendor", "py/.venv", "rb/vendor/bundle", "target", "web/node_modules"}
	if !slices.Equal(got, want) {
		t.Errorf("%q; want %q", got, want)
	}
}

func TestLocksFor(t *testing.T) {
	for p, want := range map[safety.RelPath]safety.RelPath{
		"node_modules": "package-lock.json", "a/b/node_modules": "a/b/package-lock.json", "rb/vendor/bundle": "rb/Gemfile.lock", "target": "Cargo.lock",
	} {
		if got := LocksFor(p); !slices.Contains(got, want) {
			t.Errorf("LocksFor(%s) = %q; want %s in it", p, got, want)
		}
	}
	if got := LocksFor("not_node_modules"); got != nil {
		t.Errorf("%q", got)
	}
}

func write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), mode)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A fill that fails, or a kill before its end, leaves nothing that the next use would take for the whole.
func TestHalfADirectoryIsNeverUsed(t *testing.T) {
	project := t.TempDir()
	o, err := Open(project, "", "a/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	boom := errors.New("boom")
	err = o.Make(func(dir string) error {
		write(t, filepath.Join(dir, "a/node_modules/half"), "x", 0o444)
		return errors.Join(boom, os.Chmod(filepath.Join(dir, "a/node_modules"), 0o555))
	})
	if !errors.Is(err, boom) || o.Exists() {
		t.Fatalf("%v, exists %v", err, o.Exists())
	}
	if err := o.Make(func(dir string) error { write(t, filepath.Join(dir, "a/node_modules/f"), "x", 0o644); return nil }); err != nil {
		t.Fatal(err)
	}
	o.Digest = "1"
	if err := o.Make(func(string) error { return boom }); !errors.Is(err, boom) || o.Exists() || o.Digest != "" {
		t.Errorf("made anew: %v, exists %v, digest %q", err, o.Exists(), o.Digest)
	}
}

// A directory that its owner may not write to, as some tools leave theirs, is seeded all the same, and stays that.
func TestWriteProtectedDirectoryIsSeeded(t *testing.T) {
	o, err := Open(t.TempDir(), "", "node_modules")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	defer o.Remove()
	err = o.Make(func(dir string) error {
		write(t, filepath.Join(dir, "node_modules/f"), "x", 0o444)
		return os.Chmod(filepath.Join(dir, "node_modules"), 0o555)
	})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(o.Tree())
	if err != nil || info.Mode().Perm() != 0o555 || read(t, filepath.Join(o.Tree(), "f")) != "x" {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestOnlyOneHasAnOverlay(t *testing.T) {
	project := t.TempDir()
	o, err := Open(project, "x", "node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(project, "x", "node_modules"); !errors.As(err, new(*safety.LockedError)) {
		t.Errorf("a second one: %v", err)
	}
	other, err := Open(project, "", "node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(o.Make(nil), other.Close(), o.Remove()); err != nil {
		t.Fatal(err)
	}
}

// mirror is a mirror of a session, as safety knows it.
func mirror(t *testing.T, session string) *safety.Root {
	t.Helper()
	root, err := safety.OpenRoot(t.TempDir())
	if err == nil {
		err = safety.WriteMarker(root, session)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func TestKilledLaunchesDirectoryIsFetched(t *testing.T) {
	project, m := t.TempDir(), mirror(t, "dead")
	o, err := Open(project, "", "node_modules")
	if err == nil {
		err = o.Make(nil)
	}
	o.Digest = "1"
	if err = errors.Join(err, o.PutInto(t.Context(), m, "dead")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(m.Path(), "node_modules/f"), "work", 0o644)
	if list, err := Of(project, "dead"); err != nil || len(list) != 1 {
		t.Errorf("Of: %v, %v", list, err)
	}
	o.Close() // killed
	if o, err = Open(project, "", "node_modules"); err == nil {
		err = o.Fetch(t.Context())
	}
	if err != nil || read(t, filepath.Join(o.Tree(), "f")) != "work" || o.Digest != "1" || o.Session != "" {
		t.Errorf("%v, %+v", err, o)
	}
	// Another session's mirror at the same path is none of ours.
	if err := o.Drop(); err != nil {
		t.Fatal(err)
	}
	o.Session, o.Mirror = "dead", mirror(t, "other").Path()
	write(t, filepath.Join(o.Mirror, "node_modules/f"), "other's", 0o644)
	if err := o.Fetch(t.Context()); err != nil || o.Exists() {
		t.Errorf("%v, exists %v", err, o.Exists())
	}
}

// What the agent puts in the place of the directory is never followed or taken.
func TestTakeOutLeavesWhatIsNoDirectory(t *testing.T) {
	outside := t.TempDir()
	write(t, filepath.Join(outside, "precious"), "x", 0o644)
	m := mirror(t, "s")
	o, err := Open(t.TempDir(), "", "node_modules")
	if err == nil {
		err = errors.Join(o.Make(nil), o.PutInto(t.Context(), m, "s"))
	}
	at := filepath.Join(m.Path(), "node_modules")
	if err = errors.Join(err, os.Remove(at), os.Symlink(outside, at)); err != nil {
		t.Fatal(err)
	}
	if err := o.TakeOut(t.Context(), m); err != nil || o.Exists() || o.Digest != "" {
		t.Errorf("%v, exists %v", err, o.Exists())
	}
	if _, err := os.Lstat(o.Tree()); err == nil {
		t.Error("the link was taken")
	}
	read(t, filepath.Join(outside, "precious"))
}

func TestRelocate(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "bin"), "#!/old/.venv/bin/python", 0o755)
	write(t, filepath.Join(dir, "bin/pip"), "#!/old/.venv/bin/python\n", 0o755)
	write(t, filepath.Join(dir, "bin/prog"), "\x7fELF\x00/old/.venv", 0o755)
	if err := os.Symlink(filepath.Join(outside, "bin"), filepath.Join(dir, "bin/link")); err != nil {
		t.Fatal(err)
	}
	if err := Relocate(dir, "/old/.venv", "/new/.venv"); err != nil || !strings.Contains(read(t, filepath.Join(dir, "bin/pip")), "/old/") {
		t.Errorf("no environment, and %q (%v)", read(t, filepath.Join(dir, "bin/pip")), err)
	}
	write(t, filepath.Join(dir, "pyvenv.cfg"), "command = python -m venv /old/.venv\n", 0o644)
	if err := Relocate(dir, "/old/.venv", "/new/.venv"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(dir, "bin/pip")); got != "#!/new/.venv/bin/python\n" {
		t.Errorf("%q", got)
	}
	if info, err := os.Stat(filepath.Join(dir, "bin/pip")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info, err)
	}
	if got := read(t, filepath.Join(dir, "pyvenv.cfg")); !strings.Contains(got, "/new/.venv") {
		t.Errorf("%q", got)
	}
	if got := read(t, filepath.Join(outside, "bin")); !strings.Contains(got, "/old/") {
		t.Errorf("written through a link: %q", got)
	}
}

func TestForeign(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.js"), "text", 0o755)
	if why, err := Foreign(dir, Glibc); why != "" || err != nil {
		t.Errorf("%q, %v", why, err)
	}
	head := make([]byte, 64) // of an ELF file for a machine that nobody has
	copy(head, "\x7fELF\x02\x01\x01")
	binary.LittleEndian.PutUint16(head[16:], 3)
	binary.LittleEndian.PutUint16(head[18:], 2) // EM_SPARC
	binary.LittleEndian.PutUint32(head[20:], 1)
	binary.LittleEndian.PutUint16(head[52:], 64)
	write(t, filepath.Join(dir, "p/b.node"), string(head), 0o644)
	if why, err := Foreign(dir, Glibc); !strings.Contains(why, "p/b.node is made for EM_SPARC") || err != nil {
		t.Errorf("%q, %v", why, err)
	}
	mac := make([]byte, 32) // a 64-bit Mach-O header without commands
	binary.LittleEndian.PutUint32(mac, 0xfeedfacf)
	binary.LittleEndian.PutUint32(mac[4:], 0x01000007)
	write(t, filepath.Join(dir, "p/b.node"), string(mac), 0o644)
	if why, err := Foreign(dir, Glibc); !strings.Contains(why, "made for macOS") || err != nil {
		t.Errorf("%q, %v", why, err)
	}
}

// What is made for one C library is foreign where the image has the other.
func TestForeignLibrary(t *testing.T) {
	for _, c := range []struct {
		libs []string
		want Library
	}{{[]string{"libdl.so.2", "libc.so.6"}, Glibc}, {[]string{"libstdc++.so.6", "libc.musl-x86_64.so.1"}, Musl}, {[]string{"libz.so.1"}, ""}, {nil, ""}} {
		if got := madeFor(c.libs); got != c.want {
			t.Errorf("madeFor(%q) = %q, want %q", c.libs, got, c.want)
		}
	}
	program, err := exec.LookPath("cp")
	if err != nil {
		t.Skip("no program to look at")
	}
	text := read(t, program)
	f, err := elf.NewFile(strings.NewReader(text))
	if err != nil {
		t.Skip(err)
	}
	libs, err := f.ImportedLibraries()
	made := madeFor(libs)
	if err != nil || made == "" {
		t.Skip("no program for a known library")
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "m.node"), text, 0o644)
	for _, lib := range []Library{Glibc, Musl} {
		if why, err := Foreign(dir, lib); err != nil || (why == "") != (lib == made) {
			t.Errorf("made for %s, in an image with %s: %q, %v", made, lib, why, err)
		}
	}
}
