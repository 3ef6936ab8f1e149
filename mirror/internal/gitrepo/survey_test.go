package gitrepo

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// surveyed is standalone with the hidden paths looked for.
func surveyed(t *testing.T, project string) (mirror string, rep Report, err error) {
	t.Helper()
	mirror = mirrorOf(t, project, leftOutSecrets)
	rep, err = CopyStandalone(t.Context(), project, filepath.Join(mirror, ".git"),
		Options{LeftOut: leftOutSecrets, Hidden: leftOutSecrets, Info: infoOf(t, mirror)})
	if err == nil {
		git(t, mirror, "fsck", "--full", "--strict")
	}
	return mirror, rep, err
}

func TestObjectsThatNothingNamesStayBehind(t *testing.T) {
	dir := newRepo(t)
	write(t, dir, "secret.env", "KEY=1\n")
	git(t, dir, "add", "secret.env")
	git(t, dir, "write-tree")
	blob := strings.TrimSpace(git(t, dir, "rev-parse", ":secret.env"))
	git(t, dir, "rm", "-q", "--cached", "secret.env")
	write(t, dir, "README.md", "amended away\n")
	git(t, dir, "commit", "-qam", "x")
	gone := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
	git(t, dir, "reset", "-q", "--hard", "HEAD~1")
	for _, prepare := range [][]string{{"status"}, {"repack", "-q", "-d", "--cruft", "--cruft-expiration=never"}} {
		git(t, dir, prepare...)
		mirror, _, err := surveyed(t, dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{blob, gone} {
			if out, err := tryGit(mirror, "cat-file", "-p", id); err == nil {
				t.Errorf("after git %q the copy holds %s: %q", prepare, id, out)
			}
		}
		git(t, dir, "reflog", "expire", "--expire=now", "--all")
	}
}

func TestCopyDropsTreesThatOnlyTheIndexRemembers(t *testing.T) {
	dir := newRepo(t)
	write(t, dir, "src/b", "b")
	git(t, dir, "add", ".")
	tree := strings.TrimSpace(git(t, dir, "write-tree"))
	mirror, _, err := surveyed(t, dir) // fsck looks for what the index names
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tryGit(mirror, "cat-file", "-e", tree); err == nil {
		t.Error("the tree came along: this test shows nothing")
	}
	if got := git(t, mirror, "status", "--porcelain"); got != "A  src/b\n" {
		t.Errorf("status %q", got)
	}
	git(t, mirror, "commit", "-qm", "b")
}

func TestCopyPassesOverStalePackedRefs(t *testing.T) {
	dir := newRepo(t)
	write(t, dir, "README.md", "x\n")
	git(t, dir, "commit", "-qam", "gone")
	git(t, dir, "pack-refs", "--all")
	git(t, dir, "reset", "-q", "--hard", "HEAD~1")
	git(t, dir, "reflog", "expire", "--expire=now", "--all")
	git(t, dir, "prune", "--expire=now")
	if _, _, err := surveyed(t, dir); err != nil {
		t.Error(err)
	}
}

func TestNamedObjectsOfACruftPackComeAlong(t *testing.T) {
	dir := newRepo(t)
	write(t, dir, "README.md", "away and back\n")
	git(t, dir, "commit", "-qam", "x")
	gone := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
	git(t, dir, "reset", "-q", "--hard", "HEAD~1")
	git(t, dir, "reflog", "expire", "--expire=now", "--all")
	git(t, dir, "repack", "-q", "-d", "--cruft", "--cruft-expiration=never")
	if m, _ := filepath.Glob(filepath.Join(dir, ".git/objects/pack/*.mtimes")); len(m) == 0 {
		t.Skip("this git makes no cruft packs")
	}
	git(t, dir, "branch", "back", gone)
	mirror, _, err := surveyed(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := git(t, mirror, "show", "back:README.md"); got != "away and back\n" {
		t.Errorf("README.md = %q", got)
	}
}

func TestCopyRefusesHistoryThatShowsAHiddenPath(t *testing.T) {
	for name, prepare := range map[string]func(dir string){
		"in the index": func(dir string) { git(t, dir, "add", "-f", "secret.env") },
		"in a commit": func(dir string) {
			git(t, dir, "add", "-f", "secret.env")
			git(t, dir, "commit", "-qm", "oops")
			git(t, dir, "rm", "-q", "--cached", "secret.env")
			git(t, dir, "commit", "-qm", "removed")
		},
		"in a branch that is a submodule, too": func(dir string) {
			git(t, dir, "checkout", "-q", "-b", "pages")
			git(t, dir, "add", "-f", "secret.env")
			git(t, dir, "commit", "-qm", "oops")
			pages := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
			git(t, dir, "checkout", "-q", "main")
			git(t, dir, "update-index", "--add", "--cacheinfo", "160000,"+pages+",site")
		},
		"in a pack, unnamed": func(dir string) {
			git(t, dir, "add", "-f", "secret.env")
			git(t, dir, "commit", "-qm", "oops")
			git(t, dir, "gc", "-q")
			git(t, dir, "reset", "-q", "--hard", "HEAD~1") // the reflog keeps the commit alive in the project
		},
	} {
		dir := newRepo(t)
		write(t, dir, "secret.env", "KEY=1\n")
		prepare(dir)
		mirror, _, err := surveyed(t, dir)
		var hidden *HiddenError
		if !errors.As(err, &hidden) || hidden.Path != "secret.env" || hidden.Commit == "" {
			t.Errorf("%s: CopyStandalone: %v", name, err)
		}
		if _, err := os.Lstat(filepath.Join(mirror, ".git")); err == nil {
			t.Errorf("%s: something was left behind", name)
		}
	}
}

func TestSurveyedCopiesAreWhole(t *testing.T) {
	runs := 4
	if *long {
		runs = 200
	}
	for seed := range runs {
		rng := rand.New(rand.NewPCG(uint64(seed), 3))
		dir := randomRepo(t, rng)
		git(t, dir, "reset", "-q", "intended")
		tryGit(dir, "stash", "-q")
		tryGit(dir, "stash", "apply", "-q")
		if rng.IntN(2) == 0 {
			git(t, dir, "gc", "-q")
		}
		if _, _, err := surveyed(t, dir); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func TestCopyIsWholeWhileGitRepacks(t *testing.T) {
	dir := newRepo(t)
	var done sync.WaitGroup
	stop := make(chan struct{})
	done.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			os.WriteFile(filepath.Join(dir, "src/a.go"), []byte{byte(i), byte(i >> 8)}, 0o644)
			tryGit(dir, "commit", "-qam", "more")
			tryGit(dir, []string{"repack", "pack-refs", "repack"}[i%3], []string{"-qad", "--all", "-qd"}[i%3])
		}
	})
	defer func() { close(stop); done.Wait() }()
	runs := 6
	if *long {
		runs = 200
	}
	for i := range runs {
		mirror := realTemp(t)
		opts := Options{}
		if i%2 == 0 {
			opts.Hidden = leftOutSecrets
		}
		if _, err := CopyStandalone(t.Context(), dir, filepath.Join(mirror, ".git"), opts); err != nil {
			t.Fatal(err)
		}
		git(t, mirror, "fsck", "--full", "--strict")
	}
}
