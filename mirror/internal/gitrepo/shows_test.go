package gitrepo

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What an agent's repository shows is found wherever it is, named or not; and what can't be looked at is no clearance.
func TestShowsFindsAHiddenPathWhereverItHides(t *testing.T) {
	oops := func(dir string) {
		write(t, dir, "secret.env", "KEY=1\n")
		git(t, dir, "add", "-f", "secret.env")
	}
	commit := func(dir string) {
		oops(dir)
		git(t, dir, "commit", "-qm", "oops")
	}
	back := func(dir string) { git(t, dir, "reset", "-q", "--hard", "HEAD~1") }
	for name, test := range map[string]struct {
		make  func(dir string)
		found bool
	}{
		"nowhere":              {func(string) {}, false},
		"the index":            {oops, true},
		"a commit":             {commit, true},
		"a stash":              {func(dir string) { oops(dir); git(t, dir, "stash", "-q") }, true},
		"a commit of no name":  {func(dir string) { commit(dir); back(dir) }, true},
		"one in a pack":        {func(dir string) { commit(dir); git(t, dir, "gc", "-q"); back(dir) }, true},
		"a tree of no name":    {func(dir string) { oops(dir); git(t, dir, "write-tree"); git(t, dir, "reset", "-q") }, true},
		"a file of no name":    {func(dir string) { git(t, dir, "hash-object", "-w", "README.md") }, false},
		"a repository of none": {func(dir string) { os.RemoveAll(filepath.Join(dir, ".git/objects")) }, false},
	} {
		dir := newRepo(t)
		test.make(dir)
		err := Shows(t.Context(), filepath.Join(dir, ".git"), leftOutSecrets)
		var hidden *HiddenError
		if errors.As(err, &hidden) != test.found || (err != nil) != (test.found || strings.HasPrefix(name, "a repository")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestShowsEndsOnATreeThatHoldsItselfManyTimes(t *testing.T) {
	b := newBrought(t)
	tree := b.tree("100644", b.rev("HEAD:README.md"))
	for range 40 {
		tree = b.tree("40000", tree)
	}
	b.object("commit", []byte("tree "+tree+"\n"+rawAuthor))
	err := shows(t.Context(), filepath.Join(b.mirror, ".git"), func(string) bool { return false }, 1000)
	if err == nil || !strings.Contains(err.Error(), "too many places") {
		t.Errorf("err = %v", err)
	}
}
