package mirror

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alca-mount/alca-mount/mirror/mirrortest"
)

// More directories, one in the other, than are held open, with more entries in the deepest than one job takes.
func TestDirectoriesThatAreNotHeldOpenAreFaithfulToo(t *testing.T) {
	var lines []string
	deep := strings.Repeat("d/", maxHeld+30)
	for i := range 2*chunkFiles + 5 {
		lines = append(lines, fmt.Sprintf("%sf%d = %d", deep, i, i))
	}
	for i := range maxHeld + 30 {
		lines = append(lines, fmt.Sprintf("%sside/ 0750", strings.Repeat("d/", i)), fmt.Sprintf("%sside/f = x", strings.Repeat("d/", i)))
	}
	for _, workers := range []int{1, 4} {
		w := newWorld(t, lines...)
		mirrortest.Age(t, w.project)
		m := w.create(Options{Policy: everything(t), Workers: workers})
		same(t, w.project, w.mirror)
		if want := 2 * (maxHeld + 30); m.Built.Dirs != want {
			t.Errorf("%d directories, want %d", m.Built.Dirs, want)
		}
	}
}

// Nothing that a build held open stays so.
func TestBuildClosesWhatItOpened(t *testing.T) {
	open := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(fds)
	}
	w := newWorld(t, "d/e/f/g = deep", "d/x = 1", "d/e/sub/y = 2")
	s := w.session()
	before := open()
	m, err := w.try(Options{Policy: everything(t), Session: s})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if after := open(); after != before {
		t.Errorf("%d files are open, %d were", after, before)
	}
}

// What an earlier session's agent made at a hidden path comes into a directory that is made already: that one gets its
// mode and time after it.
func TestDirectoryOfAnOrphanKeepsItsTime(t *testing.T) {
	w := newWorld(t, "d/e/f = x", "d/e/other = y")
	mirrortest.Age(t, w.project)
	s := w.session()
	mirrortest.Make(t, filepath.Join(s.projectDir(), OrphansFolder, "s1"), "d/e/secret = kept")
	m := w.create(Options{Policy: policyOf(t, rules("secret", "")), Session: s})
	if _, ok := m.Brought("d/e/secret"); !ok {
		t.Fatalf("the orphan was not brought: %+v", m.Built.Skipped)
	}
	want, err := os.Lstat(filepath.Join(w.project, "d/e"))
	got, err2 := os.Lstat(filepath.Join(w.mirror, "d/e"))
	if err != nil || err2 != nil || !got.ModTime().Equal(want.ModTime()) {
		t.Errorf("%v, %v: the directory is of %v, want %v", err, err2, got.ModTime(), want.ModTime())
	}
}
