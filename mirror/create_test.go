package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror/mirrortest"
	"github.com/alca-mount/alca-mount/safety"
	"github.com/google/go-cmp/cmp"
)

func rules(hidden, readOnly string) dotfiles.Rules {
	r := dotfiles.Rules{}
	for _, p := range strings.Fields(hidden) {
		r.Hidden = append(r.Hidden, dotfiles.Rule{Pattern: p, Source: ".agentignore"})
	}
	for _, p := range strings.Fields(readOnly) {
		r.ReadOnly = append(r.ReadOnly, dotfiles.Rule{Pattern: p, Source: ".agentreadonly"})
	}
	return r
}

func policyOf(t testing.TB, r dotfiles.Rules) *dotfiles.Policy {
	t.Helper()
	p, err := dotfiles.New(r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// world is a project, a state directory and what a test makes of them.
type world struct {
	t       testing.TB
	project string
	state   *StateDir
	mirror  string
}

func newWorld(t testing.TB, lines ...string) *world {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, project: filepath.Join(dir, "project"), state: NewStateDir(filepath.Join(dir, "state")), mirror: filepath.Join(dir, "mirror")}
	mirrortest.Make(t, w.project, lines...)
	t.Cleanup(func() { mirrortest.OpenUp(dir) })
	return w
}

func (w *world) session() *Session {
	w.t.Helper()
	s, err := w.state.New(w.project, Record{Project: w.project, Created: time.Now()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = s.Unlock() })
	return s
}

func (w *world) try(opts Options) (*Mirror, error) {
	w.t.Helper()
	if opts.Session == nil {
		opts.Session = w.session()
	}
	m, err := Create(w.t.Context(), w.project, w.mirror, opts)
	if err == nil {
		w.t.Cleanup(func() { _ = m.Close() })
	}
	return m, err
}

func (w *world) create(opts Options) *Mirror {
	w.t.Helper()
	m, err := w.try(opts)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// everything is a policy that leaves nothing out.
func everything(t testing.TB) *dotfiles.Policy { return policyOf(t, dotfiles.Rules{NoDefaults: true}) }

// same fails unless rsync finds no difference: content, mode, time, owner, links, ACLs and attributes.
func same(t testing.TB, project, mirror string) {
	t.Helper()
	if _, err := exec.LookPath("rsync"); err != nil {
		t.Skip("no rsync")
	}
	out, err := exec.Command("rsync", "-aXAin", "--checksum", "--delete", "--exclude=/"+safety.MarkerName, "--exclude=/"+ReadmeName,
		project+"/", mirror+"/").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("rsync: %v\n%s", err, out)
	}
}

var plainTree = []string{
	"a = hello", "run.sh 0755 = #!/bin/sh", "ro 0444 = x", "private 0600 = y", "odd 0741 = z", "group 0664 = g", "empty",
	"d/", "d/e/f/g = deep", "closed/ 0555", "closed/f = in", "closed/sub/ 0500", "closed/sub/x 0400 = in", "shared/ 1777", "tight/ 0700",
	"l -> a", "d/up -> ../a", "dir -> d/e", "dangling -> nowhere", "hard1 = same", "hard2 => hard1",
	`"new\nline" = 1`, `"-rf" = 2`, `"\xff\xfe bytes" = 3`, `"sp ace/ta\tb" = 4`, `"a*?[]\\" = 5`,
	"name" + strings.Repeat("x", 251) + " = 6", "_MOUNT_README.md.bak = 7",
}

func TestMirrorIsFaithful(t *testing.T) {
	w := newWorld(t, plainTree...)
	mirrortest.Age(t, w.project)
	before := mirrortest.List(t, w.project)
	m := w.create(Options{Policy: everything(t)})
	same(t, w.project, w.mirror)
	if diff := cmp.Diff(before, mirrortest.List(t, w.project)); diff != "" {
		t.Errorf("the project changed: %s", diff)
	}
	if len(m.Built.Skipped) > 0 || m.Built.Files != 19 || m.Built.Dirs != 8 || m.Built.Links != 4 {
		t.Errorf("%+v", m.Built)
	}
}

func TestMirrorSharesNoInodeAndHardLinksComeApart(t *testing.T) {
	w := newWorld(t, "hard1 = same", "hard2 => hard1")
	m := w.create(Options{Policy: everything(t)})
	h1, h2 := m.Base.Get("hard1"), m.Base.Get("hard2")
	if h1.Project.Ino != h2.Project.Ino || h1.Mirror.Ino == h2.Mirror.Ino || h1.Mirror.Ino == h1.Project.Ino {
		t.Errorf("%+v\n%+v", h1, h2)
	}
}

func TestMirrorIsAsCpDoesIt(t *testing.T) {
	w := newWorld(t, plainTree...)
	mirrortest.Age(t, w.project)
	w.create(Options{Policy: everything(t)})
	oracle := filepath.Join(t.TempDir(), "oracle")
	if out, err := exec.Command("cp", "-a", w.project, oracle).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { mirrortest.OpenUp(oracle) })
	got := slices.DeleteFunc(mirrortest.List(t, w.mirror), func(s string) bool {
		return strings.HasPrefix(s, safety.MarkerName) || strings.HasPrefix(s, ReadmeName+" ")
	})
	if diff := cmp.Diff(mirrortest.List(t, oracle), got); diff != "" {
		t.Error(diff)
	}
}

func TestMirrorKeepsPathsLongerThanOneCallTakes(t *testing.T) {
	w := newWorld(t)
	dir, err := os.OpenRoot(w.project)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("n", 250)
	for range 30 {
		if err := dir.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := dir.OpenRoot(name)
		if err != nil {
			t.Fatal(err)
		}
		dir.Close()
		dir = next
	}
	defer dir.Close()
	if err := dir.WriteFile("f", []byte("deep"), 0o644); err != nil {
		t.Fatal(err)
	}
	m := w.create(Options{Policy: everything(t)})
	p := safety.RelPath(strings.Repeat(name+"/", 30) + "f")
	f, _, err := m.Root.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if m.Built.Dirs != 30 || m.Built.Files != 1 || m.Base.Get(p).State.Content.Size != 4 {
		t.Errorf("%+v", m.Built)
	}
}

func TestMirrorKeepsAttributesAndACLs(t *testing.T) {
	w := newWorld(t, "f = x", "ro 0444 = x", "d/ 0555", "d/in = y")
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = w.project
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("%s %v: %v: %s", name, args, err, out)
		}
	}
	run("chmod", "u+w", "ro", "d")
	run("setfattr", "-n", "user.note", "-v", "kept", "f", "ro", "d")
	run("setfacl", "-m", "u:1:r,g:2:rx", "f", "d")
	run("setfacl", "-d", "-m", "u:3:rwx", "d")
	run("chmod", "u-w", "ro", "d")
	mirrortest.Age(t, w.project)
	w.create(Options{Policy: everything(t)})
	same(t, w.project, w.mirror)
}

func TestMirrorKeepsOwnersAsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	w := newWorld(t, "f = x", "theirs 0640 = y", "suid 4755 = z", "d/", "d/sub/ 2775", "d/sub/x = g", "l -> f")
	for p, id := range map[string][2]int{"theirs": {1001, 1002}, "suid": {1001, 1001}, "d": {1003, 0}, "d/sub": {1003, 1004}, "l": {1005, 1005}, "": {1006, 1006}} {
		if err := os.Lchown(filepath.Join(w.project, p), id[0], id[1]); err != nil {
			t.Fatal(err)
		}
	}
	for p, mode := range map[string]os.FileMode{"suid": 0o755 | os.ModeSetuid, "d/sub": 0o775 | os.ModeSetgid} {
		if err := os.Chmod(filepath.Join(w.project, p), mode); err != nil {
			t.Fatal(err)
		}
	}
	mirrortest.Age(t, w.project)
	w.create(Options{Policy: everything(t)})
	same(t, w.project, w.mirror)
}

func TestMirrorKeepsHoles(t *testing.T) {
	w := newWorld(t)
	f, err := os.Create(filepath.Join(w.project, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("middle"), 40<<20); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(200 << 20); err != nil {
		t.Fatal(err)
	}
	m := w.create(Options{Policy: everything(t)})
	same(t, w.project, w.mirror)
	info, err := m.Root.Lstat("sparse")
	if err != nil || info.Size != 200<<20 || info.Blocks*512 > 1<<20 {
		t.Errorf("%v: %d bytes in %d blocks", err, info.Size, info.Blocks)
	}
}

func TestHiddenIsNotThereAndReadOnlyLosesWriteBits(t *testing.T) {
	w := newWorld(t, ".env = SECRET", "secrets/key = SECRET", "src/main.go = m", "src/.env = SECRET", "node_modules/x/y = n",
		".git/config = g", "tools/run 0755 = r", "tools/data 0664 = d", "LICENSE = l")
	m := w.create(Options{Policy: policyOf(t, rules(".env secrets/", "tools/ LICENSE"))})
	want := []string{
		".alca-mount", "LICENSE 0444 = l", "_MOUNT_README.md", "src/", "src/main.go = m",
		"tools/ 0555", "tools/data 0444 = d", "tools/run 0555 = r",
	}
	got := mirrortest.List(t, w.mirror)
	for i := range got {
		if strings.HasPrefix(got[i], ".alca-mount") || strings.HasPrefix(got[i], "_MOUNT") {
			got[i], _, _ = strings.Cut(got[i], " ")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if m.Built.Hidden != 3 || m.Built.ReadOnly != 3 || m.Built.Unguarded != 0 {
		t.Errorf("%+v", m.Built)
	}
	if mode := m.Base.Get("tools").Mirror.Mode; mode != 0o555 {
		t.Errorf("the base has mode %o for tools", mode)
	}
	leaks(t, w.mirror, "SECRET")
	leaks(t, w.mirror, "secrets")
}

func leaks(t testing.TB, dir, secret string) {
	t.Helper()
	out, err := exec.Command("grep", "-rla", secret, dir).Output()
	if err == nil {
		t.Errorf("%q is in %s", secret, out)
	}
}

func TestReadmeOfTheProjectWins(t *testing.T) {
	w := newWorld(t, "_MOUNT_README.md = mine")
	m := w.create(Options{Policy: everything(t)})
	same(t, w.project, w.mirror)
	if m.Base.Get(ReadmeName).State.Absent() || m.Base.ownReadme {
		t.Error("it is not taken for the project's")
	}
	for _, side := range []Side{ProjectSide, MirrorSide} {
		if tree := scanOf(t, m, side); tree.Get(ReadmeName).Info.Kind != safety.File {
			t.Errorf("the %s's scan does not list it", side)
		}
	}
}

func TestMarkerAndOwnReadmeAreNeverListed(t *testing.T) {
	w := newWorld(t, "f", ".alca-mount = mine", "d/.alca-mount = deep", "d/_MOUNT_README.md = deep")
	m := w.create(Options{Policy: everything(t)})
	mirrortest.Make(t, w.project, "_MOUNT_README.md = made later")
	want := []string{"d", "d/.alca-mount", "d/_MOUNT_README.md", "f"}
	for _, side := range []Side{ProjectSide, MirrorSide} {
		if diff := cmp.Diff(want, paths(scanOf(t, m, side))); diff != "" {
			t.Errorf("%s: %s", side, diff)
		}
	}
	if diff := cmp.Diff([]Skipped{{".alca-mount", "the name is alca-mount's own"}}, m.Built.Skipped); diff != "" {
		t.Error(diff)
	}
}

func scanOf(t testing.TB, m *Mirror, side Side) *Tree {
	t.Helper()
	tree, err := m.Scan(t.Context(), side)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func paths(tree *Tree) []string {
	var out []string
	for p := range tree.All() {
		out = append(out, string(p))
	}
	return out
}

func TestSpecialAndUnreadableEntriesAreLeftOutAndNamed(t *testing.T) {
	w := newWorld(t, "fifo|", "sock=", "ok = x", "d/fifo|", "locked 0000 = x", "shut/ 0000", "unlisted/ 0300")
	m := w.create(Options{Policy: everything(t)})
	want := []Skipped{
		{"d/fifo", "not a regular file, directory or link"},
		{"fifo", "not a regular file, directory or link"},
		{"sock", "not a regular file, directory or link"},
	}
	if os.Geteuid() != 0 {
		want = slices.Insert(want, 2, Skipped{"locked", "permission denied"}, Skipped{"shut", "permission denied"})
		want = append(want, Skipped{"unlisted", "permission denied"})
	}
	if diff := cmp.Diff(want, m.Built.Skipped); diff != "" {
		t.Error(diff)
	}
	if m.Base.Get("ok").State.Absent() {
		t.Error("the rest is not mirrored")
	}
	if os.Geteuid() != 0 {
		if diff := cmp.Diff([]Skipped{{"shut", "permission denied"}, {"unlisted", "permission denied"}}, scanOf(t, m, ProjectSide).Trouble); diff != "" {
			t.Errorf("trouble: %s", diff)
		}
	}
}

func TestLinksOfEachMode(t *testing.T) {
	w := newWorld(t, "a/f = x", ".env = SECRET", "in -> a/f", "dir -> a", "away -> /etc/passwd", "up -> ../x", "secret -> .env",
		"a/self -> ../in")
	if err := os.Symlink(filepath.Join(w.project, "a", "f"), filepath.Join(w.project, "a", "abs")); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[Links][]string{
		KeepLinks:   {"a/abs -> f", "a/f = x", "a/self -> ../in", "dir -> a", "in -> a/f"},
		FollowLinks: {"a/abs 0444 = x", "a/f = x", "a/self 0444 = x", "in 0444 = x"},
		SkipLinks:   {"a/f = x"},
	} {
		w.mirror = filepath.Join(t.TempDir(), "m")
		m := w.create(Options{Policy: policyOf(t, rules(".env", "")), Links: mode})
		got := slices.DeleteFunc(mirrortest.List(t, w.mirror), func(s string) bool {
			return strings.HasPrefix(s, ".alca") || strings.HasPrefix(s, "_MOUNT") || s == "a/"
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("links %d: %s", mode, diff)
		}
		if n := len(m.Built.Skipped) + len(want); n != 8 {
			t.Errorf("links %d: %d links and files told of, of 8: %v", mode, n, m.Built.Skipped)
		}
		leaks(t, w.mirror, "SECRET")
	}
}

func TestBaseHoldsBothSidesAsTheyAre(t *testing.T) {
	w := newWorld(t, plainTree...)
	mirrortest.Age(t, w.project)
	time.Sleep(3 * fineTick)
	m := w.create(Options{Policy: everything(t)})
	fromFile, err := ReadBase(baseFile(m.Session))
	if err != nil {
		t.Fatal(err)
	}
	for _, base := range []*Base{m.Base, fromFile} {
		for _, side := range []Side{ProjectSide, MirrorSide} {
			tree := scanOf(t, m, side)
			if tree.Len() != base.Len() {
				t.Errorf("%s: %d entries, the base has %d", side, tree.Len(), base.Len())
			}
			for p, found := range tree.All() {
				e := base.Get(p)
				stamp := e.Project
				if side == MirrorSide {
					stamp = e.Mirror
				}
				if stamp != StampOf(found.Info) {
					t.Errorf("%s %q: base %+v, scan %+v", side, p, stamp, StampOf(found.Info))
				}
				if e.State.Kind != safety.File {
					continue
				}
				root := map[Side]*safety.Root{ProjectSide: m.Project, MirrorSide: m.Root}[side]
				content, info, err := Hash(t.Context(), root, p)
				if err != nil || content != e.State.Content || info.Exec() != e.State.Exec {
					t.Errorf("%s %q: %v, hash %+v, base %+v", side, p, err, content, e.State)
				}
			}
		}
	}
}

func TestYoungEntriesAreNotProvenByTheirStamp(t *testing.T) {
	const now = int64(1_700_000_000_123456789)
	for _, c := range []struct {
		what         string
		kind         safety.Kind
		mtime, ctime int64 // before now, in milliseconds; 0: whole seconds
		want         bool
	}{
		{"old", safety.File, 500, 500, false},
		{"just written", safety.File, 1, 1, true},
		{"one tick and a half", safety.File, 15, 15, true},
		{"put back in time", safety.File, 1e9, 1, true},
		{"in the future", safety.File, -5000, -5000, true},
		{"a directory has no times in its stamp", safety.Directory, 1, 1, false},
	} {
		i := safety.Info{Kind: c.kind, Mtime: now - c.mtime*1e6, Ctime: now - c.ctime*1e6}
		if got := young(i, now); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
	coarse := safety.Info{Kind: safety.File, Mtime: now - now%1e9 - 1e9, Ctime: now - now%1e9 - 1e9}
	if !young(coarse, now) || young(coarse, now+4e9) {
		t.Error("a clock of whole seconds is taken for a fine one")
	}
}

func TestYoungProjectEntriesAreLookedAtAgain(t *testing.T) {
	w := newWorld(t, "old = x", "young = y")
	later := time.Now().Add(time.Minute) // as young as can be, however slow the machine
	if err := os.Chtimes(filepath.Join(w.project, "young"), later, later); err != nil {
		t.Fatal(err)
	}
	time.Sleep(4 * fineTick)
	m := w.create(Options{Policy: everything(t)})
	if old, young := m.Base.Get("old").Project, m.Base.Get("young").Project; !old.Proven() || young.Proven() || young.Ino == 0 {
		t.Errorf("old: %+v\nyoung: %+v", old, young)
	}
}

// Where syncing to disk costs nothing, little time passes between the last copy and Create's return.
func TestFirstEditOfAMirrorMovesTheStamp(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "mirror")
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	firstEditShows(t, dir)
}

func firstEditShows(t *testing.T, dir string) {
	w := newWorld(t)
	w.project = mirrortest.Make(t, filepath.Join(dir, "project"), "f = x")
	for i := range 8 {
		unsettled := i%2 == 1
		w.state, w.mirror = NewStateDir(filepath.Join(dir, fmt.Sprint("state", i))), filepath.Join(dir, fmt.Sprint("mirror", i))
		m := w.create(Options{Policy: everything(t), Unsettled: unsettled})
		if unsettled {
			if err := m.Rest(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		was := m.Base.Get("f").Mirror
		f, err := os.OpenFile(filepath.Join(w.mirror, "f"), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteString("y")
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		info, err := m.Root.Lstat("f")
		if err != nil || StampOf(info) == was {
			t.Errorf("an edit %v after the copy does not show: %v", time.Since(time.Unix(0, was.Ctime)), err)
		}
	}
}

func TestSetIDBitsAreKeptOnlyForTheSameOwner(t *testing.T) {
	source := safety.Info{Mode: 0o7755, UID: 1, GID: 2}
	for _, c := range []struct {
		uid, gid uint32
		access   dotfiles.Access
		want     uint32
	}{
		{1, 2, dotfiles.Writable, 0o7755},
		{9, 2, dotfiles.Writable, 0o3755},
		{1, 9, dotfiles.Writable, 0o5755},
		{9, 9, dotfiles.ReadOnly, 0o1555},
		{1, 2, dotfiles.ReadOnly, 0o7555},
	} {
		if got := mirrorMode(source, safety.Info{UID: c.uid, GID: c.gid}, c.access); got != c.want {
			t.Errorf("owner %d:%d, %s: %o, want %o", c.uid, c.gid, c.access, got, c.want)
		}
	}
}

// What a first copy left behind shows whether there was a second one.
func TestFileThatMovedDuringItsCopyIsCopiedAfresh(t *testing.T) {
	w := newWorld(t, "f = now")
	root, err := safety.OpenRoot(w.project)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	top, err := root.OpenDir(safety.Top)
	if err != nil {
		t.Fatal(err)
	}
	defer top.Close()
	for moved, want := range map[bool]string{false: "now behind", true: "now"} {
		from, info, err := top.OpenListed(safety.Dirent{Name: "f", Kind: safety.File})
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		copied := fmt.Sprintf("copy, moved %v", moved)
		to, err := top.Make(copied, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer to.Close()
		if err := os.WriteFile(filepath.Join(w.project, copied), []byte("xxx behind"), 0o600); err != nil {
			t.Fatal(err)
		}
		if moved {
			info.Ctime--
		}
		d := &dirWork{builder: &builder{copier: &safety.Copier{}, to: root}}
		_, after, settled, err := d.content(t.Context(), to, from, info)
		data, readErr := os.ReadFile(filepath.Join(w.project, copied))
		if err != nil || readErr != nil || !settled || string(data) != want {
			t.Errorf("moved %v: %v, %v, settled %v, %q, want %q", moved, err, readErr, settled, data, want)
		}
		if again, err := from.Stat(); err != nil || again != after {
			t.Errorf("%v: %+v, want %+v", err, after, again)
		}
	}
}

func TestFileWithAWriterIsLookedAtAgain(t *testing.T) {
	w := newWorld(t, "closed = x", "open = x")
	f, err := os.OpenFile(filepath.Join(w.project, "open"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	time.Sleep(4 * fineTick)
	m := w.create(Options{Policy: everything(t)})
	if m.Base.Get("open").Project != (Stamp{}) {
		t.Error("a file that is open for writing counts as copied for good")
	}
	if runtime.GOOS == "linux" && m.Base.Get("closed").Project == (Stamp{}) {
		t.Skip("this file system does not tell of writers")
	}
}

// A writer goes on changing files while they are copied. Each copy is a version that the file had as a whole, or the
// base says to look at it again.
func TestFileThatChangesWhileItIsCopiedIsNotTakenForCopied(t *testing.T) {
	w := newWorld(t)
	const size = 3 << 20
	file := filepath.Join(w.project, "busy")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write := func(c byte) {
		if _, err := f.WriteAt(bytes.Repeat([]byte{c}, size), 0); err != nil {
			t.Error(err)
		}
	}
	write('a')
	var stop atomic.Bool
	var writing sync.WaitGroup
	writing.Go(func() {
		for c := byte('a'); !stop.Load(); c = 'a' + (c+1-'a')%26 {
			write(c)
		}
	})
	for n := range 6 {
		w.mirror = filepath.Join(t.TempDir(), fmt.Sprint(n))
		m := w.create(Options{Policy: everything(t)})
		data, err := os.ReadFile(filepath.Join(w.mirror, "busy"))
		if err != nil {
			t.Fatal(err)
		}
		whole := len(data) == size && bytes.Count(data, data[:1]) == size
		e := m.Base.Get("busy")
		if !whole && e.Project != (Stamp{}) {
			t.Errorf("a torn copy of %d bytes is recorded as %+v", len(data), e)
		}
		if int64(len(data)) != e.State.Content.Size {
			t.Errorf("the base has %d bytes of %d", e.State.Content.Size, len(data))
		}
	}
	stop.Store(true)
	writing.Wait()
}

func TestVanishingEntriesAreNoError(t *testing.T) {
	w := newWorld(t)
	var stop atomic.Bool
	var racing sync.WaitGroup
	racing.Go(func() {
		for n := 0; !stop.Load(); n++ {
			d := filepath.Join(w.project, fmt.Sprint("d", n%7))
			_ = os.MkdirAll(filepath.Join(d, "sub"), 0o755)
			_ = os.WriteFile(filepath.Join(d, "sub", "f"), []byte("x"), 0o644)
			_ = os.Symlink("f", filepath.Join(d, "sub", "l"))
			_ = os.RemoveAll(filepath.Join(w.project, fmt.Sprint("d", (n+3)%7)))
		}
	})
	for n := range 20 {
		w.mirror = filepath.Join(t.TempDir(), fmt.Sprint(n))
		m := w.create(Options{Policy: everything(t)})
		scanOf(t, m, ProjectSide)
	}
	stop.Store(true)
	racing.Wait()
}

func TestCreateRefusesWhatIsThereAndLeavesIt(t *testing.T) {
	w := newWorld(t, "f = x")
	full := mirrortest.Make(t, filepath.Join(filepath.Dir(w.project), "full"), "keep = me")
	w.mirror = full
	if _, err := w.try(Options{Policy: everything(t)}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a full directory: %v", err)
	}
	if diff := cmp.Diff([]string{"keep = me"}, mirrortest.List(t, full)); diff != "" {
		t.Error(diff)
	}

	w.mirror = filepath.Join(filepath.Dir(w.project), "other")
	other := w.create(Options{Policy: everything(t)})
	before := mirrortest.List(t, w.mirror)
	_, err := w.try(Options{Policy: everything(t)})
	if err == nil || !strings.Contains(err.Error(), "alca-mount recover "+other.Session.ID) {
		t.Errorf("another's mirror: %v", err)
	}
	if diff := cmp.Diff(before, mirrortest.List(t, w.mirror)); diff != "" {
		t.Error(diff)
	}

	for _, dir := range []string{w.project, filepath.Join(w.project, "in"), filepath.Dir(w.project)} {
		w.mirror = dir
		if _, err := w.try(Options{Policy: everything(t)}); err == nil {
			t.Errorf("a mirror at %s was made", dir)
		}
	}
	if diff := cmp.Diff([]string{"f = x"}, mirrortest.List(t, w.project)); diff != "" {
		t.Error(diff)
	}
}

func TestFailedCreateLeavesNothing(t *testing.T) {
	w := newWorld(t, plainTree...)
	above := filepath.Dir(w.project)
	w.mirror = filepath.Join(above, "x", "y", "mirror")
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	opts := Options{Policy: everything(t), Session: w.session(), Workers: 1, Progress: func(Progress) { calls++; cancel() }}
	if _, err := Create(ctx, w.project, w.mirror, opts); err == nil || calls != 1 {
		t.Fatalf("%v after %d calls", err, calls)
	}
	if _, err := os.Lstat(filepath.Join(above, "x")); !os.IsNotExist(err) {
		t.Errorf("left behind: %v", mirrortest.List(t, filepath.Join(above, "x")))
	}

	w.mirror = mirrortest.Make(t, filepath.Join(above, "empty"))
	if err := os.Chmod(w.mirror, 0o750); err != nil {
		t.Fatal(err)
	}
	opts.Session = w.session()
	if _, err := Create(ctx, w.project, w.mirror, opts); err == nil {
		t.Fatal("no error")
	}
	info, err := os.Lstat(w.mirror)
	if err != nil || info.Mode().Perm() != 0o750 || len(mirrortest.List(t, w.mirror)) > 0 {
		t.Errorf("an empty directory that was there before: %v, %v", err, info)
	}
}

func TestNobodyElseGetsIntoAMirrorThatIsBeingBuilt(t *testing.T) {
	w := newWorld(t, "f = x")
	w.mirror = filepath.Join(filepath.Dir(w.project), "new", "mirror")
	var during os.FileMode
	w.create(Options{Policy: everything(t), Progress: func(Progress) {
		info, err := os.Stat(w.mirror)
		if err != nil {
			t.Error(err)
			return
		}
		during = info.Mode().Perm()
	}})
	after, err := os.Stat(w.mirror)
	if err != nil || during != 0o700 || after.Mode().Perm() != 0o755 {
		t.Errorf("%v: %o while it was built, %v then", err, during, after.Mode())
	}
	if above, err := os.Stat(filepath.Dir(w.mirror)); err != nil || above.Mode().Perm() != 0o700 {
		t.Errorf("%v: the directory above has %v", err, above.Mode())
	}
}

func TestAttachTakesUpWhatCreateMade(t *testing.T) {
	w := newWorld(t, "f = x", "d/g = y", ".env = SECRET")
	made := w.create(Options{Policy: policyOf(t, rules(".env", "d/"))})
	mirrortest.Make(t, w.project, ".agentignore = f\n")
	m, err := Attach(t.Context(), w.project, w.mirror, Options{Session: made.Session})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Base.Len() != made.Base.Len() || m.Base.Get("f") != made.Base.Get("f") {
		t.Error("another base")
	}
	for p, want := range map[string]dotfiles.Access{".env": dotfiles.Hidden, "f": dotfiles.Hidden, "d/g": dotfiles.ReadOnly, "new": dotfiles.Writable} {
		if got := m.Policy.Access(p, false); got != want {
			t.Errorf("%s is %s, want %s: the stricter of then and now", p, got, want)
		}
	}
	stranger := newWorld(t, "f = x")
	if m, err := Attach(t.Context(), stranger.project, w.mirror, Options{Session: made.Session}); err == nil {
		m.Close()
		t.Error("attached to another project")
	}
	first := w.mirror
	w.mirror += "2"
	second := w.create(Options{Policy: everything(t)})
	if m, err := Attach(t.Context(), w.project, first, Options{Session: second.Session}); err == nil {
		m.Close()
		t.Error("attached the mirror of another session")
	}
}

func TestRemoveTakesTheMirrorAndNothingElse(t *testing.T) {
	w := newWorld(t, append(plainTree, "x/ 0555", "x/y/ 0555", "x/y/f 0444")...)
	mirrortest.Age(t, w.project)
	before := mirrortest.List(t, w.project)
	m := w.create(Options{Policy: everything(t)})
	if err := os.Symlink(w.project, filepath.Join(w.mirror, "to-project")); err != nil {
		t.Fatal(err)
	}
	if err := m.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(w.mirror); !os.IsNotExist(err) {
		t.Errorf("still there: %v", err)
	}
	if diff := cmp.Diff(before, mirrortest.List(t, w.project)); diff != "" {
		t.Error(diff)
	}
}

func TestRemoveRefusesAnUnmarkedDirectory(t *testing.T) {
	w := newWorld(t, "f = x")
	m := w.create(Options{Policy: everything(t)})
	if err := os.Remove(filepath.Join(w.mirror, safety.MarkerName)); err != nil {
		t.Fatal(err)
	}
	if err := m.Remove(t.Context()); err == nil {
		t.Error("removed")
	}
	if _, err := os.Lstat(filepath.Join(w.mirror, "f")); err != nil {
		t.Error(err)
	}
}

func TestProgressIsOneCallAtATime(t *testing.T) {
	var lines []string
	for n := range 2000 {
		lines = append(lines, fmt.Sprintf("d%d/f%d = some text", n%50, n))
	}
	w := newWorld(t, lines...)
	var inside atomic.Int32
	var last Progress
	m := w.create(Options{Policy: everything(t), Workers: 8, Progress: func(p Progress) {
		if inside.Add(1) != 1 {
			t.Error("two calls at once")
		}
		last = p
		inside.Add(-1)
	}})
	if last.Files == 0 || last.Files > int64(m.Built.Files) || m.Built.Files != 2000 || m.Built.Bytes != 18000 {
		t.Errorf("%+v, %+v", last, m.Built)
	}
}

func TestScanOfTheMirrorListsHiddenEntriesButNotWhatIsBelow(t *testing.T) {
	w := newWorld(t, "f = x", "secrets/deep/key = s", "node_modules/a = n")
	m := w.create(Options{Policy: policyOf(t, rules("secrets/ .env", ""))})
	mirrortest.Make(t, w.mirror, "secrets/new/key = made by the agent", ".env = made", "node_modules/b/c = built", "made = up")
	got := map[string]dotfiles.Access{}
	for p, f := range scanOf(t, m, MirrorSide).All() {
		got[string(p)] = f.Access
	}
	want := map[string]dotfiles.Access{"f": dotfiles.Writable, "made": dotfiles.Writable, "secrets": dotfiles.Hidden, ".env": dotfiles.Hidden}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"f"}, paths(scanOf(t, m, ProjectSide))); diff != "" {
		t.Errorf("project: %s", diff)
	}
}

func TestTreeYieldsInTheOrderOfPathsAsStrings(t *testing.T) {
	w := newWorld(t, "a/b/c", "a/b.txt", "a-b", "a.txt", "a!/x", "b", "a/b-c/d")
	m := w.create(Options{Policy: everything(t)})
	got := paths(scanOf(t, m, MirrorSide))
	if !slices.IsSorted(got) || len(got) != 11 {
		t.Errorf("%q", got)
	}
	var base []string
	for p := range m.Base.All() {
		base = append(base, string(p))
	}
	if diff := cmp.Diff(base, got); diff != "" {
		t.Error(diff)
	}
}

func TestHashGivesUpOnAFileThatKeepsChanging(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(w.project, "busy")
	if err := os.WriteFile(file, bytes.Repeat([]byte("x"), 32<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	root, err := safety.OpenRoot(w.project)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var stop atomic.Bool
	var writing sync.WaitGroup
	writing.Go(func() {
		for n := 0; !stop.Load(); n++ {
			if err := os.Truncate(file, 32<<20+int64(n%2)); err != nil {
				t.Error(err)
			}
		}
	})
	refused := 0
	for range 10 {
		if _, _, err := Hash(t.Context(), root, "busy"); errors.Is(err, safety.ErrChanged) {
			refused++
		}
	}
	stop.Store(true)
	writing.Wait()
	if refused == 0 {
		t.Error("a file that changed each time it was read got a hash")
	}
	if _, _, err := Hash(t.Context(), root, "busy"); err != nil {
		t.Errorf("when it is quiet: %v", err)
	}
}
