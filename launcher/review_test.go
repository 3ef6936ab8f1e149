//go:build linux

package launcher_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/mirror"
)

// What the first pass of a review brought home is told at the end as after any other session.
func TestReviewTellsOfCommits(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	b := newBench(t, "f = 1")
	b.git("init", "-q", "-b", "main")
	b.git("add", "-A")
	b.git("commit", "-q", "-m", "first")
	b.opts.Sync, b.opts.Git = launcher.SyncReview, mirror.GitImport
	b.opts.Review = func(_ context.Context, all []autosync.Proposal) (launcher.Verdict, error) {
		return launcher.Verdict{Approved: all}, nil
	}
	res, err := b.run("echo 2 > f; " + gitAs + " commit -qam second")
	if err != nil || res.Mirror != "" {
		t.Fatalf("%+v, %v", res, err)
	}
	if c := res.Changes; len(c.Commits) != 1 || len(c.Commits[0].Commits) != 1 || len(c.ToProject) != 1 {
		t.Errorf("%+v", c)
	}
}

const gitAs = "git -c user.name=n -c user.email=e"

func (b *bench) git(args ...string) {
	b.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", b.project, "-c", "user.name=n", "-c", "user.email=e"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+filepath.Join(b.t.TempDir(), "none"))
	if out, err := cmd.CombinedOutput(); err != nil {
		b.t.Fatalf("git %v: %v %s", args, err, out)
	}
}
