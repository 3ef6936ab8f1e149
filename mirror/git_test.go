package mirror

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror/mirrortest"
	"github.com/alca-mount/alca-mount/safety"
	"github.com/google/go-cmp/cmp"
)

func git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git")
	}
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

var gitTree = []string{".gitignore = *.o\n/gen/\n", "src/a.c = a", "src/a.o = built", "gen/x = made", "gen/kept = tracked", "lib/.gitignore = !need.o\n*.log\n",
	"lib/need.o = n", "lib/x.log = l", "untracked = u", "secret = SECRET", "blank/"}

func newGitWorld(t testing.TB) *world {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	w := newWorld(t, gitTree...)
	git(t, w.project, "init", "-q")
	git(t, w.project, "add", ".gitignore", "src/a.c", "lib", "secret")
	git(t, w.project, "add", "-f", "gen/kept")
	git(t, w.project, "commit", "-qm", "first")
	return w
}

func TestGitPopulationIsWhatGitLists(t *testing.T) {
	w := newGitWorld(t)
	m := w.create(Options{Policy: policyOf(t, rules("secret", "")), Population: Auto})
	want := strings.Split(strings.Trim(git(t, w.project, "ls-files", "-z", "--cached", "--others", "--exclude-standard"), "\x00"), "\x00")
	want = slices.DeleteFunc(want, func(s string) bool { return s == "secret" })
	slices.Sort(want)
	for _, side := range []Side{ProjectSide, MirrorSide} {
		var got []string
		for p, f := range scanOf(t, m, side).All() {
			if f.Info.Kind == safety.File {
				got = append(got, string(p))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", side, diff)
		}
	}
	if m.Built.Population != Git || m.Built.Files != len(want) {
		t.Errorf("%+v", m.Built)
	}
	if info, err := m.Root.Lstat("blank"); err != nil || info.Kind != safety.Absent {
		t.Errorf("%v: a directory without files is there", err)
	}
}

func TestWhatTheAgentBuildsAndGitIgnoresIsNotListed(t *testing.T) {
	w := newGitWorld(t)
	m := w.create(Options{Policy: everything(t), Population: Git})
	mirrortest.Make(t, w.mirror, "src/b.c = new", "src/b.o = built", "gen/y/z = made", "gen/kept = edited", "lib/new.log = l", "lib/need.o = edited",
		"mod/.gitignore = out.d/\n", "mod/out.d/f = x", "mod/m.c = new")
	var got []string
	for p, f := range scanOf(t, m, MirrorSide).All() {
		if f.Info.Kind == safety.File {
			got = append(got, string(p))
		}
	}
	want := []string{".gitignore", "gen/kept", "lib/.gitignore", "lib/need.o", "mod/.gitignore", "mod/m.c", "secret", "src/a.c", "src/b.c", "untracked"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPopulationWithoutARepository(t *testing.T) {
	w := newWorld(t, "f = x")
	if _, err := w.try(Options{Policy: everything(t), Population: Git}); err == nil {
		t.Error("git population of no repository")
	}
	if m := w.create(Options{Policy: everything(t), Population: Auto}); m.Built.Population != Walk || m.Built.Files != 1 {
		t.Errorf("%+v", m.Built)
	}
}

func TestGitCopyRefusesAHistoryThatShowsWhatIsHidden(t *testing.T) {
	w := newGitWorld(t)
	_, err := w.try(Options{Policy: policyOf(t, rules("secret", "")), Git: GitCopy})
	if err == nil || !strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "--git-with-hidden-history") {
		t.Errorf("err = %v", err)
	}
	if _, err := os.Lstat(w.mirror); err == nil {
		t.Error("a mirror is left behind")
	}
}

// A rule file is hidden by no rule, and it is in most histories.
func TestGitCopyTakesAHistoryWithRuleFiles(t *testing.T) {
	w := newGitWorld(t)
	mirrortest.Make(t, w.project, ".agentignore = never-there")
	git(t, w.project, "add", ".agentignore")
	git(t, w.project, "commit", "-qm", "rules")
	w.create(Options{Policy: policyOf(t, rules("never-there", "")), Git: GitCopy})
}

func TestGitCopyHasTheProjectsStatusAndDeletesNothingHidden(t *testing.T) {
	w := newGitWorld(t)
	mirrortest.Make(t, w.project, "src/a.c = changed")
	m := w.create(Options{Policy: policyOf(t, rules("secret", "")), Git: GitCopy, GitHiddenHistory: true})
	status := git(t, w.mirror, "status", "--porcelain")
	if want := git(t, w.project, "status", "--porcelain"); status != want {
		t.Errorf("status in the mirror:\n%sin the project:\n%s", status, want)
	}
	git(t, w.mirror, "commit", "-qam", "by the agent")
	if out := git(t, w.mirror, "show", "--stat", "--format="); strings.Contains(out, "secret") {
		t.Errorf("the commit touches what is hidden:\n%s", out)
	}
	for _, side := range []Side{ProjectSide, MirrorSide} {
		for p := range scanOf(t, m, side).All() {
			if p.In(gitDir) {
				t.Fatalf("the %s's scan lists %s", side, p)
			}
		}
	}
	if m.Policy.Access(".git/config", false) != dotfiles.OneWay {
		t.Error(".git is not one-way")
	}
}

func TestGitCopyWithoutARepositoryIsToldOf(t *testing.T) {
	w := newWorld(t, "f = x")
	m := w.create(Options{Policy: everything(t), Git: GitCopy})
	if len(m.Built.Skipped) != 1 || m.Built.Skipped[0].Path != gitDir {
		t.Errorf("%+v", m.Built.Skipped)
	}
}

func TestReadmeNamesReadOnlyRulesAndNothingHidden(t *testing.T) {
	w := newWorld(t, "f = x", ".env = SECRET")
	w.create(Options{Policy: policyOf(t, rules(".env topsecret/", "docs/ *.lock")), Agent: "claude"})
	data, err := os.ReadFile(filepath.Join(w.mirror, ReadmeName))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"    docs/\n", "    *.lock\n", "Agent: claude"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%q is not in it:\n%s", want, data)
		}
	}
	for _, bad := range []string{".env", "topsecret", "SECRET"} {
		if strings.Contains(string(data), bad) {
			t.Errorf("%q is in it", bad)
		}
	}
	if text := readmeText("a\x1b[2Jb", []dotfiles.Rule{{Pattern: "x\x1b]0;t\a\u009b"}}, KeepLinks); strings.ContainsAny(text, "\x1b\a\u009b") {
		t.Errorf("control characters: %q", text)
	}
}

// Where git takes names for one whatever their case, so do the rules on what is committed, on any file system.
func TestCommitsOfOtherCase(t *testing.T) {
	for _, ignore := range []string{"false", "true"} {
		w := newGitWorld(t)
		git(t, w.project, "config", "core.ignorecase", ignore)
		m := w.create(Options{Policy: policyOf(t, rules("locked", "")), Git: GitImport})
		git(t, w.mirror, "config", "core.ignorecase", "false")
		mirrortest.Make(t, w.mirror, "src/Locked = x")
		git(t, w.mirror, "add", "src/Locked")
		git(t, w.mirror, "commit", "-qm", "another case")
		brought, err := m.BringCommitsHome(t.Context(), filepath.Join(w.mirror, gitDir), nil)
		if err != nil || len(brought.Refused) == 1 != (ignore == "true") || len(brought.Refused)+len(brought.Branches) != 1 {
			t.Errorf("core.ignorecase %s: %+v, %v", ignore, brought, err)
		}
	}
}

// What is read-only and not tracked is none of a commit of everything, which would be refused for it; what is tracked
// stays what it is.
func TestCommitOfEverythingTakesInNothingReadOnly(t *testing.T) {
	w := newGitWorld(t)
	mirrortest.Make(t, w.project, "ro/new = x", "own[1].lock = x", "lib/need.o = n")
	m := w.create(Options{Policy: policyOf(t, rules("", "ro/\n*.lock\n/lib/\n")), Git: GitImport})
	mirrortest.Make(t, w.mirror, "src/new = x")
	git(t, w.mirror, "add", "-A")
	git(t, w.mirror, "commit", "-qm", "everything")
	if out := git(t, w.mirror, "show", "--name-only", "--format="); out != "src/new\nuntracked\n" {
		t.Errorf("it holds %s", out)
	}
	brought, err := m.BringCommitsHome(t.Context(), filepath.Join(w.mirror, gitDir), nil)
	if err != nil || len(brought.Branches) != 1 {
		t.Errorf("%+v, %v", brought, err)
	}
	if status := git(t, w.mirror, "status", "--porcelain", "--ignored=no"); status != "" {
		t.Errorf("status: %s", status)
	}
}
