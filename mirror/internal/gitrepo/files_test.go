package gitrepo

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sameAsGit compares Files with git's own list.
func sameAsGit(t *testing.T, dir string) []string {
	t.Helper()
	got, err := Files(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(gitFiles(t, dir), got); diff != "" {
		t.Errorf("Files of %s (-git +ours):\n%s", dir, diff)
	}
	return got
}

func TestFilesListsWhatGitLists(t *testing.T) {
	runs := 8
	if *long {
		runs = 500
	}
	for seed := range runs {
		dir := randomRepo(t, rand.New(rand.NewPCG(uint64(seed), 1)))
		sameAsGit(t, dir)
		for _, sub := range []string{"one", "one/deep", "two", "build"} {
			if Usable(filepath.Join(dir, sub)) == nil {
				sameAsGit(t, filepath.Join(dir, sub))
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestFilesHeedsUsersExcludes(t *testing.T) {
	dir := newRepo(t)
	for _, f := range []string{"a.one", "a.two", "a.three"} {
		write(t, dir, f, "x")
	}
	home, xdg := realTemp(t), realTemp(t)
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", xdg)
	write(t, xdg, "git/ignore", "*.one\n")
	if got := sameAsGit(t, dir); slices.Contains(got, "a.one") {
		t.Error("the default excludes file was not read")
	}
	write(t, home, "more/inc", "[core]\n\texcludesFile = ~/two # note\n")
	write(t, home, "two", "*.two\n")
	write(t, home, ".gitconfig", "[include]\n\tpath = more/inc\n")
	if got := sameAsGit(t, dir); slices.Contains(got, "a.two") || !slices.Contains(got, "a.one") {
		t.Error("an included core.excludesFile was not heeded")
	}
	write(t, home, "three", "*.three\n")
	write(t, home, "cond", "[core]\n\texcludesFile = ~/three\n")
	write(t, home, ".gitconfig", "[includeIf \"gitdir:"+filepath.Dir(dir)+"/\"]\n\tpath = ~/cond\n")
	if got := sameAsGit(t, dir); slices.Contains(got, "a.three") {
		t.Error("a conditional include was not heeded")
	}
	write(t, home, ".gitconfig", "[includeIf \"gitdir:/elsewhere/\"]\n\tpath = ~/cond\n")
	sameAsGit(t, dir)
}

func TestFilesOfEveryKindOfWorkTree(t *testing.T) {
	main := newRepo(t)
	other := filepath.Join(realTemp(t), "linked")
	git(t, main, "worktree", "add", "-q", "-b", "side", other)
	write(t, other, "new", "n")
	if got := sameAsGit(t, other); !slices.Contains(got, "new") {
		t.Error("linked work tree: untracked file missing")
	}
	super := newRepo(t)
	git(t, super, "submodule", "--quiet", "add", main, "lib")
	write(t, super, "lib/extra", "e")
	sameAsGit(t, super)
	if got := sameAsGit(t, filepath.Join(super, "lib")); !slices.Contains(got, "extra") {
		t.Error("submodule: untracked file missing")
	}
	unborn := filepath.Join(realTemp(t), "unborn")
	os.Mkdir(unborn, 0o755)
	git(t, unborn, "init", "-q")
	write(t, unborn, "f", "x")
	sameAsGit(t, unborn)
	git(t, unborn, "pack-refs", "--all")
}

func TestFilesOfSparseCheckoutReadsIgnoreFilesFromTheIndex(t *testing.T) {
	dir := newRepo(t)
	write(t, dir, "sub/.gitignore", "*.o\n")
	write(t, dir, "sub/f", "f")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-qm", "sub")
	git(t, dir, "sparse-checkout", "set", "--no-cone", "/src/", "/sub/f")
	write(t, dir, "sub/x.o", "o")
	got := sameAsGit(t, dir)
	if slices.Contains(got, "sub/x.o") || slices.Contains(got, "README.md") {
		t.Errorf("listed %q", got)
	}
}

func TestFilesReadsIndexWithoutChecksum(t *testing.T) {
	dir := newRepo(t)
	p := filepath.Join(dir, ".git/index")
	data, _ := os.ReadFile(p)
	for i := len(data) - 20; i < len(data); i++ {
		data[i] = 0
	}
	os.WriteFile(p, data, 0o644)
	if got, err := Files(context.Background(), dir); err != nil || len(got) != 2 {
		t.Errorf("Files = %q, %v", got, err)
	}
	data[len(data)-1] = 1
	os.WriteFile(p, data, 0o644)
	if err := Usable(dir); err == nil {
		t.Error("a damaged index is usable")
	}
}

func TestFilesPassesOverHostileEntries(t *testing.T) {
	dir := newRepo(t)
	outside := realTemp(t)
	write(t, outside, "a.go", "secret")
	os.RemoveAll(filepath.Join(dir, "src"))
	os.Symlink(outside, filepath.Join(dir, "src"))
	mkfifo(t, filepath.Join(dir, "pipe"))
	mkfifo(t, filepath.Join(dir, "sub.d"))
	os.Symlink("/etc/passwd", filepath.Join(dir, ".gitignore"))
	got := sameAsGit(t, dir)
	if slices.Contains(got, "src/a.go") || slices.Contains(got, "pipe") {
		t.Errorf("listed %q", got)
	}
}

func TestUsableRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		make func(t *testing.T, dir string) string
		want error
		text string
	}{
		"no repository": {func(t *testing.T, dir string) string { return dir }, fs.ErrNotExist, "not in a git work tree"},
		"bare":          {func(t *testing.T, dir string) string { git(t, dir, "init", "-q", "--bare"); return dir }, errors.ErrUnsupported, "bare"},
		"inside .git": {func(t *testing.T, dir string) string {
			git(t, dir, "init", "-q")
			return filepath.Join(dir, ".git", "refs")
		}, errors.ErrUnsupported, ""},
		"sha256": {func(t *testing.T, dir string) string {
			git(t, dir, "init", "-q", "--object-format=sha256")
			return dir
		}, errors.ErrUnsupported, "sha256"},
		"reftable": {func(t *testing.T, dir string) string {
			git(t, dir, "init", "-q")
			git(t, dir, "config", "core.repositoryformatversion", "1")
			git(t, dir, "config", "extensions.refStorage", "reftable")
			return dir
		}, errors.ErrUnsupported, "reftable"},
		"unknown extension": {func(t *testing.T, dir string) string {
			git(t, dir, "init", "-q")
			git(t, dir, "config", "extensions.novel", "true")
			return dir
		}, errors.ErrUnsupported, "novel"},
		"split index": {func(t *testing.T, dir string) string {
			git(t, dir, "init", "-q")
			write(t, dir, "f", "x")
			git(t, dir, "add", "f")
			git(t, dir, "update-index", "--split-index")
			return dir
		}, errors.ErrUnsupported, "split"},
		"work tree elsewhere": {func(t *testing.T, dir string) string {
			git(t, dir, "init", "-q")
			git(t, dir, "config", "core.worktree", t.TempDir())
			return dir
		}, errors.ErrUnsupported, "work tree"},
		"ignored by an outer repository": {func(t *testing.T, dir string) string {
			git(t, dir, "init", "-q")
			write(t, dir, ".gitignore", "/work\n")
			write(t, dir, "work/project/f", "x")
			return filepath.Join(dir, "work", "project")
		}, errors.ErrUnsupported, "ignored"},
		"objects behind a link": {func(t *testing.T, dir string) string {
			git(t, dir, "init", "-q")
			os.Rename(filepath.Join(dir, ".git/objects"), filepath.Join(dir, "o"))
			os.Symlink("../o", filepath.Join(dir, ".git/objects"))
			return dir
		}, errors.ErrUnsupported, "objects"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := test.make(t, realTemp(t))
			err := Usable(dir)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("Usable = %v; want %v, %q", err, test.want, test.text)
			}
			if _, err := Files(context.Background(), dir); err == nil {
				t.Error("Files listed it all the same")
			}
		})
	}
}

func TestUsableRefusesPointerThatLeadsNowhere(t *testing.T) {
	outer := newRepo(t)
	write(t, outer, "inner/.git", "gitdir: /nowhere\n")
	if err := Usable(filepath.Join(outer, "inner")); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Usable = %v", err)
	}
}
