package gitrepo

import (
	"bytes"
	"context"
	"flag"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alca-mount/alca-mount/safety"
)

var long = flag.Bool("long", false, "many more random repositories")

// TestMain keeps the user's own git settings out, of git's and of this package.
func TestMain(m *testing.M) {
	flag.Parse()
	home, err := os.MkdirTemp("", "gitrepo-home-")
	if err != nil {
		panic(err)
	}
	for k, v := range map[string]string{
		"HOME": home, "XDG_CONFIG_HOME": filepath.Join(home, ".config"), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C",
		"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
	} {
		os.Setenv(k, v)
	}
	code := m.Run()
	os.RemoveAll(home)
	os.Exit(code)
}

// git runs the git binary, the oracle of these tests, in dir.
func git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	out, err := tryGit(dir, args...)
	if err != nil {
		t.Fatalf("git %q in %s: %v\n%s", args, dir, err, out)
	}
	return out
}

func tryGit(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"-c", "protocol.file.allow=always"}, args...)...)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil {
		return out.String() + errs.String(), err
	}
	return out.String(), nil
}

// write makes a file and the directories above it.
func write(t testing.TB, dir, name, content string) {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// newRepo makes a repository with one commit.
func newRepo(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(realTemp(t), "project")
	os.Mkdir(dir, 0o755)
	git(t, dir, "init", "-q", "-b", "main")
	write(t, dir, "README.md", "hello\n")
	write(t, dir, "src/a.go", "package a\n")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-qm", "first")
	return dir
}

func realTemp(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// mirrorOf copies the work tree as a mirror does: without .git, without what is left out, times kept.
func mirrorOf(t testing.TB, project string, leftOut func(string) bool) string {
	t.Helper()
	mirror := filepath.Join(realTemp(t), "mirror")
	copyTree(t, project, mirror, leftOut)
	return mirror
}

func copyTree(t testing.TB, from, to string, leftOut func(string) bool) {
	t.Helper()
	err := filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(from, p)
		dst := filepath.Join(to, rel)
		switch {
		case err != nil:
			return err
		case d.Name() == ".git" || (rel != "." && leftOut != nil && leftOut(rel)):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return os.MkdirAll(dst, 0o755)
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			return os.Symlink(target, dst)
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		info, _ := d.Info()
		if err := os.WriteFile(dst, data, info.Mode()); err != nil {
			return err
		}
		return os.Chtimes(dst, info.ModTime(), info.ModTime())
	})
	if err != nil {
		t.Fatal(err)
	}
}

// infoOf is Options.Info over a mirror.
func infoOf(t testing.TB, mirror string) func(string) (safety.Info, bool) {
	root, err := safety.OpenRoot(mirror)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return func(p string) (safety.Info, bool) {
		i, err := root.Lstat(safety.RelPath(p))
		return i, err == nil && i.Kind != safety.Absent
	}
}

// standalone makes the mirror and its repository.
func standalone(t testing.TB, project string, leftOut func(string) bool) (mirror string, rep Report) {
	t.Helper()
	mirror = mirrorOf(t, project, leftOut)
	rep, err := CopyStandalone(context.Background(), project, filepath.Join(mirror, ".git"),
		Options{LeftOut: leftOut, Info: infoOf(t, mirror)})
	if err != nil {
		t.Fatal(err)
	}
	return mirror, rep
}

// gitFiles is what git lists, less what Files says it leaves out.
func gitFiles(t testing.TB, dir string) []string {
	t.Helper()
	out := git(t, dir, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	links := strings.Split(git(t, dir, "ls-files", "-z", "--stage"), "\x00")
	var files []string
	for _, f := range strings.Split(strings.TrimSuffix(out, "\x00"), "\x00") {
		info, err := os.Lstat(filepath.Join(dir, f))
		gitlink := slices.ContainsFunc(links, func(l string) bool {
			return strings.HasPrefix(l, "160000") && strings.HasSuffix(l, "\t"+f)
		})
		if f == "" || strings.HasSuffix(f, "/") || err != nil || info.IsDir() || gitlink || behindLink(dir, f) {
			continue
		}
		files = append(files, f)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

func behindLink(dir, f string) bool {
	for _, p := range safety.RelPath(f).Parents() {
		if info, err := os.Lstat(filepath.Join(dir, string(p))); err != nil || info.Mode()&fs.ModeSymlink != 0 {
			return true
		}
	}
	return false
}

// status is git status for scripts, without what is left out.
func status(t testing.TB, dir string, leftOut func(string) bool) []string {
	t.Helper()
	var lines []string
	out := git(t, dir, "status", "--porcelain", "-z", "--no-renames", "-uall")
	for _, l := range strings.Split(out, "\x00") {
		if len(l) > 3 && (leftOut == nil || !leftOut(l[3:])) {
			lines = append(lines, l)
		}
	}
	slices.Sort(lines)
	return lines
}

// randomRepo makes a repository with all that makes listing and status hard.
func randomRepo(t testing.TB, rng *rand.Rand) string {
	t.Helper()
	dir := newRepo(t)
	names := []string{"a", "b.log", "c.txt", "d e", "tmp", "build", "x\ny", "\xff\xfe", "-rf", "ünïcode", "#h", "!n", "q\"t", "long" + strings.Repeat("n", 200)}
	dirs := []string{"", "one", "two", "one/deep", "one/deep/er", "build", "tmp"}
	name := func() string {
		return filepath.Join(dirs[rng.IntN(len(dirs))], names[rng.IntN(len(names))]+[]string{"", ".o", ".log"}[rng.IntN(3)])
	}
	put := func() {
		p := name()
		if info, err := os.Lstat(filepath.Join(dir, p)); err == nil && info.IsDir() {
			return
		}
		if info, err := os.Lstat(filepath.Join(dir, filepath.Dir(p))); err == nil && !info.IsDir() {
			return
		}
		write(t, dir, p, p+string(rune('0'+rng.IntN(10))))
		if rng.IntN(4) == 0 {
			os.Chmod(filepath.Join(dir, p), 0o755)
		}
	}
	patterns := []string{"*.o", "*.log", "!b.log", "build/", "/tmp", "one/deep", "!keep", "a", "c.*", "!*.txt", "\\#h", "\\!n", "d\\ e", "**/er", "# note", "", "long*",
		"[!a]", "[[:alpha:]]", "?", "foo/**", "**/deep/", "deep/er", "one/*/er", "/*", "!*/", "x?y", "*[", "a\\", "b.log  ", "d\\ e.o\r", "*", "!one", "\xff*", "-rf*", "q\"t"}
	ignore := func() string {
		var b strings.Builder
		for range 1 + rng.IntN(3) {
			b.WriteString(patterns[rng.IntN(len(patterns))] + "\n")
		}
		return b.String()
	}
	for range 25 {
		put()
	}
	for _, d := range dirs {
		if info, err := os.Lstat(filepath.Join(dir, d)); err == nil && info.IsDir() && rng.IntN(3) == 0 {
			write(t, dir, filepath.Join(d, ".gitignore"), ignore())
		}
	}
	write(t, dir, ".git/info/exclude", ignore())
	if rng.IntN(2) == 0 {
		write(t, dir, "../excludes", ignore())
		git(t, dir, "config", "core.excludesFile", filepath.Join(filepath.Dir(dir), "excludes"))
	}
	os.Symlink("README.md", filepath.Join(dir, "link"))
	os.Symlink("nowhere/x", filepath.Join(dir, "dangling"))
	git(t, dir, "add", []string{"--all", "--force"}[rng.IntN(2)], ".")
	git(t, dir, "commit", "-q", "--allow-empty", "-m", "more")
	mutate(t, dir, rng, put)
	return dir
}

// mutate leaves the work tree and index in the states between two commits.
func mutate(t testing.TB, dir string, rng *rand.Rand, put func()) {
	t.Helper()
	tracked := strings.Split(strings.TrimSuffix(git(t, dir, "ls-files", "-z"), "\x00"), "\x00")
	pick := func() string { return tracked[rng.IntN(len(tracked))] }
	for range 4 {
		p := filepath.Join(dir, pick())
		switch rng.IntN(6) {
		case 0:
			os.Remove(p)
		case 1:
			if info, err := os.Lstat(p); err == nil && info.Mode().IsRegular() {
				os.Chmod(p, info.Mode()^0o111)
			}
		case 2:
			tryGit(dir, "rm", "-qf", "--cached", "--", pick())
		case 3:
			tryGit(dir, "mv", "-f", "--", pick(), "renamed"+string(rune('0'+rng.IntN(10))))
		case 4:
			tryGit(dir, "update-index", "--assume-unchanged", "--", pick())
		case 5:
			os.Remove(p)
			os.Symlink("a", p)
		}
	}
	for range 10 {
		put()
	}
	write(t, dir, "staged", "s")
	git(t, dir, "add", "-f", "staged")
	write(t, dir, "intended", "i")
	git(t, dir, "add", "-f", "-N", "intended")
	git(t, dir, "update-index", "--index-version", []string{"2", "3", "4"}[rng.IntN(3)])
	if rng.IntN(3) == 0 {
		nested := filepath.Join(dir, "two", "nested")
		os.MkdirAll(nested, 0o755)
		git(t, nested, "init", "-q")
		write(t, nested, "inner", "n")
	}
}

// inodes lists the regular files below dir by inode.
func inodes(t testing.TB, dir string) map[uint64]string {
	t.Helper()
	found := map[uint64]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		root, err := safety.OpenRoot(filepath.Dir(p))
		if err != nil {
			return err
		}
		defer root.Close()
		i, err := root.Lstat(safety.Top.Join(d.Name()))
		found[i.Ino] = p
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
