package gitrepo

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// deep is a repository in whose older history a secret was committed, with a merge, tags and another branch.
func deep(t *testing.T) string {
	dir := newRepo(t)
	write(t, dir, "secret.env", "KEY=1\n")
	git(t, dir, "add", "-f", ".")
	git(t, dir, "commit", "-qm", "oops")
	git(t, dir, "tag", "-am", "t", "v1")
	git(t, dir, "rm", "-q", "secret.env")
	git(t, dir, "commit", "-qm", "removed")
	git(t, dir, "checkout", "-qb", "side")
	write(t, dir, "side", "s")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-qm", "side")
	git(t, dir, "checkout", "-q", "main")
	write(t, dir, "main", "m")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-qm", "main")
	git(t, dir, "merge", "-q", "-m", "merged", "side")
	return dir
}

func shallowCopy(t *testing.T, dir string, depth int, hidden func(string) bool) (string, error) {
	mirror := mirrorOf(t, dir, nil)
	_, err := CopyStandalone(context.Background(), dir, filepath.Join(mirror, ".git"),
		Options{Hidden: hidden, Info: infoOf(t, mirror), Depth: depth})
	return mirror, err
}

func TestDepthTakesTheLatestCommitsAlone(t *testing.T) {
	dir := deep(t)
	for depth, want := range map[int]string{1: "merged", 2: "main merged side", 3: "main merged removed side", 50: "first main merged oops removed side"} {
		mirror, err := shallowCopy(t, dir, depth, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Fields(git(t, mirror, "log", "--all", "--format=%s"))
		if sorted(got) != want {
			t.Errorf("depth %d: %s, want %s", depth, sorted(got), want)
		}
		git(t, mirror, "fsck", "--full", "--strict")
		if out := git(t, mirror, "status", "--porcelain") + git(t, mirror, "tag"); out != "" {
			t.Errorf("depth %d: status and tags %q", depth, out)
		}
	}
}

func sorted(words []string) string {
	set := map[string]bool{}
	for _, w := range words {
		set[w] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(set)), " ")
}

func TestDepthLeavesOlderSecretsBehind(t *testing.T) {
	dir := deep(t)
	git(t, dir, "gc", "-q") // all in one pack
	mirror, err := shallowCopy(t, dir, 2, leftOutSecrets)
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.TrimSpace(git(t, dir, "rev-parse", "v1:secret.env"))
	if _, err := tryGit(mirror, "cat-file", "-e", secret); err == nil {
		t.Error("the secret's object is in the copy")
	}
	if _, err := shallowCopy(t, dir, 4, leftOutSecrets); err == nil || !strings.Contains(err.Error(), "secret.env") {
		t.Errorf("depth 4, which shows it: %v", err)
	}
}

func TestDepthOfOddHeads(t *testing.T) {
	dir := newRepo(t)
	git(t, dir, "checkout", "-q", "--orphan", "unborn")
	if _, err := shallowCopy(t, dir, 1, nil); err != nil {
		t.Errorf("unborn branch: %v", err)
	}
	git(t, dir, "checkout", "-qf", "--detach", "main")
	mirror, err := shallowCopy(t, dir, 1, nil)
	if err != nil || git(t, mirror, "rev-parse", "HEAD") != git(t, dir, "rev-parse", "HEAD") {
		t.Errorf("detached: %v", err)
	}
	shallow := filepath.Join(realTemp(t), "clone")
	git(t, ".", "clone", "-q", "--depth", "2", "file://"+deep(t), shallow)
	if mirror, err = shallowCopy(t, shallow, 9, nil); err != nil {
		t.Fatalf("a shallow clone: %v", err)
	}
	git(t, mirror, "fsck", "--full", "--strict")
}

func TestCommitsOnAShortHistoryComeHome(t *testing.T) {
	dir := deep(t)
	mirror, err := shallowCopy(t, dir, 1, leftOutSecrets)
	if err != nil {
		t.Fatal(err)
	}
	b := &brought{T: t, project: dir, mirror: mirror}
	b.before = b.state()
	id := b.commit("a", "1\n")
	if got := b.bring(); len(got.Branches) != 1 || len(got.Branches[0].Commits) != 1 || got.Branches[0].Commits[0].ID != id {
		t.Errorf("brought %+v", got)
	}
}
