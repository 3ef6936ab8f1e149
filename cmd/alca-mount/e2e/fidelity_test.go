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

// An unfiltered mirror is what rsync would call the same tree.
func TestMirrorIsTheSameTree(t *testing.T) {
	w := newWorld(t, "a=a", "x!755=x", "ro!444=ro", "odd!640=odd", "wo!200=wo", "none!000=none", "ug!4755=s", "sg!2755=s",
		"d/e/f=f", "empty/", "deep/empty/er/", "link -> a", "dlink -> d", "up/l -> ../d/e/f", "tail =t", " lead=l", "n\nl=nl", "bad\xff=b", "*=star",
		"é=nfc", "e\u0301=nfd", "-rf=rf", strings.Repeat("L", 255)+"=long")
	w.tool(nil, "sh", "-c", `cd "$1"
		: > zero; truncate -s 64M sparse; printf mid | dd of=sparse bs=1 seek=33554432 conv=notrunc status=none
		head -c 5242880 /dev/urandom > big
		setfattr -n user.note -v hello a; setfattr -n user.dir -v there d 2>/dev/null || :
		touch -d "2001-02-03 04:05:06.123456789" a; touch -d "1969-12-31 23:59:58.5" x; touch -d "2100-01-01" ro; touch -h -d "2003-03-03 03:03:03.333333333" link
		mkdir sticky closed wide; chmod 1777 sticky; chmod 0555 closed; chmod 0700 wide; echo in > wide/in
		mkdir c2; echo in > c2/in; chmod 0444 c2/in; touch -d "2004-04-04 04:04:04.444444444" c2; chmod 0555 c2
		touch -d "2002-02-02 02:02:02.222222222" d/e d; chmod 0750 .; touch -d "2005-05-05 05:05:05.555555555" .`, "sh", w.project)
	if os.Getuid() != 0 {
		w.tool(nil, "sh", "-c", `cd "$1" && rm -f wo none`, "sh", w.project) // not readable, so left out: see TestUnreadableIsLeftOut
	}
	mirror := w.create("--no-default-excludes")
	// The tool's own two files change the top's time.
	w.same("mirror", w.project, mirror, "--exclude=/.alca-mount", "--exclude=/_MOUNT_README.md", "--omit-dir-times")
	w.sameTimes(mirror)
	if now, was := w.blocks(mirror+"/sparse"), w.blocks(w.project+"/sparse"); now > was+64 {
		t.Errorf("the sparse file has %d blocks, the project's %d", now, was)
	}
	if shared := w.shared(w.project, mirror); shared != "" {
		t.Errorf("inodes shared by project and mirror: %s", shared)
	}
	before := filepath.Join(w.dir, "before")
	w.copyTree(w.project, before)
	w.expect(0, "sync", "--delete", mirror)
	w.same("project after a sync of nothing", before, w.project)
	w.expect(0, "rm", mirror)
	w.noMirrorLeft()
	w.same("project after rm", before, w.project)
}

// sameTimes compares the times of all but the top, in nanoseconds, which rsync does not do for directories here.
func (w *world) sameTimes(mirror string) {
	w.t.Helper()
	list := func(dir string) string {
		return w.tool(nil, "sh", "-c", `cd "$1" && find . -mindepth 1 ! -path ./.alca-mount ! -path ./_MOUNT_README.md -printf '%p %T@ %m %s\n' | sort`, "sh", dir)
	}
	if a, b := list(w.project), list(mirror); a != b {
		w.t.Errorf("times, modes, sizes:\n%s\nin the mirror\n%s", a, b)
	}
}

func (w *world) blocks(file string) int64 {
	w.t.Helper()
	var st unix.Stat_t
	must(w.t, unix.Stat(file, &st))
	return st.Blocks
}

// shared are the inodes of regular files that two trees share.
func (w *world) shared(a, b string) string {
	w.t.Helper()
	return w.tool(nil, "sh", "-c", `{ find "$1" -type f -printf '%D:%i\n' | sort -u; find "$2" -type f -printf '%D:%i\n' | sort -u; } | sort | uniq -d`, "sh", a, b)
}

func TestHardLinksComeApart(t *testing.T) {
	w := newWorld(t, "a=a")
	must(t, os.Link(w.project+"/a", w.project+"/b"))
	must(t, os.Link(w.project+"/a", w.outside+"/c"))
	mirror := w.create()
	if shared := w.shared(w.project, mirror); shared != "" {
		t.Errorf("shared: %s", shared)
	}
}

func TestUnreadableIsLeftOut(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root reads all")
	}
	w := newWorld(t, "a=a", "none!000=none", "d/in=in", "e/in=in")
	must(t, os.Chmod(w.project+"/d", 0))
	must(t, os.Chmod(w.project+"/e", 0o444))
	t.Cleanup(func() { os.Chmod(w.project+"/d", 0o755); os.Chmod(w.project+"/e", 0o755) })
	r := w.expect(0, "--", "sh", "-c", "ls -A; echo b >> a")
	for _, p := range []string{"none", "d", "e"} {
		if !strings.Contains(r.stderr, p) {
			t.Errorf("%s is left out in silence: %v", p, r)
		}
	}
	os.Chmod(w.project+"/d", 0o755)
	os.Chmod(w.project+"/e", 0o755)
	for _, p := range []string{"none", "d/in", "e/in"} {
		if _, err := os.Lstat(filepath.Join(w.project, p)); err != nil {
			t.Errorf("what could not be read is gone: %v %v", err, r)
		}
	}
	if got := read(t, w.project+"/a"); got != "a\nb\n" {
		t.Errorf("a: %q", got)
	}
}

// A tree deeper than a path can name.
func TestDeeperThanAPath(t *testing.T) {
	w := newWorld(t, "a=a")
	const levels = 30
	name := strings.Repeat("d", 200)
	w.deep(w.project, name, levels, "old\n")
	list := func(dir string) string {
		return w.tool(nil, "find", dir, "-mindepth", "1", "!", "-name", ".alca-mount", "!", "-name", "_MOUNT_README.md", "-printf", `%d %f %m %s %T@ %y\n`)
	}
	r := w.run("create", "-q")
	if r.code != 0 {
		t.Fatalf("%v", r)
	}
	mirror := strings.TrimSuffix(r.stdout, "\n")
	if a, b := list(w.project), list(mirror); sorted(a) != sorted(b) {
		t.Errorf("not the same:\n%.1500s\n%.1500s\n%v", a, b, r)
	}
	w.expect(0, "rm", mirror)
	w.noMirrorLeft()
	down := fmt.Sprintf(`for i in $(seq %d); do cd -P %s || exit 3; done; `, levels, name)
	r = w.run("--", "bash", "-c", down+`echo new > leaf; echo born > born; mkdir -p x/y`)
	if r.code != 0 {
		t.Fatalf("%v", r)
	}
	got := w.tool(nil, "bash", "-c", `cd "$1"; `+down+`cat leaf born; ls -F`, "bash", w.project)
	if got != "new\nborn\nborn\nleaf\nx/\n" {
		t.Errorf("below: %q %v", got, r)
	}
	w.noMirrorLeft()
}

func sorted(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		for j := i; j > 0 && lines[j] < lines[j-1]; j-- {
			lines[j], lines[j-1] = lines[j-1], lines[j]
		}
	}
	return strings.Join(lines, "\n")
}

// deep makes so many directories in each other with a file in the last.
func (w *world) deep(top, name string, levels int, content string) {
	w.t.Helper()
	fd, err := unix.Open(top, unix.O_DIRECTORY, 0)
	must(w.t, err)
	for range levels {
		must(w.t, unix.Mkdirat(fd, name, 0o755))
		next, err := unix.Openat(fd, name, unix.O_DIRECTORY, 0)
		must(w.t, err)
		unix.Close(fd)
		fd = next
	}
	leaf, err := unix.Openat(fd, "leaf", unix.O_CREAT|unix.O_WRONLY, 0o644)
	must(w.t, err)
	_, err = unix.Write(leaf, []byte(content))
	must(w.t, err)
	unix.Close(leaf)
	unix.Close(fd)
}

// What the agent does to modes, attributes and holes comes home too.
func TestEditsComeHomeWhole(t *testing.T) {
	w := newWorld(t, "a=a", "x!755=x", "d/f=f", "gone/f=f", "l -> a")
	before := filepath.Join(w.dir, "before")
	w.copyTree(w.project, before)
	const edits = `chmod 0755 a; chmod 0644 x; touch -d "2001-02-03 04:05:06.123456789" d/f; echo more >> d/f; touch -d "2001-02-03 04:05:06.123456789" d/f
		truncate -s 32M hole; mkdir -p n/e/w; echo n > n/e/w/f; chmod 0700 n/e; rm -rf gone; ln -sfn d l; ln -s n/e/w n2; printf '' > zero; cp -a /bin/true tool; chmod 0750 tool`
	r := w.expect(0, "--sync", "exit", "--", "sh", "-c", edits) // live, a time that is set later than the content stays behind
	expected := filepath.Join(w.dir, "expected")
	w.copyTree(before, expected)
	w.tool(nil, "sh", "-c", `cd "$1" && `+edits, "sh", expected)
	w.same("project", expected, w.project, "--no-times")
	if got := strings.TrimSpace(w.tool(nil, "stat", "-c", "%y", w.project+"/d/f")); !strings.Contains(got, "123456789") {
		t.Errorf("the time of d/f is %s: %v", got, r)
	}
	if b := w.blocks(w.project + "/hole"); b > 64 {
		t.Errorf("the hole has %d blocks", b)
	}
}

// A tree so deep that the paths in it would fill memory and journal: it stays in the mirror, is named, and all else
// comes home.
func TestTooDeepToFollow(t *testing.T) {
	for _, sync := range []string{"exit", "live"} {
		t.Run(sync, func(t *testing.T) {
			w := newWorld(t, "a=a")
			name := strings.Repeat("d", 250)
			down := fmt.Sprintf(`for i in $(seq 70); do mkdir %s; cd -P %[1]s || exit 3; done; `, name)
			r := w.run("--sync", sync, "--", "bash", "-c", `echo new > a; echo b > b; (`+down+`echo deep > leaf)`)
			if r.code != 125 || strings.Contains(r.stderr, "panic") || !strings.Contains(r.stderr, "too deep") {
				t.Errorf("exit %d\n%.300s … %.300s", r.code, r.stderr, r.stderr[max(0, len(r.stderr)-300):])
			}
			if a, b := read(t, w.project+"/a"), read(t, w.project+"/b"); a != "new\n" || b != "b\n" {
				t.Errorf("came home: %q %q", a, b)
			}
			w.expect(0, "rm", "--force", w.onlySession().Session)
			w.noMirrorLeft()
		})
	}
}
