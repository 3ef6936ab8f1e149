//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a tmpfs of so many kilobytes at the directory, which takes the directory's content over.
func (w *world) smallDisk(dir string, kb int) {
	w.t.Helper()
	root(w.t)
	copied := dir + ".before"
	w.copyTree(dir, copied)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dk", kb)); err != nil {
		if os.Getenv("CI") != "" {
			w.t.Fatalf("mount: %v", err)
		}
		w.t.Skipf("mount: %v", err)
	}
	w.t.Cleanup(func() {
		w.dropStores()
		unix.Unmount(dir, unix.MNT_DETACH)
	})
	w.tool(nil, "cp", "-a", copied+"/.", dir)
}

// fill takes all the space that is left, but for so many kilobytes.
func (w *world) fill(dir string, leave int64) string {
	w.t.Helper()
	var st unix.Statfs_t
	must(w.t, unix.Statfs(dir, &st))
	ballast := filepath.Join(dir, "ballast")
	size := int64(st.Bavail)*st.Bsize - leave<<10
	if size > 0 {
		w.tool([]int{1}, "dd", "if=/dev/zero", "of="+ballast, "bs=1024", fmt.Sprintf("count=%d", size>>10), "status=none")
	}
	return ballast
}

// big is a megabyte that is the same text again and again.
func big(text string, kb int) string { return strings.Repeat(text, kb<<10/len(text)+1)[:kb<<10] }

// bigTree is a project of which a full disk can stop the sync half-way.
func (w *world) bigTree() {
	w.t.Helper()
	for i := range 6 {
		write(w.t, filepath.Join(w.project, fmt.Sprintf("big%d", i)), big(fmt.Sprintf("old %d\n", i), 256))
	}
}

// wholeOrOld fails where a big file is neither its old nor its new version.
func (w *world) wholeOrOld(r result) (fresh int) {
	w.t.Helper()
	for i := range 6 {
		name := fmt.Sprintf("big%d", i)
		b, err := os.ReadFile(filepath.Join(w.project, name))
		switch {
		case err != nil:
			w.t.Errorf("%s is gone: %v %v", name, err, r)
		case string(b) == big(fmt.Sprintf("new %d\n", i), 300):
			fresh++
		case string(b) != big(fmt.Sprintf("old %d\n", i), 256):
			w.t.Errorf("%s is torn: %d bytes %.20q %v", name, len(b), b, r)
		}
	}
	return fresh
}

// bothSyncs runs a test under either way of syncing: at the end, and all along.
func bothSyncs(t *testing.T, test func(t *testing.T, sync string)) {
	for _, sync := range []string{"exit", "live"} {
		t.Run("sync "+sync, func(t *testing.T) { test(t, sync) })
	}
}

// whenFull is a script that comes to the gate, at which the disk becomes full, and writes the new versions: before it
// where they cross at the end, after it where they cross at once.
func whenFull(sync, gate string) string {
	if sync == "live" {
		return gate + "; " + news
	}
	return news + "; " + gate
}

// news is a script that writes the new versions in the mirror.
const news = `for i in 0 1 2 3 4 5; do yes "new $i" | head -c 307200 > big$i; done`

// completes: after space is made, sync brings all home, and rm ends the session.
func (w *world) completes(r result) {
	w.t.Helper()
	if r.code != 125 {
		w.t.Errorf("CMD succeeded and the last sync failed: want exit 125, got %v", r)
	}
	s := w.onlySession()
	if s.State != "kept" || !strings.Contains(r.stderr, "alca-mount sync "+s.Session) {
		w.t.Errorf("the session is %+v, and the end line %s", s, r.stderr)
	}
	if !strings.Contains(r.stderr, "\n    big") && !strings.Contains(r.stderr, "open the project's store: ") {
		w.t.Errorf("the end names no path that is left, and no reason for all: %v", r)
	}
	again := w.expect(0, "sync", s.Session)
	if fresh := w.wholeOrOld(again); fresh != 6 {
		w.t.Errorf("sync brought only %d of 6 home: %v", fresh, again)
	}
	if n := w.nameless(); n != "" {
		w.t.Errorf("left in the project: %s", n)
	}
	outlying := w.stores()
	w.expect(0, "rm", s.Session)
	w.expect(0, "rm", "--force", s.Session)
	w.noMirrorLeft()
	for _, store := range outlying {
		if _, err := os.Lstat(store); err == nil {
			w.t.Errorf("rm left %s", store)
			os.RemoveAll(store)
		}
	}
}

// nameless are files of the project that nobody made.
func (w *world) nameless() string {
	w.t.Helper()
	return w.tool(nil, "find", w.project, "-mindepth", "1", "!", "-name", "big?", "!", "-name", "ballast", "!", "-path", "*/.alca-mount-store*")
}

// storeInProject: where the project is a mount of its own, what is kept of it lies at its top while syncing, for its
// owner alone, in no mirror. Afterwards it is in the session's folder, unless its disk was too full for anything.
func (w *world) storeInProject(mayStay bool) {
	w.t.Helper()
	store := filepath.Join(w.project, ".alca-mount-store")
	switch info, err := os.Lstat(store); {
	case err == nil && !mayStay:
		w.t.Errorf("%s stays in the project", store)
	case err == nil && info.Mode().Perm() != 0o700:
		w.t.Errorf("%s has mode %v", store, info.Mode())
	}
	mirror := w.create()
	if _, err := os.Lstat(filepath.Join(mirror, ".alca-mount-store")); err == nil {
		w.t.Errorf("the next mirror holds what was kept")
	}
	w.expect(0, "rm", mirror)
}

// The project's disk is full when the sync writes to it.
func TestProjectDiskFullDuringTheLastSync(t *testing.T) {
	bothSyncs(t, func(t *testing.T, sync string) {
		for _, leave := range []int64{0, 200, 400, 900, 1500} {
			t.Run(fmt.Sprintf("%dk free", leave), func(t *testing.T) { projectDiskFull(t, sync, leave) })
		}
	})
}

func projectDiskFull(t *testing.T, sync string, leave int64) {
	w := newWorld(t)
	w.smallDisk(w.project, 8<<10)
	w.bigTree()
	g, gate := w.gated()
	p := w.start("--sync", sync, "--", "sh", "-c", whenFull(sync, gate))
	g.arrived()
	ballast := w.fill(w.project, leave)
	g.open()
	r := p.wait()
	if fresh := w.wholeOrOld(r); fresh == 6 {
		t.Fatalf("the disk was not full: %v", r)
	}
	must(t, os.Remove(ballast))
	w.storeInProject(leave == 0)
	w.completes(r)
	if left := w.tool(nil, "find", w.project, "-path", "*/.alca-mount-store/*"); left != "" {
		t.Errorf("kept in the project after rm: %s", left)
	}
}

// The state directory's disk is full: what would be overwritten can't be kept, so it isn't overwritten.
func TestStateDiskFullDuringTheLastSync(t *testing.T) {
	bothSyncs(t, func(t *testing.T, sync string) {
		for _, leave := range []int64{0, 40, 300, 700, 1300} {
			t.Run(fmt.Sprintf("%dk free", leave), func(t *testing.T) { stateDiskFull(t, sync, leave) })
		}
	})
}

func stateDiskFull(t *testing.T, sync string, leave int64) {
	w := newWorld(t)
	w.bigTree()
	w.smallDisk(w.state, 8<<10)
	g, gate := w.gated()
	flags := []string{"--sync", sync}
	if sync == "live" { // CMD writes when the disk is full already: not there
		flags = append(flags, "--mirror-dir", filepath.Join(w.dir, "elsewhere"))
	}
	p := w.start(append(flags, "--", "sh", "-c", whenFull(sync, gate))...)
	g.arrived()
	ballast := w.fill(w.state, leave)
	g.open()
	r := p.wait()
	fresh := w.wholeOrOld(r)
	if r.code == 0 && fresh != 6 {
		t.Errorf("success with %d of 6 at home: %v", fresh, r)
	}
	must(t, os.Remove(ballast))
	if r.code != 0 {
		w.completes(r)
	}
}

// A disk is full for a while: live sync tells of it once and goes on by itself when there is room again.
func TestDiskFullInMidSession(t *testing.T) {
	for _, full := range []string{"project", "state"} {
		t.Run(full, func(t *testing.T) {
			w := newWorld(t)
			disk := map[string]string{"project": w.project, "state": w.state}[full]
			if full == "project" {
				w.smallDisk(disk, 8<<10)
			}
			w.bigTree()
			if full == "state" {
				w.smallDisk(disk, 8<<10)
			}
			g, gate := w.gated()
			events := filepath.Join(w.dir, "events")
			p := w.start("--events", events, "--mirror-dir", filepath.Join(w.dir, "elsewhere"), "--", "sh", "-c", gate+"; "+news+`; read x < "$TOOLS/gate"`)
			g.arrived()
			ballast := w.fill(disk, 0)
			g.open()
			failed := func() string { return w.tool([]int{1}, "grep", `"event":"failed"`, events) }
			w.until("failures", func() bool { return strings.Count(failed(), `"path":"big`) == 6 })
			if fresh := w.wholeOrOld(result{}); fresh != 0 {
				t.Fatalf("the disk was not full: %d came home", fresh)
			}
			must(t, os.Remove(ballast))
			w.until("the rest", func() bool { return w.homeInWhole() })
			told := failed()
			g.open()
			r := p.wait()
			if r.code != 0 || strings.Contains(r.stderr, "failed") || w.wholeOrOld(r) != 6 {
				t.Errorf("all came home in the end: %v", r)
			}
			if n := strings.Count(told, "\n"); n > 7 { // each path, and the journal
				t.Errorf("told %d times:\n%s", n, told)
			}
			if n := w.nameless(); n != "" {
				t.Errorf("left in the project: %s", n)
			}
			w.noMirrorLeft()
		})
	}
}

// homeInWhole reports whether all new versions are in the project.
func (w *world) homeInWhole() bool {
	for i := range 6 {
		b, err := os.ReadFile(filepath.Join(w.project, fmt.Sprintf("big%d", i)))
		if err != nil || string(b) != big(fmt.Sprintf("new %d\n", i), 300) {
			return false
		}
	}
	return true
}

// A disk that is full during the build: an error, no CMD, nothing left, the project as it was.
func TestDiskFullDuringTheBuild(t *testing.T) {
	for _, kb := range []int{16, 64, 700, 1400} {
		t.Run(fmt.Sprintf("%dk", kb), func(t *testing.T) {
			w := newWorld(t)
			w.bigTree()
			before := filepath.Join(w.dir, "before")
			w.copyTree(w.project, before)
			w.smallDisk(w.state, kb)
			r := w.run("--", "sh", "-c", `echo ran > "$TOOLS/ran"`)
			if r.code != 125 || !strings.Contains(r.stderr, "no space") {
				t.Errorf("want exit 125 and the reason, got %v", r)
			}
			if _, err := os.Lstat(filepath.Join(w.dir, "ran")); err == nil {
				t.Errorf("CMD ran on half a mirror")
			}
			w.same("project", before, w.project)
			w.noMirrorLeft()
		})
	}
}

// EFBIG: a limit on file sizes stops a write half-way, and its signal would end the program.
func TestFileSizeLimitDuringTheLastSync(t *testing.T) {
	w := newWorld(t)
	w.bigTree()
	w.prefix = []string{"sh", "-c", `ulimit -S -f 540; exec "$@"`, "sh"} // in 512 bytes: more than old, less than new
	r := w.run("--", "sh", "-c", `ulimit -S -f unlimited; `+news)
	if fresh := w.wholeOrOld(r); fresh != 0 {
		t.Fatalf("the limit did not bite: %v", r)
	}
	w.prefix = nil
	w.completes(r)
}

func TestFileSizeLimitDuringTheBuild(t *testing.T) {
	w := newWorld(t)
	w.bigTree()
	before := filepath.Join(w.dir, "before")
	w.copyTree(w.project, before)
	w.prefix = []string{"sh", "-c", `ulimit -S -f 100; exec "$@"`, "sh"}
	r := w.run("--", "sh", "-c", `echo ran > "$TOOLS/ran"`)
	if r.code != 125 {
		t.Errorf("want exit 125, got %v", r)
	}
	if _, err := os.Lstat(filepath.Join(w.dir, "ran")); err == nil {
		t.Errorf("CMD ran on half a mirror")
	}
	w.same("project", before, w.project)
	w.prefix = nil
	w.noMirrorLeft()
}

// CMD has the caller's signal dispositions, whatever the program did for itself.
func TestSignalDispositionsReachCMD(t *testing.T) {
	w := newWorld(t, "a=a")
	const status = `grep -E "^Sig(Ign|Blk)" /proc/self/status`
	for _, through := range []string{`exec "$@"`, `trap "" HUP INT; exec "$@"`} {
		w.prefix = []string{"sh", "-c", through, "sh"}
		direct := w.tool(nil, "sh", "-c", strings.Replace(through, `exec "$@"`, `exec `+status, 1))
		if got := w.expect(0, "-q", "--", "grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status").stdout; got != direct {
			t.Errorf("%s: directly %q, in the mirror %q", through, direct, got)
		}
	}
}

// A CMD that is ended by its own limit keeps its code.
func TestFileSizeLimitOfCMD(t *testing.T) {
	w := newWorld(t, "a=a")
	w.expect(128+int(unix.SIGXFSZ), "--", "sh", "-c", `ulimit -f 1; exec dd if=/dev/zero of=x bs=4096 count=9`)
	w.noMirrorLeft()
}

// What one session kept of a project on a mount of its own is not the next session's to see or to change.
func TestKeptVersionsOnAMountAreNoPartOfTheProject(t *testing.T) {
	w := newWorld(t, "a=a", "config.txt="+secret)
	w.smallDisk(w.project, 4<<10)
	w.expect(0, "-q", "--", "sh", "-c", `echo agent > config.txt; rm a`)
	write(t, w.project+"/.agentignore", "config.txt\n") // the user hides it from now on
	r := w.expect(0, "-q", "--", "sh", "-c", `grep -rlF `+secret+` .; rm -rf .alca-mount-store; echo b > b`)
	if r.stdout != "" {
		t.Errorf("the next session sees what the first kept of a file that is hidden now: %v", r)
	}
	w.nothingLost(secret, "a")
	if status := w.tool([]int{1}, "grep", "-rlF", secret, w.project, w.state); status == "" {
		t.Errorf("what was kept is gone")
	}
}

// The same where the state directory is on another file system than the project.
func TestKeptVersionsWithStateElsewhereAreNoPartOfTheProject(t *testing.T) {
	elsewhere, err := os.MkdirTemp("/dev/shm", "alca-mount-e2e-")
	if err != nil {
		t.Skipf("no other file system: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(elsewhere) })
	w := newWorld(t, "a=a", "b=b", "config.txt="+secret)
	w.env = append(w.env, "XDG_STATE_HOME="+elsewhere)
	w.state = elsewhere
	w.expect(0, "-q", "--", "sh", "-c", `echo agent > config.txt; rm a`)
	if left := w.tool(nil, "find", w.project, "-mindepth", "1", "!", "-name", "b", "!", "-name", "config.txt"); left != "" {
		t.Errorf("names in the project that nobody made:\n%s", left)
	}
	write(t, w.project+"/.agentignore", "config.txt\n") // the user hides it from now on
	if r := w.expect(0, "-q", "--", "sh", "-c", `grep -rlF `+secret+` .; echo c > c`); r.stdout != "" {
		t.Errorf("the next session sees what the first kept of a file that is hidden now: %v", r)
	}
	outlying := w.stores()
	for _, s := range w.sessions("-a") {
		w.expect(0, "rm", "--force", s.Session)
	}
	for _, store := range outlying {
		if _, err := os.Lstat(store); err == nil {
			t.Errorf("rm left %s", store)
		}
	}
}

// What fills the disk can be removed by the commands that do that: they take a lock, which has no room for a name then.
func TestFullStateDiskCanBeEmptied(t *testing.T) {
	w := newWorld(t, "a=1", "b=1")
	w.smallDisk(w.state, 2<<10)
	w.expect(0, "-q", "--", "sh", "-c", "echo 2 > a; rm b")
	mirror := w.create("--name", "kept")
	write(t, filepath.Join(mirror, "a"), "3\n")
	w.fill(w.state, 0)
	if r := w.expect(0, "prune", "--older-than", "0s"); !strings.Contains(r.stderr, "pruned: 1 ended session") {
		t.Errorf("nothing was pruned: %v", r)
	}
	w.expect(125, "rm", "kept")
	w.expect(0, "rm", "--force", "kept")
	w.noMirrorLeft()
}
