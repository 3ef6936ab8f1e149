//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/alca-mount/alca-mount/cmd/alca-mount/internal/config"
	"github.com/alca-mount/alca-mount/dotfiles"
)

// The documentation is executed: README.md and all of docs/.
//
// A fenced block has a kind. A console block is a session: each line that begins with "$ " is a command, "> " goes on
// with it, what follows is its output, both streams together. "…" in a line of output stands for anything in that line,
// a line of "…" alone for any lines. All sessions of a file run in one shell that starts in an empty home directory,
// which the output shows as /home/you. A go block is a program; the sessions below it can run it as "example".

// checkers knows the kinds that a block may have. What is not run is at least checked, but for plain text.
func checkers() map[string]func(snippet) error {
	return map[string]func(snippet) error{
		"console":   func(snippet) error { return nil },
		"go":        func(snippet) error { return nil },
		"text":      func(snippet) error { return nil },
		"sh":        notRun,
		"json":      validJSON,
		"gitignore": validRules,
		"toml":      validConfig,
	}
}

// notRun lets only those sh blocks through that are told why they are not sessions.
func notRun(b snippet) error {
	reasons := map[string]string{
		"README.md: go run ./cmd/alca-mount -C ~/project -- bash": "TestReadmesFirstCommandWorksOnAFreshMachine runs it",
		"README.md: scripts/test.sh":                              "runs all tests, this one among them",
		"README.md: go install ./cmd/alca-mount":                  "the first command has shown that it builds; this would install it for the user",
	}
	if scriptName(b) != "" {
		return nil // installed, and the document's sessions run it
	}
	if reasons[b.file+": "+strings.TrimSpace(b.text)] == "" {
		return errors.New("instructions that are not run have to be listed in notRun with a reason")
	}
	return nil
}

func validJSON(b snippet) error {
	for line := range strings.Lines(b.text) {
		if !json.Valid([]byte(line)) {
			return fmt.Errorf("not JSON: %s", line)
		}
	}
	return nil
}

func validRules(b snippet) error {
	var rules dotfiles.Rules
	for i, line := range strings.Split(b.text, "\n") {
		if line != "" && line[0] != '#' {
			rules.Hidden = append(rules.Hidden, dotfiles.Rule{Pattern: line, Source: b.file, Line: b.line + i})
		}
	}
	policy, err := dotfiles.New(rules)
	for _, w := range policy.Warnings() {
		err = errors.Join(err, errors.New(w.Text))
	}
	return err
}

// validConfig loads the block as a project's configuration.
func validConfig(b snippet) error {
	dir, err := os.MkdirTemp("", "alca-mount-docs")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if dir, err = filepath.EvalSymlinks(dir); err == nil {
		err = os.WriteFile(filepath.Join(dir, config.ProjectFile), []byte(b.text), 0o600)
	}
	if err == nil {
		_, err = config.Load(config.Options{Project: dir, Home: dir, Getenv: os.LookupEnv})
	}
	return err
}

// snippet is a fenced block of a document.
type snippet struct {
	file string
	line int // of its first line, from 1
	kind string
	text string
}

func (b snippet) String() string { return fmt.Sprintf("%s:%d", b.file, b.line) }

// blocks returns the fenced blocks of a document.
func blocks(file, text string) ([]snippet, error) {
	var out []snippet
	var in *snippet
	for i, line := range strings.Split(text, "\n") {
		switch kind, fence := strings.CutPrefix(strings.TrimLeft(line, " "), "```"); {
		case fence && in == nil:
			in = &snippet{file: file, line: i + 2, kind: kind}
		case fence && kind == "":
			out = append(out, *in)
			in = nil
		case fence:
			return nil, fmt.Errorf("%s:%d: a block begins inside a block", file, i+1)
		case in != nil:
			in.text += line + "\n"
		}
	}
	if in != nil {
		return nil, fmt.Errorf("%v: the block has no end", *in)
	}
	return out, nil
}

// command is one command of a session and what it has to print.
type command struct {
	line   int
	script string
	want   []string
}

// commands takes a console block apart.
func (b snippet) commands() ([]command, error) {
	var out []command
	for i, line := range strings.Split(strings.TrimSuffix(b.text, "\n"), "\n") {
		script, first := strings.CutPrefix(line, "$ ")
		more, goesOn := strings.CutPrefix(line, "> ")
		last := len(out) - 1
		switch {
		case first:
			out = append(out, command{line: b.line + i, script: script + "\n"})
		case last < 0:
			return nil, fmt.Errorf("%v: a session begins with \"$ \"", b)
		case goesOn && out[last].want == nil:
			out[last].script += more + "\n"
		default:
			out[last].want = append(out[last].want, line)
		}
	}
	return out, nil
}

// pattern matches the output that a command has to have.
func (c command) pattern() *regexp.Regexp {
	var b strings.Builder
	for _, line := range c.want {
		if line == "…" {
			b.WriteString(`(?:.*\n)*?`)
		} else {
			b.WriteString(linePattern(line) + `\n`)
		}
	}
	return regexp.MustCompile(`^` + b.String() + `$`)
}

func linePattern(line string) string {
	return strings.ReplaceAll(regexp.QuoteMeta(line), "…", `.*`)
}

// differs returns how got differs from what is wanted; "" where it does not.
func (c command) differs(got string) string {
	if got != "" && !strings.HasSuffix(got, "\n") {
		got += "\n"
	}
	if c.pattern().MatchString(got) {
		return ""
	}
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	if got == "" {
		lines = nil
	}
	for i, line := range lines { // lines that are right are shown as the document has them
		for _, want := range c.want {
			if want != "…" && regexp.MustCompile(`^`+linePattern(want)+`$`).MatchString(line) {
				lines[i] = want
			}
		}
	}
	return lineDiff(c.want, lines)
}

// lineDiff shows what differs, without the lines that both begin and end with.
func lineDiff(want, got []string) string {
	for len(want) > 0 && len(got) > 0 && want[0] == got[0] {
		want, got = want[1:], got[1:]
	}
	for len(want) > 0 && len(got) > 0 && want[len(want)-1] == got[len(got)-1] {
		want, got = want[:len(want)-1], got[:len(got)-1]
	}
	var b strings.Builder
	for _, line := range want {
		b.WriteString("- " + line + "\n")
	}
	for _, line := range got {
		b.WriteString("+ " + line + "\n")
	}
	return b.String()
}

// home is what the documents call the home directory.
const home = "/home/you"

// shell runs the commands of a document, all in one process.
type shell struct {
	home string
	env  []string
}

// newShell has an empty home, and nothing of the caller's environment that changes what alca-mount does.
func newShell(t *testing.T) *shell {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &shell{home: filepath.Join(dir, "you")}
	tmp := filepath.Join(dir, "tmp")
	if err := errors.Join(os.Mkdir(s.home, 0o700), os.Mkdir(tmp, 0o700)); err != nil {
		t.Fatal(err)
	}
	s.env = []string{"HOME=" + s.home, "TMPDIR=" + tmp, "PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TERM=dumb", "USER=you"}
	t.Cleanup(func() { endPauses(tmp) })
	return s
}

// endPauses ends what Podman without root leaves running of any command: a process that holds the namespace in this test's
// own directory, which nobody will use again.
func endPauses(tmp string) {
	files, _ := filepath.Glob(filepath.Join(tmp, "podman-run-*", "libpod", "tmp", "pause.pid"))
	for _, file := range files {
		data, _ := os.ReadFile(file)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil && pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// run returns what each command printed.
func (s *shell) run(t *testing.T, cmds []command) []string {
	t.Helper()
	const mark = "\x01end of command "
	var script strings.Builder
	script.WriteString("export PATH=\"$HOME/../bin:$PATH\"\nunset OLDPWD\n")
	for i, c := range cmds {
		// The next command may ask for $? of this one.
		fmt.Fprintf(&script, "%sset -- $?; printf '%s%d\\n'; (exit $1)\n", c.script, mark, i)
	}
	sh := exec.CommandContext(t.Context(), "sh", "-c", script.String())
	sh.Dir, sh.Env = s.home, s.env
	out, err := sh.CombinedOutput()
	text := strings.ReplaceAll(string(out), s.home, home)
	var got []string
	for i := range cmds {
		printed, rest, ended := strings.Cut(text, mark+strconv.Itoa(i)+"\n")
		if !ended {
			t.Fatalf("the shell ended (%v) in the command of line %d:\n%s", err, cmds[i].line, printed)
		}
		got, text = append(got, printed), rest
	}
	return got
}

func documents(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(files) < 5 {
		t.Fatalf("docs: %v, %v", files, err)
	}
	return append(files, "../../README.md")
}

func readBlocks(t *testing.T, path string) []snippet {
	t.Helper()
	name, _ := strings.CutPrefix(path, "../../")
	list, err := blocks(name, readText(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestDocumentsExamplesWork(t *testing.T) {
	for _, path := range documents(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			list := readBlocks(t, path)
			checkBlocks(t, list)
			sh := newShell(t)
			buildExample(t, sh, list)
			installScripts(t, sh, list)
			var cmds []command
			for _, b := range list {
				if b.kind != "console" {
					continue
				}
				more, err := b.commands()
				if err != nil {
					t.Fatal(err)
				}
				cmds = append(cmds, more...)
			}
			for i, got := range sh.run(t, cmds) {
				if diff := cmds[i].differs(got); diff != "" {
					t.Errorf("%s:%d: $ %sprints something else (- the document, + the program):\n%s", list[0].file, cmds[i].line, cmds[i].script, diff)
				}
			}
		})
	}
}

func checkBlocks(t *testing.T, list []snippet) {
	t.Helper()
	for _, b := range list {
		check, known := checkers()[b.kind]
		if !known {
			t.Errorf("%v: no block may be of kind %q", b, b.kind)
		} else if err := check(b); err != nil {
			t.Errorf("%v: %v", b, err)
		}
	}
}

// buildExample compiles a document's program, if it has one, to where its sessions find it.
func buildExample(t *testing.T, sh *shell, list []snippet) {
	t.Helper()
	i := slices.IndexFunc(list, func(b snippet) bool { return b.kind == "go" })
	if i < 0 {
		return
	}
	needGo(t)
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte(list[i].text), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(filepath.Dir(sh.home), "bin", "example"), source)
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", list[i], err, out)
	}
}

// installScripts puts a document's scripts, "#!/bin/sh" and then "# NAME …", to where its sessions find them.
func installScripts(t *testing.T, sh *shell, list []snippet) {
	t.Helper()
	bin := filepath.Join(filepath.Dir(sh.home), "bin")
	for _, b := range list {
		name := scriptName(b)
		if name == "" {
			continue
		}
		err := errors.Join(os.MkdirAll(bin, 0o700), os.WriteFile(filepath.Join(bin, name), []byte(b.text), 0o700))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// scriptName is the name of a block that is a script; "" for others.
func scriptName(b snippet) string {
	head, ok := strings.CutPrefix(b.text, "#!/bin/sh\n# ")
	if b.kind != "sh" || !ok {
		return ""
	}
	name, _, _ := strings.Cut(head, " ")
	return name
}

// needGo skips a test that builds, where there is nothing to build with: a test binary may be run on another machine.
func needGo(t *testing.T) {
	t.Helper()
	cache := goEnv("GOMODCACHE")
	if _, err := os.ReadDir(cache); cache == "" || err != nil {
		t.Skip("needs the go command and the module cache")
	}
}

func goEnv(name string) string {
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// The README's first command, on a copy of the tree, in a home that holds nothing but a project.
func TestReadmesFirstCommandWorksOnAFreshMachine(t *testing.T) {
	needGo(t)
	list := readBlocks(t, "../../README.md")
	i := slices.IndexFunc(list, func(b snippet) bool { return b.kind == "sh" })
	if i < 0 {
		t.Fatal("README.md has no first command")
	}
	clone := filepath.Join(t.TempDir(), "clone")
	copySources(t, "../..", clone)
	sh := newShell(t)
	project := filepath.Join(sh.home, "project")
	writeAll(t, project, map[string]string{".agentignore": ".env\n", ".env": "SECRET\n", "todo.txt": "one\n"})

	first := exec.CommandContext(t.Context(), "sh", "-c", list[i].text)
	first.Dir = clone
	first.Env = append(sh.env, "GOPROXY=off", "GOFLAGS=-mod=readonly", "GOTOOLCHAIN=local", "GOMODCACHE="+goEnv("GOMODCACHE"), "GOCACHE="+goEnv("GOCACHE"))
	first.Stdin = strings.NewReader("ls -A\ncat .env\necho two >> todo.txt\n")
	out, err := first.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if bytes.Contains(out, []byte("SECRET")) || !bytes.Contains(out, []byte("brought home: 1 changed")) {
		t.Errorf("it printed:\n%s", out)
	}
	if got, err := os.ReadFile(filepath.Join(project, "todo.txt")); err != nil || string(got) != "one\ntwo\n" {
		t.Errorf("todo.txt = %q, %v", got, err)
	}
}

// copySources copies what a clone would hold that go needs.
func copySources(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		case !strings.HasSuffix(rel, ".go") && rel != "go.mod" && rel != "go.sum":
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func writeAll(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A claim is tied to a test by its name, and a page to another by a link: both have to be there.
func TestDocumentsNameTestsAndPagesThatExist(t *testing.T) {
	tests := testNames(t, "../..")
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+)`")
	link := regexp.MustCompile(`\]\(([^)#:]*)(#[^)]*)?\)`)
	for _, path := range append(documents(t), "../../CHANGELOG.md") {
		text := readText(t, path)
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			if !tests[m[1]] {
				t.Errorf("%s names %s, which there is not", path, m[1])
			}
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target := path
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(path), m[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s has a link to %s: %v", path, m[1], err)
			} else if m[2] != "" && !slices.Contains(anchors(readText(t, target)), m[2]) {
				t.Errorf("%s has a link to %s, which has no heading %s", path, target, m[2])
			}
		}
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// anchors are what links to a document's headings end with.
func anchors(text string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		plain := regexp.MustCompile(`[^\w -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		out = append(out, "#"+strings.ReplaceAll(plain, " ", "-"))
	}
	return out
}

func testNames(t *testing.T, root string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	name := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, m := range name.FindAllStringSubmatch(readText(t, path), -1) {
			names[m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// What the tests above rely on: a document's lie is seen.
func TestOutputThatDiffersIsSeen(t *testing.T) {
	for _, c := range []struct {
		want []string
		got  string
		same bool
	}{
		{nil, "", true},
		{nil, "x\n", false},
		{[]string{"x"}, "", false},
		{[]string{"x"}, "x\n", true},
		{[]string{"x"}, "x", true},
		{[]string{"x"}, "xx\n", false},
		{[]string{"x"}, "x\ny\n", false},
		{[]string{"a … c"}, "a b c\n", true},
		{[]string{"a … c"}, "a\nc\n", false},
		{[]string{"a (…) c"}, "a (b) c\n", true},
		{[]string{"a", "…"}, "a\nb\nc\n", true},
		{[]string{"a", "…", "c"}, "a\nc\n", true},
		{[]string{"a", "…", "d"}, "a\nb\nc\n", false},
	} {
		if diff := (command{want: c.want}).differs(c.got); (diff == "") != c.same {
			t.Errorf("%q against %q: %q", c.want, c.got, diff)
		}
	}
}

func TestBlocksAreTakenApart(t *testing.T) {
	text := "a\n```console\n$ cat <<E\n> b\n> E\nb\n…\n$ true\n```\n```sh\nx\n```\n"
	list, err := blocks("f.md", text)
	if err != nil {
		t.Fatal(err)
	}
	want := []snippet{{"f.md", 3, "console", "$ cat <<E\n> b\n> E\nb\n…\n$ true\n"}, {"f.md", 11, "sh", "x\n"}}
	if diff := cmp.Diff(want, list, cmp.AllowUnexported(snippet{})); diff != "" {
		t.Error(diff)
	}
	cmds, err := list[0].commands()
	if diff := cmp.Diff([]command{{3, "cat <<E\nb\nE\n", []string{"b", "…"}}, {8, "true\n", nil}}, cmds, cmp.AllowUnexported(command{})); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, bad := range []string{"```console\n$ x\n", "```console\n```sh\n```\n"} {
		if _, err := blocks("f.md", bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
	if _, err := (snippet{text: "output\n"}).commands(); err == nil {
		t.Error("a session without a command was read")
	}
	if _, known := checkers()["bash"]; known || notRun(snippet{file: "README.md", text: "rm -rf /"}) == nil {
		t.Error("blocks that nobody runs pass")
	}
}
