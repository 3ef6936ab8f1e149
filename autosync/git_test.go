package autosync_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/mirror/mirrortest"
)

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	c := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
	c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// newGitPair is a pair whose project is a repository with one commit, copied to the mirror.
func newGitPair(t *testing.T) *pair {
	t.Helper()
	dir := mirrortest.Make(t, filepath.Join(t.TempDir(), "project"), "f = 1", "g = 1")
	git(t, dir, "init", "-q")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-qm", "first")
	policy, err := dotfiles.New(dotfiles.Rules{Git: true})
	if err != nil {
		t.Fatal(err)
	}
	return newPairAt(t, dir, mirror.Options{Policy: policy, Git: mirror.GitCopy})
}

func TestCommitsMadeInTheMirrorAreKept(t *testing.T) {
	p := newGitPair(t)
	p.write(p.mirror, "f", "agent")
	git(t, p.mirror, "commit", "-qam", "by the agent")
	before := git(t, p.project, "log", "--format=%H %s")
	c := p.once(autosync.Options{Deletes: true, Final: true})
	p.wantProject("f", "agent")
	if len(c.Refused) != 1 || c.Refused[0].Path != ".git" {
		t.Fatalf("refused = %+v", c.Refused)
	}
	if log := git(t, c.Refused[0].Kept, "log", "--format=%s"); !strings.HasPrefix(log, "by the agent") {
		t.Errorf("kept repository's log:\n%s", log)
	}
	if after := git(t, p.project, "log", "--format=%H %s"); after != before {
		t.Errorf("the project's log changed:\n%s", after)
	}
}

func TestStatusInTheMirrorIsNoCommit(t *testing.T) {
	p := newGitPair(t)
	git(t, p.mirror, "status")
	p.write(p.mirror, "f", "agent")
	git(t, p.mirror, "add", ".")
	if c := p.once(autosync.Options{Deletes: true, Final: true}); len(c.Refused) > 0 {
		t.Errorf("refused = %+v", c.Refused)
	}
}

// An agent that removes or replaces the repository of its mirror loses its commits, not its edits: the end is an end as ever,
// and nothing that it put in the place is followed.
func TestARemovedRepositoryDoesNotKeepTheMirror(t *testing.T) {
	for name, put := range map[string]func(at, project string) error{
		"removed": func(string, string) error { return nil },
		"a file":  func(at, project string) error { return os.WriteFile(at, []byte("gitdir: "+project+"\n"), 0o644) },
		"a link":  func(at, project string) error { return os.Symlink(project, at) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newGitPair(t)
			p.write(p.mirror, "f", "agent")
			at := filepath.Join(p.mirror, ".git")
			before := git(t, p.project, "for-each-ref")
			if err := errors.Join(os.RemoveAll(at), put(at, filepath.Join(p.project, ".git"))); err != nil {
				t.Fatal(err)
			}
			c := p.once(autosync.Options{Deletes: true, Final: true})
			p.wantProject("f", "agent")
			if len(c.Failed) > 0 || len(c.Refused) != 1 || c.Refused[0].Path != ".git" {
				t.Errorf("failed %+v, refused %+v", c.Failed, c.Refused)
			}
			if after := git(t, p.project, "for-each-ref"); after != before {
				t.Errorf("the project's refs are %s", after)
			}
		})
	}
}
