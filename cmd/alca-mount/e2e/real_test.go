//go:build linux

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A published module of over a thousand files, which no test of ours made up.
const module = "k8s.io/client-go@v0.31.0"

// realProject makes the project a repository of the module, less what is named, with a few commits, secrets, read-only
// paths and links.
func realProject(t *testing.T, less ...string) *world {
	t.Helper()
	w := newWorld(t)
	w.tool(nil, "rsync", append(excludes(less), "-rlp", downloaded(t, w.dir)+"/", w.project)...)
	w.tool(nil, "chmod", "-R", "u+w", w.project)
	w.git("init", "-q", "-b", "main")
	w.git("add", "-A")
	w.git("commit", "-qm", "the module")
	plant(t, w.project, ".gitignore=*.log\n/generated/\n.env", "util/.gitignore=!keep.log\n*.tmp", "NOTES=notes", "build/gen.go=package build")
	w.git("add", "-A")
	w.git("commit", "-qm", "more")
	plant(t, w.project, ".env="+secret, "config/prod.pem="+secret, "secrets/db/password="+secret, "util/cert/server.key="+secret,
		".agentignore=.env\n/config/*.pem\nsecrets/\n*.key", ".agentreadonly=go.mod\ngo.sum\n/kubernetes/typed/core/\n*.proto",
		"locked/api.proto=locked proto", "util/keep.log=kept log", "util/x.tmp=tmp", "debug.log=log", "generated/g.go=package g",
		"rel -> tools/cache", "abs -> "+w.project+"/README.md", "escapes -> /etc/passwd", "leaky -> .env", "dangling -> nowhere", "untracked dir/né w=new")
	write(t, filepath.Join(w.project, "OWNERS"), "changed by the user\n")
	if files := len(plainFiles(t, w.project)); len(less) == 0 && files < 1000 {
		t.Fatalf("only %d files", files)
	}
	w.watchOutside()
	return w
}

func excludes(names []string) []string {
	var all []string
	for _, n := range names {
		all = append(all, "--exclude=/"+n+"/")
	}
	return all
}

// fewer is what the tests leave out that need only some of the module's files; none with -long.
func fewer() []string {
	if *long {
		return nil
	}
	return []string{"applyconfigurations", "informers", "kubernetes", "listers"}
}

// downloaded is the module's directory in the module cache.
func downloaded(t *testing.T, dir string) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the tests of real projects need a Go toolchain: they run as the caller only")
	}
	get := exec.Command("go", "mod", "download", "-json", module)
	get.Dir, get.Env = dir, append(os.Environ(), "GOFLAGS=-modcacherw")
	out, err := get.Output()
	var got struct{ Dir, Error string }
	json.Unmarshal(out, &got)
	if got.Dir == "" {
		if os.Getenv("CI") != "" {
			t.Fatalf("go mod download %s: %v %s", module, err, got.Error)
		}
		t.Skipf("no module to work on: go mod download %s: %v %s", module, err, got.Error)
	}
	return got.Dir
}

// builds is the environment in which go builds offline with what the caller has built already.
func (w *world) builds() {
	w.t.Helper()
	cache, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output()
	must(w.t, err)
	dirs := strings.Split(strings.TrimSpace(string(cache)), "\n")
	w.env = append(w.env, "GOCACHE="+dirs[0], "GOMODCACHE="+dirs[1], "GOPROXY=off", "GOFLAGS=-buildvcs=false")
}

// realEdits is what a well-behaved agent does; it works in the mirror and, for the expected result, in a copy.
const realEdits = `set -e
sed -i 's/^package homedir/package homedir \/\/ agent/' util/homedir/homedir.go
for f in listers/*/v1/*.go; do echo "// agent" >> "$f"; done
mkdir -p agent/new/empty; echo 'package new' > agent/new/new.go
mv informers/apps informers/apps2; mv util/certificate util/certificates
rm -rf restmapper; rm transport/*_test.go
chmod 0755 CONTRIBUTING.md
rm rel; ln -s util/homedir rel; ln -s ../README.md docs-link 2>/dev/null; mv docs-link agent/readme
rm NOTES; mkdir NOTES; echo in > NOTES/in; rm -r third_party; echo file > third_party
cp -a tools tools2; printf 'odd' > "$(printf 'agent/o\nd\377d')"
head -c 3000000 /dev/zero | tr '\0' z > agent/big; : > agent/zero
git init -q agent/nothing 2>/dev/null && rm -rf agent/nothing`

// realAttacks is what an agent may not do; nothing of it may be seen in the project.
const realAttacks = `chmod -R u+w go.mod go.sum kubernetes/typed/core locked
echo evil >> go.mod; rm go.sum; for f in kubernetes/typed/core/v1/*.go; do echo evil >> "$f"; done
rm -rf kubernetes/typed/core/v1/fake; echo evil > locked/api.proto; echo evil > locked/new.proto
echo '!*' > .agentignore; rm -f .agentreadonly; echo '!*' > .sh.agentignore; echo x > .alca.toml
ln -s .env leak; ln -s secrets leaks; ln -s "$OUTSIDE/dir" esc; ln -s /etc esc2; ln -sfn "$OUTSIDE/target.txt" dangling
mkdir -p .git/hooks .GIT/hooks pkg/.git/hooks; for d in .git .GIT pkg/.git; do echo evil > $d/hooks/post-checkout; echo evil > $d/config; done
mkfifo discovery/fifo; rm -f features/known_features.go; ln "$OUTSIDE/target.txt" features/known_features.go; rm features/known_features.go; mkfifo features/known_features.go
echo mine > .env; mkdir -p secrets/db config; echo mine > secrets/db/password; echo mine > config/prod.pem; echo mine > config/more.pem
mkdir -p node_modules/evil; echo evil > node_modules/evil/index.js`

// A scripted agent works on it, builds, attacks, and ends.
func TestAgentOnARealProject(t *testing.T) {
	for name, flags := range map[string][]string{"walk": nil, "git copy": {"--git", "copy"}} {
		t.Run(name, func(t *testing.T) {
			if name == "walk" && !*long {
				t.Skip("with -long")
			}
			w := realProject(t)
			w.builds()
			before := filepath.Join(w.dir, "before")
			w.copyTree(w.project, before)
			head, config := w.git("rev-parse", "HEAD"), read(t, w.project+"/.git/config")
			write(t, w.dir+"/edits", realEdits)
			write(t, w.dir+"/attacks", realAttacks)
			g, gate := w.gated()
			p := w.start(append(flags, "--", "sh", "-c", gate+`
				go build ./util/homedir ./util/connrotation ./util/jsonpath && go vet ./util/homedir > "$TOOLS/built" 2>&1 || exit 20
				. "$TOOLS/edits"; set +e; cd "$PWD"
				go build ./util/homedir ./listers/apps/v1 > "$TOOLS/built2" 2>&1; go vet ./util/homedir || exit 21
				. "$TOOLS/attacks"; exit 6`)...)
			w.mirrorIsFiltered(g.arrived())
			g.open()
			r := p.wait()
			if r.code != 6 {
				t.Fatalf("%v", r)
			}
			t.Logf("%s", r.stderr)
			expected := filepath.Join(w.dir, "expected")
			w.copyTree(before, expected)
			w.tool(nil, "sh", "-c", "cd "+expected+"; "+realEdits)
			w.same("project", expected, w.project, "--no-times", "--exclude=/.git/index")
			if a, b := w.gitIn(expected, "status", "--porcelain", "-uall"), w.git("status", "--porcelain", "-uall"); a != b {
				t.Errorf("git status:\n%s\nexpected\n%s", b, a)
			}
			if w.git("rev-parse", "HEAD") != head || read(t, w.project+"/.git/config") != config {
				t.Errorf("the repository changed")
			}
			w.git("fsck", "--no-progress")
			w.outsideUntouched()
			w.keptIsThere(r)
			w.noMirrorLeft()
			w.nothingLost("notes", "locked proto", "changed by the user", "package restmapper")
		})
	}
}

// mirrorIsFiltered compares the mirror that was just built with the project.
func (w *world) mirrorIsFiltered(mirror string) {
	w.t.Helper()
	if found := w.holding(secret, mirror); len(found) > 0 {
		w.t.Errorf("hidden content in the mirror: %q", found)
	}
	if shared := w.shared(w.project, mirror); shared != "" {
		w.t.Errorf("inodes shared: %s", shared)
	}
	expected := filepath.Join(w.dir, "filtered")
	w.copyTree(w.project, expected)
	w.tool(nil, "sh", "-c", `cd "$1"; rm -rf .git .env secrets config/prod.pem util/cert/server.key .agentignore leaky escapes build; ln -sfn README.md abs
		chmod a-w go.mod go.sum locked/api.proto .agentreadonly; chmod -R a-w kubernetes/typed/core`, "sh", expected)
	w.same("mirror", expected, mirror, "--exclude=/.git", "--exclude=/.alca-mount", "--exclude=/_MOUNT_README.md", "--omit-dir-times", "--omit-link-times")
	w.tool(nil, "chmod", "-R", "u+w", expected)
	must(w.t, os.RemoveAll(expected))
}

// --git copy: the mirror's repository says what the project's says, and brings nothing along that acts or opens doors.
func TestGitCopyOfARealProject(t *testing.T) {
	w := realProject(t, fewer()...)
	const token = "TOKEN-55c1"
	w.git("config", "http.extraHeader", "AUTHORIZATION: basic "+token)
	w.git("config", "http.https://example.com/.extraHeader", "AUTHORIZATION: basic "+token)
	w.git("config", "remote.origin.url", "https://user:"+token+"@example.com/x.git")
	w.git("config", "remote.second.pushurl", "https://"+token+"@example.com/x.git")
	w.git("config", "url.https://u:"+token+"@example.com/.insteadOf", "short:")
	w.git("config", "credential.helper", "!echo password="+token)
	w.git("config", "core.hooksPath", w.outside+"/hooks")
	w.git("config", "core.fsmonitor", "echo "+token)
	w.git("config", "core.sshCommand", "ssh -i "+token)
	w.git("config", "alias.st", "!echo "+token)
	w.git("config", "filter.x.smudge", "echo "+token)
	plant(t, w.project, ".git/hooks/post-commit!755=#!/bin/sh\necho "+token+" > $TOOLS/hooked", ".git/hooks/pre-commit!755=#!/bin/sh\necho "+token+" > $TOOLS/hooked",
		".git/credentials=https://u:"+token+"@example.com", ".git/.git-credentials="+token, ".git/FETCH_HEAD=0000 branch 'x' of https://u:"+token+"@example.com/x", ".git/token="+token)
	w.expect(0, "create", "-q", "--name", "m", "--git", "copy")
	mirror := w.sessions()[0].Mirror
	if found := w.holding(token, mirror); len(found) > 0 {
		t.Errorf("credentials or hooks came along: %q", found)
	}
	unseen := func(line string) bool {
		for _, p := range []string{".env", "config/", "secrets/", "util/cert/server.key", ".agentignore", "leaky", "escapes", "build/"} {
			if strings.HasPrefix(strings.Trim(line[3:], `"`), p) {
				return true
			}
		}
		if strings.HasPrefix(line, "?? ") && slices.Contains([]string{".agentreadonly", "locked/api.proto"}, line[3:]) {
			return true // protected and not git's: a commit of everything is not to hold it
		}
		return line == " T abs"
	}
	lines := func(dir string) []string {
		all := strings.Split(strings.TrimSuffix(w.gitIn(dir, "-c", "core.fsmonitor=false", "status", "--porcelain", "-uall"), "\n"), "\n")
		return slices.DeleteFunc(all, func(l string) bool { return len(l) < 4 || unseen(l) })
	}
	if a, b := lines(w.project), lines(mirror); !slices.Equal(a, b) {
		t.Errorf("git status in the project\n%s\nin the mirror\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
	before := filepath.Join(w.dir, "before")
	w.copyTree(w.project, before)
	write(t, mirror+"/README.md", "agent\n")
	w.gitIn(mirror, "-c", "core.hooksPath=", "commit", "-qam", "agent's")
	if changed := w.gitIn(mirror, "show", "--format=", "--name-status", "HEAD"); changed != "M\tOWNERS\nM\tREADME.md\n" {
		t.Errorf("git commit -am in the mirror: %q", changed)
	}
	if _, err := os.Lstat(w.dir + "/hooked"); err == nil {
		t.Errorf("a host's hook ran in the mirror")
	}
	r := w.expect(0, "sync", "--delete", "m")
	if d := w.differences(before, w.project, "--no-times"); strings.Count(d, "\n") != 1 || !strings.HasSuffix(d, " README.md\n") {
		t.Errorf("the project changed: %s%v", d, r)
	}
	w.expect(0, "rm", "m", "--force")
}

// A tracked path that is hidden: a commit in the mirror does not delete it, or there is no such mirror.
func TestGitCopyWithAHiddenTrackedPath(t *testing.T) {
	w := newWorld(t, victim()...)
	w.repository("src", "docs", "mixed", "ro")
	r := w.run("create", "-q", "--agent", "sh", "--name", "m", "--git", "copy")
	if r.code == 125 && strings.Contains(r.stderr, "mixed/server.key") {
		t.Logf("refused: %v", r)
		return
	}
	mirror := w.sessions()[0].Mirror
	if found := w.holding(secret, mirror); len(found) > 0 {
		t.Errorf("hidden content: %q", found)
	}
	if all := w.tool([]int{1}, "sh", "-c", `cd "$1" && git cat-file --batch-check --batch-all-objects | while read o t s; do git cat-file $t $o; done | grep -a -c `+secret, "sh", mirror); strings.TrimSpace(all) != "0" {
		t.Errorf("hidden content is in the mirror's history %s times, and nothing is said: %v", strings.TrimSpace(all), r)
	}
	write(t, mirror+"/src/main.go", "agent\n")
	w.gitIn(mirror, "commit", "-qam", "agent's")
	if changed := w.gitIn(mirror, "show", "--format=", "--name-status", "HEAD"); changed != "M\tsrc/main.go\n" {
		t.Errorf("git commit -am in the mirror: %q", changed)
	}
}

// --population git: what git lists, and no more.
func TestGitPopulationOfARealProject(t *testing.T) {
	w := realProject(t, fewer()...)
	plant(t, w.project, "tracked.log=tracked though ignored", "util/sub/.gitignore=/only\n!*.tmp", "util/sub/only=1", "util/sub/y.tmp=2", "nested/.gitignore=*", "nested/x=3")
	w.git("add", "-f", "tracked.log", "tools")
	write(t, w.project+"/.git/info/exclude", "excluded-here\n")
	write(t, w.project+"/excluded-here", "x\n")
	mirror := w.create("-q", "--population", "git", "--exclude", "kubernetes/")
	oracle := w.git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
	var want []string
	for _, p := range strings.Split(strings.TrimSuffix(oracle, "\x00"), "\x00") {
		hidden := strings.HasPrefix(p, "config/") || strings.HasSuffix(p, ".key") || strings.HasPrefix(p, "secrets/") || strings.HasPrefix(p, "kubernetes/") || p == ".agentignore" || p == ".env" || p == "leaky" || p == "escapes" || strings.HasPrefix(p, "build/")
		if _, err := os.Lstat(filepath.Join(w.project, p)); err == nil && !hidden {
			want = append(want, p)
		}
	}
	found := w.tool(nil, "find", mirror, "!", "-type", "d", "!", "-path", mirror+"/.alca-mount", "!", "-path", mirror+"/_MOUNT_README.md", "-printf", `%P\0`)
	got := strings.Split(strings.TrimSuffix(found, "\x00"), "\x00")
	slices.Sort(want)
	slices.Sort(got)
	want = slices.Compact(want)
	if !slices.Equal(want, got) {
		for _, p := range want {
			if !slices.Contains(got, p) {
				t.Errorf("not in the mirror: %q", p)
			}
		}
		for _, p := range got {
			if !slices.Contains(want, p) {
				t.Errorf("in the mirror, and git does not list it: %q", p)
			}
		}
	}
	before := filepath.Join(w.dir, "before")
	w.copyTree(w.project, before)
	r := w.expect(0, "sync", "--delete", mirror)
	w.same("project after a sync of nothing", before, w.project)
	if t.Failed() {
		t.Logf("%v", r)
	}
}
