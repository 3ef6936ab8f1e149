package gitrepo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func holds(t *testing.T, dir string) (commit, path string) {
	t.Helper()
	commit, path, err := HistoryHolds(context.Background(), dir, leftOutSecrets)
	if err != nil {
		t.Fatal(err)
	}
	return commit, path
}

func TestHistoryHoldsFindsAHiddenPathWhereverItHides(t *testing.T) {
	drop := func(t *testing.T, dir string) {
		git(t, dir, "rm", "-rqf", "--cached", "--ignore-unmatch", "secret.env", "private")
		os.RemoveAll(filepath.Join(dir, "private"))
		os.Remove(filepath.Join(dir, "secret.env"))
	}
	for name, test := range map[string]struct {
		make func(t *testing.T, dir string)
		path string
	}{
		"nowhere": {func(t *testing.T, dir string) {}, ""},
		"index":   {func(t *testing.T, dir string) { write(t, dir, "secret.env", "x"); git(t, dir, "add", "-f", ".") }, "secret.env"},
		"an old commit": {func(t *testing.T, dir string) {
			write(t, dir, "private/k/v", "x")
			git(t, dir, "add", ".")
			git(t, dir, "commit", "-qm", "oops")
			drop(t, dir)
			git(t, dir, "commit", "-qm", "removed")
		}, "private/k/v"},
		"another branch, packed": {func(t *testing.T, dir string) {
			git(t, dir, "checkout", "-q", "-b", "b")
			write(t, dir, "secret.env", "x")
			git(t, dir, "add", ".")
			git(t, dir, "commit", "-qm", "oops")
			git(t, dir, "checkout", "-q", "main")
			git(t, dir, "gc", "-q")
		}, "secret.env"},
		"an annotated tag": {func(t *testing.T, dir string) {
			write(t, dir, "secret.env", "x")
			git(t, dir, "add", ".")
			git(t, dir, "commit", "-qm", "oops")
			git(t, dir, "tag", "-am", "t", "v1")
			git(t, dir, "reset", "-q", "--hard", "HEAD~1")
		}, "secret.env"},
		"a stash below the top one, untracked": {func(t *testing.T, dir string) {
			write(t, dir, "secret.env", "x")
			git(t, dir, "stash", "-q", "-u")
			write(t, dir, "README.md", "x")
			git(t, dir, "stash", "-q")
		}, "secret.env"},
		"a branch that is a submodule, too": {func(t *testing.T, dir string) {
			git(t, dir, "checkout", "-q", "-b", "pages")
			write(t, dir, "secret.env", "x")
			git(t, dir, "add", ".")
			git(t, dir, "commit", "-qm", "oops")
			pages := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
			git(t, dir, "checkout", "-q", "main")
			git(t, dir, "update-index", "--add", "--cacheinfo", "160000,"+pages+",site")
			for main, n := "", 0; main <= pages; n++ { // the greater id is searched first
				git(t, dir, "commit", "-qm", fmt.Sprint("site ", n))
				main = strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
				git(t, dir, "reset", "-q", "--soft", "HEAD~1")
				git(t, dir, "update-ref", "refs/heads/with", main)
			}
			git(t, dir, "reset", "-q", "--hard", "main")
		}, "secret.env"},
		"an alternate": {func(t *testing.T, dir string) {
			old := filepath.Join(filepath.Dir(dir), "old")
			write(t, dir, "secret.env", "x")
			git(t, dir, "add", ".")
			git(t, dir, "commit", "-qm", "oops")
			drop(t, dir)
			git(t, dir, "commit", "-qm", "removed")
			os.Rename(dir, old)
			git(t, old, "clone", "-q", "--shared", old, dir)
			write(t, dir, ".git/objects/info/alternates", "../../../old/.git/objects\n")
		}, "secret.env"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newRepo(t)
			test.make(t, dir)
			commit, path := holds(t, dir)
			if path != test.path || (commit == "") != (path == "") {
				t.Errorf("HistoryHolds = %q, %q; want %q", commit, path, test.path)
			}
			if commit != "" && commit != IndexCommit && !strings.Contains(git(t, dir, "ls-tree", "-r", "--name-only", commit), path) {
				t.Errorf("commit %s does not hold %s", commit, path)
			}
		})
	}
}

func TestHistoryHoldsStopsAtAShallowBoundary(t *testing.T) {
	origin := newRepo(t)
	write(t, origin, "secret.env", "x")
	git(t, origin, "add", ".")
	git(t, origin, "commit", "-qm", "oops")
	git(t, origin, "rm", "-q", "secret.env")
	git(t, origin, "commit", "-qm", "removed")
	clone := filepath.Join(realTemp(t), "clone")
	git(t, origin, "clone", "-q", "--depth=1", "file://"+origin, clone)
	if commit, path := holds(t, clone); commit != "" {
		t.Errorf("HistoryHolds = %s, %s", commit, path)
	}
}

func TestHistoryThatCannotBeReadIsNoClearance(t *testing.T) {
	dir := newRepo(t)
	tree := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD:src"))
	os.Remove(filepath.Join(dir, ".git/objects", tree[:2], tree[2:]))
	if _, _, err := HistoryHolds(context.Background(), dir, leftOutSecrets); err == nil {
		t.Error("a missing tree was passed over")
	}
}
