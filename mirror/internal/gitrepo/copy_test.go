package gitrepo

import (
	"bytes"
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

func leftOutSecrets(p string) bool {
	return p == "secret.env" || p == "private" || strings.HasPrefix(p, "private/")
}

// withSecrets makes a repository in which paths that the mirror leaves out are tracked.
func withSecrets(t *testing.T) string {
	t.Helper()
	dir := newRepo(t)
	write(t, dir, "secret.env", "KEY=1\n")
	write(t, dir, "private/deep/key", "k\n")
	git(t, dir, "add", "-f", ".")
	git(t, dir, "commit", "-qm", "secrets")
	return dir
}

func TestCopyHasTheStatusOfTheProject(t *testing.T) {
	runs := 6
	if *long {
		runs = 300
	}
	for seed := range runs {
		rng := rand.New(rand.NewPCG(uint64(seed), 2))
		dir := randomRepo(t, rng)
		var leftOut func(string) bool
		if rng.IntN(2) == 0 {
			leftOut = func(p string) bool { return p == "one/deep" || strings.HasPrefix(p, "one/deep/") }
		}
		mirror, _ := standalone(t, dir, leftOut)
		// Repositories inside are not mirrored as such. What is staged of a left-out path stays staged.
		but := func(p string) bool {
			return strings.HasPrefix(p, "two/nested/") || (leftOut != nil && leftOut(p))
		}
		want, got := status(t, dir, but), status(t, mirror, but)
		for _, l := range status(t, mirror, func(p string) bool { return !but(p) }) {
			if l[1] != ' ' && l[:2] != "??" {
				t.Errorf("seed %d: a left-out path shows as changed: %q", seed, l)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d: status (-project +mirror):\n%s", seed, diff)
		}
		git(t, mirror, "fsck", "--full", "--strict")
	}
}

func TestCommitAllInCopyDeletesNoLeftOutPath(t *testing.T) {
	dir := withSecrets(t)
	mirror, rep := standalone(t, dir, leftOutSecrets)
	if want := []string{"private/deep/key", "secret.env"}; !slices.Equal(rep.LeftOut, want) {
		t.Errorf("LeftOut = %q", rep.LeftOut)
	}
	write(t, mirror, "README.md", "changed\n")
	git(t, mirror, "commit", "-qam", "all")
	git(t, mirror, "add", "-A")
	if out := git(t, mirror, "show", "--name-status", "--format=", "HEAD"); strings.TrimSpace(out) != "M\tREADME.md" {
		t.Errorf("the commit holds %q", out)
	}
	if out := git(t, mirror, "status", "--porcelain"); out != "" {
		t.Errorf("status after the commit: %q", out)
	}
}

func TestCopyWorksAsARepository(t *testing.T) {
	dir := withSecrets(t)
	git(t, dir, "tag", "-a", "-m", "t", "v1")
	git(t, dir, "branch", "old")
	git(t, dir, "pack-refs", "--all")
	git(t, dir, "branch", "new")
	git(t, dir, "gc", "-q")
	write(t, dir, "README.md", "one\n")
	git(t, dir, "stash", "-q")
	write(t, dir, "README.md", "two\n")
	git(t, dir, "stash", "-q")
	mirror, _ := standalone(t, dir, leftOutSecrets)
	for _, args := range [][]string{{"log", "--all", "--format=%H %d"}, {"stash", "list", "--format=%H %gs"}, {"show-ref"}, {"symbolic-ref", "HEAD"}} {
		if want, got := git(t, dir, args...), git(t, mirror, args...); got != want {
			t.Errorf("git %q: %q; the project has %q", args, got, want)
		}
	}
	git(t, mirror, "fsck", "--full", "--strict")
	git(t, mirror, "checkout", "-q", "-b", "topic")
	write(t, mirror, "README.md", "three\n")
	git(t, mirror, "stash", "-q")
	git(t, mirror, "stash", "pop", "-q")
	git(t, mirror, "commit", "-qam", "topic")
	git(t, mirror, "checkout", "-q", "old")
	git(t, mirror, "gc", "-q")
	git(t, mirror, "fsck", "--full", "--strict")
	if out := git(t, dir, "branch", "--list", "topic"); out != "" {
		t.Error("a branch of the mirror appeared in the project")
	}
}

func TestCopyBringsNoHookProgramOrCredential(t *testing.T) {
	dir := newRepo(t)
	hooked := filepath.Join(realTemp(t), "hooked")
	for _, h := range []string{"post-checkout", "pre-commit", "post-commit", "reference-transaction", "fsmonitor-watchman"} {
		write(t, dir, ".git/hooks/"+h, "#!/bin/sh\ntouch "+hooked+"\n")
		os.Chmod(filepath.Join(dir, ".git/hooks", h), 0o755)
	}
	config, err := os.ReadFile(filepath.Join(dir, ".git/config"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, ".git/config", string(config)+`
[core]
	hooksPath = /HOST/hooks
	fsmonitor = /HOST/monitor
	sshCommand = ssh -i /HOST/key
	editor = /HOST/ed
	pager = /HOST/page
	attributesFile = /HOST/attributes
	askPass = /HOST/ask
[include]
	path = /HOST/inc
[credential]
	helper = "!echo password=S3CRET"
[http "https://example.org"]
	extraheader = Authorization: Basic S3CRET
[url "https://user:S3CRET@example.org/"]
	insteadOf = https://example.org/
[remote "origin"]
	url = https://user:S3CRET@example.org/r.git
	pushurl = https://S3CRET@example.org/r.git?private_token=S3CRET
	fetch = +refs/heads/*:refs/remotes/origin/*
	uploadpack = /HOST/up
[remote "odd"]
	url = https://user:S3/CRET@example.org/S3CRET@x
[remote "helper"]
	url = ext::/HOST/run S3CRET
[remote "ssh"]
	url = ssh://git:S3CRET@example.org/r.git
[remote "https://user:S3CRET@example.org/"]
	fetch = x
[remote "scp"]
	url = git@example.org:r.git
[branch "main"]
	remote = https://user:S3CRET@example.org/r.git
	merge = refs/heads/main
[branch "local"]
	remote = origin
[filter "f"]
	clean = /HOST/clean
	smudge = /HOST/smudge
[diff "d"]
	command = /HOST/diff
[merge "m"]
	driver = /HOST/merge
[alias]
	x = "!/HOST/alias"
[gpg]
	program = /HOST/gpg
[commit]
	gpgSign = true
[user]
	name = "A \"quoted\" name"
	signingKey = S3CRET
[sendemail]
	smtpPass = S3CRET
`)
	write(t, dir, ".git/FETCH_HEAD", "0000000000000000000000000000000000000000\t\tbranch 'main' of https://user:S3CRET@example.org/r\n")
	write(t, dir, ".git/index.lock", "S3CRET")
	write(t, dir, ".git/refs/heads/x.lock", git(t, dir, "rev-parse", "HEAD"))
	write(t, dir, ".git/objects/tmp_obj_S3CRET", "S3CRET")
	write(t, dir, ".git/objects/ab/tmp_obj_x", "S3CRET")
	write(t, dir, ".git/objects/pack/tmp_pack_x", "S3CRET")
	write(t, dir, ".git/objects/pack/pack-1.pack", "S3CRET")
	write(t, dir, ".git/logs/refs/stash", "0 1 A <a@b> 1 +0000\tOn main: pulled from https://user:S3CRET@example.org/r\n")
	write(t, dir, ".git/logs/HEAD", "S3CRET")
	write(t, dir, ".git/alca-unknown", "S3CRET")
	mkfifo(t, filepath.Join(dir, ".git/refs/heads/fifo"))
	mkfifo(t, filepath.Join(dir, ".git/objects/pack/pack-1.keep"))
	mirror, rep := standalone(t, dir, nil)

	filepath.WalkDir(filepath.Join(mirror, ".git"), func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(p, "hook") || strings.HasSuffix(p, ".lock") || d.Type()&^fs.ModeDir != 0 {
			t.Errorf("%s came along", p)
		}
		if d.IsDir() {
			return nil
		}
		data, err := os.ReadFile(p)
		for _, bad := range []string{"S3CRET", "S3", "CRET", "/HOST", "extraheader"} {
			if err != nil || bytes.Contains(data, []byte(bad)) {
				t.Errorf("%s holds %q: %v", p, bad, err)
			}
		}
		if info, _ := d.Info(); info.Mode()&0o111 != 0 {
			t.Errorf("%s is executable", p)
		}
		return nil
	})
	for key, want := range map[string]string{
		"remote.origin.url": "https://example.org/r.git", "remote.ssh.url": "ssh://git@example.org/r.git", "remote.scp.url": "git@example.org:r.git",
		"branch.local.remote": "origin", "branch.main.merge": "refs/heads/main", "user.name": `A "quoted" name`, "core.bare": "false",
	} {
		if got := strings.TrimSpace(git(t, mirror, "config", key)); got != want {
			t.Errorf("%s = %q; want %q", key, got, want)
		}
	}
	if !slices.Contains(rep.DroppedKeys, "core.sshcommand") || strings.Contains(strings.Join(rep.DroppedKeys, " "), "S3") {
		t.Errorf("DroppedKeys = %q", rep.DroppedKeys)
	}
	write(t, mirror, "README.md", "x\n")
	git(t, mirror, "commit", "-qam", "x")
	if _, err := os.Stat(hooked); err == nil {
		t.Error("a hook of the host ran")
	}
}

func TestCopySharesNoInode(t *testing.T) {
	dir := newRepo(t)
	git(t, dir, "gc", "-q")
	write(t, dir, "x", "x")
	git(t, dir, "add", "x")
	clone := filepath.Join(realTemp(t), "clone")
	git(t, dir, "clone", "-q", "--shared", dir, clone)
	mirror, _ := standalone(t, clone, nil)
	theirs := inodes(t, dir)
	for ino, p := range inodes(t, clone) {
		theirs[ino] = p
	}
	ours := inodes(t, mirror)
	if len(ours) < 8 {
		t.Fatalf("only %d files", len(ours))
	}
	for ino, p := range ours {
		if q, shared := theirs[ino]; shared {
			t.Errorf("%s is %s", p, q)
		}
	}
}

func TestCopyTakesInWhatIsBorrowed(t *testing.T) {
	origin := newRepo(t)
	middle := filepath.Join(realTemp(t), "middle")
	git(t, origin, "clone", "-q", "--shared", origin, middle)
	write(t, middle, "m", "m")
	git(t, middle, "add", ".")
	git(t, middle, "commit", "-qm", "middle")
	last := filepath.Join(filepath.Dir(middle), "last")
	git(t, middle, "clone", "-q", "--shared", middle, last)
	rel, _ := filepath.Rel(filepath.Join(last, ".git/objects"), filepath.Join(middle, ".git/objects"))
	write(t, last, ".git/objects/info/alternates", "# note\n"+rel+"\n/nowhere/objects\n")
	git(t, last, "fsck")
	mirror, _ := standalone(t, last, nil)
	for _, d := range []string{origin, middle, last} {
		os.RemoveAll(d)
	}
	git(t, mirror, "fsck", "--full", "--strict")
	if n := strings.Count(git(t, mirror, "log", "--format=%H"), "\n"); n != 2 {
		t.Errorf("%d commits", n)
	}
	if _, err := os.Stat(filepath.Join(mirror, ".git/objects/info/alternates")); err == nil {
		t.Error("the copy has alternates")
	}
}

func TestCopyOfLinkedWorktreeIsOrdinary(t *testing.T) {
	main := withSecrets(t)
	linked := filepath.Join(realTemp(t), "linked")
	git(t, main, "worktree", "add", "-q", "-b", "side", linked)
	write(t, linked, "staged", "s")
	git(t, linked, "add", "staged")
	write(t, linked, "README.md", "changed\n")
	before := git(t, main, "for-each-ref")
	mirror, _ := standalone(t, linked, leftOutSecrets)
	if diff := cmp.Diff(status(t, linked, nil), status(t, mirror, nil)); diff != "" {
		t.Errorf("status (-project +mirror):\n%s", diff)
	}
	git(t, mirror, "commit", "-qam", "in the mirror")
	git(t, mirror, "fsck", "--full")
	if got := strings.TrimSpace(git(t, mirror, "symbolic-ref", "HEAD")); got != "refs/heads/side" {
		t.Errorf("HEAD = %s", got)
	}
	if after := git(t, main, "for-each-ref"); after != before {
		t.Errorf("a commit in the mirror moved the host's refs:\n%s%s", before, after)
	}
	if out := git(t, mirror, "worktree", "list"); strings.Count(out, "\n") != 1 {
		t.Errorf("work trees: %q", out)
	}
}

func TestCopyOfSubmoduleIsOrdinary(t *testing.T) {
	lib, super := newRepo(t), newRepo(t)
	git(t, super, "submodule", "--quiet", "add", lib, "lib")
	git(t, super, "commit", "-qm", "lib")
	sub := filepath.Join(super, "lib")
	write(t, sub, "README.md", "changed\n")
	mirror, _ := standalone(t, sub, nil)
	if diff := cmp.Diff(status(t, sub, nil), status(t, mirror, nil)); diff != "" {
		t.Errorf("status (-project +mirror):\n%s", diff)
	}
	if out, err := tryGit(mirror, "config", "core.worktree"); err == nil {
		t.Errorf("core.worktree = %q", out)
	}
	if top := strings.TrimSpace(git(t, mirror, "rev-parse", "--show-toplevel")); top != mirror {
		t.Errorf("top = %s", top)
	}
	git(t, sub, "checkout", "-q", "README.md")

	whole, rep := standalone(t, super, func(p string) bool { return p == "lib" })
	if !slices.Equal(rep.LeftOut, []string{"lib"}) {
		t.Errorf("LeftOut = %q", rep.LeftOut)
	}
	git(t, whole, "commit", "-qam", "all", "--allow-empty")
	if out := git(t, whole, "show", "--name-status", "--format=", "HEAD"); out != "" {
		t.Errorf("the commit holds %q", out)
	}
	listed := mirrorOf(t, super, func(p string) bool { return p == "lib" }) // as the files that git lists: without
	if _, err := CopyStandalone(t.Context(), super, filepath.Join(listed, ".git"), Options{}); err != nil {
		t.Fatal(err)
	}
	if out := git(t, listed, "status", "--porcelain"); out != "" {
		t.Errorf("status without the submodule: %q", out)
	}
	kept, _ := standalone(t, super, nil) // the submodule's files mirrored, without its repository
	if out := git(t, kept, "status", "--porcelain"); out != "" {
		t.Errorf("status: %q", out)
	}
	git(t, kept, "add", "-A")
	if out := git(t, kept, "diff", "--cached", "--name-status"); out != "" {
		t.Errorf("git add -A staged %q", out)
	}
}

func TestCopyOfUnbornBranch(t *testing.T) {
	dir := filepath.Join(realTemp(t), "unborn")
	os.Mkdir(dir, 0o755)
	git(t, dir, "init", "-q", "-b", "trunk")
	mirror, _ := standalone(t, dir, nil)
	write(t, mirror, "f", "x")
	git(t, mirror, "add", "f")
	git(t, mirror, "commit", "-qm", "first")
	if got := strings.TrimSpace(git(t, mirror, "symbolic-ref", "HEAD")); got != "refs/heads/trunk" {
		t.Errorf("HEAD = %s", got)
	}
}

func TestCopyOfShallowAndPartialClone(t *testing.T) {
	origin := newRepo(t)
	write(t, origin, "two", "2")
	git(t, origin, "add", ".")
	git(t, origin, "commit", "-qm", "two")
	git(t, origin, "config", "uploadpack.allowFilter", "true")
	for _, arg := range []string{"--depth=1", "--filter=blob:none"} {
		clone := filepath.Join(realTemp(t), "clone")
		git(t, origin, "clone", "-q", arg, "file://"+origin, clone)
		mirror, _, err := surveyed(t, clone)
		if err != nil {
			t.Fatal(err)
		}
		if want, got := git(t, clone, "log", "--format=%H"), git(t, mirror, "log", "--format=%H"); got != want {
			t.Errorf("%s: log %q; want %q", arg, got, want)
		}
		git(t, mirror, "log", "-p", "--format=%H")
	}
}

func TestCopyOfSparseCheckout(t *testing.T) {
	dir := newRepo(t)
	git(t, dir, "sparse-checkout", "set", "src")
	write(t, dir, "src/a.go", "package b\n")
	os.Remove(filepath.Join(dir, "README.md"))
	mirror, _ := standalone(t, dir, nil)
	if diff := cmp.Diff(status(t, dir, nil), status(t, mirror, nil)); diff != "" {
		t.Errorf("status (-project +mirror):\n%s", diff)
	}
	if want, got := git(t, dir, "sparse-checkout", "list"), git(t, mirror, "sparse-checkout", "list"); got != want {
		t.Errorf("sparse-checkout list %q; want %q", got, want)
	}
}

// conflicted makes a repository in which merging "other" conflicts in README.md.
func conflicted(t *testing.T) string {
	t.Helper()
	dir := withSecrets(t)
	git(t, dir, "checkout", "-q", "-b", "other")
	write(t, dir, "README.md", "theirs\n")
	git(t, dir, "commit", "-qam", "theirs")
	git(t, dir, "checkout", "-q", "main")
	write(t, dir, "README.md", "ours\n")
	git(t, dir, "commit", "-qam", "ours")
	return dir
}

func TestCopyCarriesAMergeInProgress(t *testing.T) {
	for _, args := range [][]string{{"merge", "other"}, {"cherry-pick", "other"}, {"revert", "other"}} {
		dir := conflicted(t)
		tryGit(dir, args...)
		mirror, _ := standalone(t, dir, leftOutSecrets)
		if diff := cmp.Diff(status(t, dir, nil), status(t, mirror, nil)); diff != "" {
			t.Errorf("%q: status (-project +mirror):\n%s", args, diff)
		}
		if want, got := git(t, dir, "status"), git(t, mirror, "status"); got != want {
			t.Errorf("%q: %s; want %s", args, got, want)
		}
		write(t, mirror, "README.md", "both\n")
		git(t, mirror, "add", "README.md")
		git(t, mirror, "commit", "-qm", "done")
		if args[0] == "merge" && strings.Count(git(t, mirror, "show", "-s", "--format=%P"), " ") != 1 {
			t.Error("the commit is no merge")
		}
	}
}

func TestCopyRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		make func(t *testing.T) string
		want error
	}{
		"no .git":         {func(t *testing.T) string { return realTemp(t) }, fs.ErrNotExist},
		"a subdirectory":  {func(t *testing.T) string { return filepath.Join(newRepo(t), "src") }, fs.ErrNotExist},
		"rebase":          {func(t *testing.T) string { d := conflicted(t); tryGit(d, "rebase", "other"); return d }, errors.ErrUnsupported},
		"series of picks": {func(t *testing.T) string { d := conflicted(t); tryGit(d, "cherry-pick", "other", "other~1"); return d }, errors.ErrUnsupported},
		"sha256": {func(t *testing.T) string {
			d := realTemp(t)
			git(t, d, "init", "-q", "--object-format=sha256")
			return d
		}, errors.ErrUnsupported},
		"conflict in a left-out path": {func(t *testing.T) string {
			d := withSecrets(t)
			for _, b := range []string{"x", "main"} {
				if b == "x" {
					git(t, d, "checkout", "-q", "-b", b)
				} else {
					git(t, d, "checkout", "-q", b)
				}
				write(t, d, "secret.env", b)
				git(t, d, "commit", "-qam", b)
			}
			tryGit(d, "merge", "x")
			return d
		}, errors.ErrUnsupported},
		"refs behind a link": {func(t *testing.T) string {
			d := newRepo(t)
			os.Rename(filepath.Join(d, ".git/objects/pack"), filepath.Join(d, ".git/p"))
			os.Symlink("../p", filepath.Join(d, ".git/objects/pack"))
			return d
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dest := filepath.Join(realTemp(t), ".git")
			_, err := CopyStandalone(context.Background(), test.make(t), dest, Options{LeftOut: leftOutSecrets})
			if err == nil || (test.want != nil && !errors.Is(err, test.want)) {
				t.Errorf("CopyStandalone: %v; want %v", err, test.want)
			}
			if _, err := os.Lstat(dest); err == nil {
				t.Error("something was left behind")
			}
		})
	}
}

func TestCopyLeavesAnExistingRepositoryAlone(t *testing.T) {
	dest := realTemp(t)
	write(t, dest, ".git/HEAD", "mine")
	if _, err := CopyStandalone(context.Background(), newRepo(t), filepath.Join(dest, ".git"), Options{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("CopyStandalone: %v", err)
	}
	if data, _ := os.ReadFile(filepath.Join(dest, ".git/HEAD")); string(data) != "mine" {
		t.Error("an existing repository was changed")
	}
}

func TestCopyStopsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dest := filepath.Join(realTemp(t), ".git")
	if _, err := CopyStandalone(ctx, newRepo(t), dest, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("CopyStandalone: %v", err)
	}
	if _, err := os.Lstat(dest); err == nil {
		t.Error("something was left behind")
	}
}

func TestCopyChangesNothingInTheProject(t *testing.T) {
	dir := withSecrets(t)
	before := git(t, dir, "rev-parse", "HEAD")
	listing := func() (out []string) {
		filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			info, _ := d.Info()
			out = append(out, p+info.ModTime().String()+info.Mode().String())
			return err
		})
		return out
	}
	was := listing()
	standalone(t, dir, leftOutSecrets)
	HistoryHolds(context.Background(), dir, leftOutSecrets)
	if diff := cmp.Diff(was, listing()); diff != "" {
		t.Errorf("the project changed:\n%s", diff)
	}
	if git(t, dir, "rev-parse", "HEAD") != before {
		t.Error("HEAD moved")
	}
}
