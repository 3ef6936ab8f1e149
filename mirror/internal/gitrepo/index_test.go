package gitrepo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/safety"
)

func old(t *testing.T, dir string) {
	t.Helper()
	then := time.Now().Add(-time.Hour)
	for _, f := range []string{"README.md", "src/a.go"} {
		os.Chtimes(filepath.Join(dir, f), then, then)
	}
	git(t, dir, "update-index", "--refresh")
}

// needsLook is how many entries git would have to read the content of.
func needsLook(t *testing.T, mirror string) int {
	t.Helper()
	return strings.Count(git(t, mirror, "diff-files", "--name-only"), "\n")
}

func TestCopiedIndexKnowsCleanFiles(t *testing.T) {
	dir := newRepo(t)
	old(t, dir)
	mirror, rep := standalone(t, dir, nil)
	if rep.Refreshed != 2 || needsLook(t, mirror) != 0 {
		t.Errorf("Refreshed = %d, %d to be read", rep.Refreshed, needsLook(t, mirror))
	}
}

func TestCopiedIndexDoesNotVouchForOtherContent(t *testing.T) {
	dir := newRepo(t)
	old(t, dir)
	mirror := mirrorOf(t, dir, nil)
	// The same size and time, other bytes: taken before the project's file was put back to what is staged.
	write(t, dir, "README.md", "olleh\n")
	git(t, dir, "add", ".")
	os.Chtimes(filepath.Join(dir, "src/a.go"), time.Now(), time.Now())
	if _, err := CopyStandalone(t.Context(), dir, filepath.Join(mirror, ".git"), Options{Info: infoOf(t, mirror)}); err != nil {
		t.Fatal(err)
	}
	if got := git(t, mirror, "status", "--porcelain"); got != "MM README.md\n" {
		t.Errorf("status %q", got)
	}
}

func TestRefreshedIsStrict(t *testing.T) {
	project := safety.Info{Kind: safety.File, Mode: 0o644, Size: 5, Mtime: 10e9 + 1, Ctime: 20e9, Ino: 1, Dev: 9}
	mirror := safety.Info{Kind: safety.File, Mode: 0o444, Size: 5, Mtime: 10e9 + 1, Ctime: 30e9, Ino: 2, Dev: 8}
	entry := func() *rawEntry { return &rawEntry{stat: statOf(project, 0o100644)} }
	if got := refreshed(entry(), project, mirror, 40e9); got != statOf(mirror, 0o100644) {
		t.Fatalf("a clean file is not refreshed: %x", got)
	}
	for name, change := range map[string]func(p, m *safety.Info, index *int64){
		"project rewritten":       func(p, m *safety.Info, index *int64) { p.Ctime++ },
		"project replaced":        func(p, m *safety.Info, index *int64) { p.Ino++ },
		"written with the index":  func(p, m *safety.Info, index *int64) { *index = p.Mtime },
		"mirror of another size":  func(p, m *safety.Info, index *int64) { m.Size++ },
		"mirror of another time":  func(p, m *safety.Info, index *int64) { m.Mtime++ },
		"mirror executable":       func(p, m *safety.Info, index *int64) { m.Mode |= 0o100 },
		"mirror of another kind":  func(p, m *safety.Info, index *int64) { m.Kind = safety.Symlink },
		"no ctime to rely on":     func(p, m *safety.Info, index *int64) { p.Ctime = 0 },
		"mirror without the file": func(p, m *safety.Info, index *int64) { *m = safety.Info{} },
	} {
		p, m, index := project, mirror, int64(40e9)
		change(&p, &m, &index)
		if got := refreshed(entry(), p, m, index); got != unknownStat(0o100644) {
			t.Errorf("%s: vouched for", name)
		}
	}
}

func TestCopiedIndexKeepsAllFlags(t *testing.T) {
	dir := newRepo(t)
	write(t, dir, "n", "n")
	git(t, dir, "add", "-N", "n")
	blob := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD:README.md"))
	git(t, dir, "update-index", "--add", "--cacheinfo", "100644,"+blob+","+strings.Repeat("long/", 900)+"f")
	git(t, dir, "update-index", "--assume-unchanged", "README.md")
	git(t, dir, "update-index", "--skip-worktree", "src/a.go")
	git(t, dir, "update-index", "--index-version", "4", "--untracked-cache")
	mirror := realTemp(t)
	if _, err := CopyStandalone(t.Context(), dir, filepath.Join(mirror, ".git"), Options{}); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"ls-files", "-v", "--stage"}, {"ls-files", "-t"}, {"diff", "--cached", "--name-status"}} {
		if want, got := git(t, dir, args...), git(t, mirror, args...); got != want {
			t.Errorf("git %q: %q; want %q", args, got, want)
		}
	}
}

func FuzzParseRawIndex(f *testing.F) {
	idx := &rawIndex{entries: []rawEntry{{name: "a"}, {name: "a/b", flags: flagExtended, ext: extSkipWorktree}}}
	f.Add(idx.encode())
	f.Add([]byte("DIRC\x00\x00\x00\x04\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		idx, err := parseRawIndex(data)
		if err != nil {
			return
		}
		again, err := parseRawIndex(idx.encode())
		if err != nil || len(again.entries) != len(idx.entries) {
			t.Errorf("%d entries, then %v", len(idx.entries), err)
		}
	})
}
