package autosync_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// guardedProject has files that a tool of the host would execute, all of which hold "good".
func guardedProject() []string {
	return []string{
		".envrc = good", "app/.envrc = good", ".vscode/tasks.json = good", ".vscode/notes = good",
		".github/workflows/ci.yml = good", ".idea/run.xml = good", ".gitattributes = good",
		"conf/hooks/pre-commit = good", ".husky -> conf/hooks",
		"conf/env = good", "conf/current -> env", "lib/.envrc -> ../conf/current",
		"src/main = good", "evil/tasks.json = bad",
	}
}

// executed are the paths of the project that tools read; each has to lead to "good" whatever the agent does.
func executed() []string {
	return []string{
		".envrc", "app/.envrc", "lib/.envrc", ".vscode/tasks.json", ".github/workflows/ci.yml", ".idea/run.xml", ".gitattributes",
		".husky/pre-commit",
	}
}

// guardedAttacks are ways to get something executed. Each string is a shell's work in the mirror; a pass follows each.
func guardedAttacks() map[string][]string {
	return map[string][]string{
		"edit":                       {`echo bad > .envrc; echo bad > app/.envrc; echo bad > .vscode/tasks.json; echo bad > .gitattributes`},
		"create":                     {`echo bad > src/.envrc; echo bad > .mcp.json; echo bad > lefthook.yml; echo bad > .pre-commit-config.yaml; echo bad > .gitmodules`},
		"create a directory":         {`mkdir -p .claude/hooks src/.devcontainer; echo bad > .claude/settings.json; echo bad > .claude/hooks/x; echo bad > src/.devcontainer/devcontainer.json`},
		"below a directory":          {`mkdir -p .idea/a/b; echo bad > .idea/a/b/c; echo bad > .github/workflows/evil.yml`},
		"rename a file":              {`cp evil/tasks.json bad; mv bad src/.envrc; mv evil/tasks.json .vscode/tasks.json`},
		"rename a directory":         {`rm -r .vscode; mv evil .vscode`},
		"rename the one above":       {`mkdir -p new/workflows; echo bad > new/workflows/ci.yml; rm -r .github; mv new .github`},
		"rename a tree around it":    {`mkdir -p new; echo bad > new/.envrc; rm -r app; mv new app`},
		"in two steps":               {`mkdir v; echo bad > v/launch.json`, `mkdir -p deep/.vscode; mv v/launch.json deep/.vscode/`},
		"directory in two steps":     {`mkdir v; echo bad > v/launch.json; echo bad > v/tasks.json`, `rm -r .vscode`, `mv v .vscode`},
		"link to a directory":        {`rm -r .vscode; ln -s evil .vscode`},
		"link in two steps":          {`rm -r .vscode`, `ln -s evil .vscode`},
		"link where there was none":  {`mkdir w; echo bad > w/tasks.json; ln -s ../w src/.vscode`},
		"link above":                 {`mkdir -p meta/workflows; echo bad > meta/workflows/ci.yml`, `rm -r .github; ln -s meta .github`},
		"link to a file":             {`echo bad > x; ln -sf x .envrc`},
		"link below":                 {`mkdir -p meta; echo bad > meta/ci.yml; rm -r .github/workflows; ln -s ../meta .github/workflows`},
		"what a link leads to":       {`echo bad > conf/hooks/pre-commit; echo bad > conf/env`},
		"a link on the way":          {`echo bad > conf/evil; ln -sf evil conf/current`},
		"directory that a link has":  {`rm -r conf/hooks; mkdir conf/hooks; echo bad > conf/hooks/pre-commit`},
		"around what a link has":     {`mkdir -p c/hooks; echo bad > c/hooks/pre-commit; echo bad > c/env; mv conf old; mv c conf`},
		"the link itself":            {`rm .husky; mkdir .husky; echo bad > .husky/pre-commit`},
		"hard link":                  {`echo bad > x; ln -f x .envrc; ln x src/.envrc`},
		"hard link to write through": {`ln .envrc src/alias; echo bad > src/alias`},
		"letters' case":              {`mkdir -p .VSCODE .Idea; echo bad > .VSCODE/Tasks.json; echo bad > .EnvRC; echo bad > .Idea/x; echo bad > LEFTHOOK.yml`},
		"unseen letters":             {`mkdir -p "$(printf '.vs\342\200\213code')"; echo bad > "$(printf '.vs\342\200\213code/tasks.json')"; echo bad > "$(printf '.env\342\200\215rc')"`},
		"ends that some drop":        {`mkdir -p .vscode.; echo bad > .vscode./tasks.json; echo bad > '.envrc '; echo bad > '.envrc::$DATA'`},
		"long s":                     {`mkdir -p "$(printf '.v\305\277code')"; echo bad > "$(printf '.v\305\277code/tasks.json')"`},
		"file becomes directory":     {`echo x > src/.idea; rm src/main; mkdir src/main`, `rm src/.idea; mkdir src/.idea; echo bad > src/.idea/run.xml`},
		"directory becomes file":     {`rm -r .idea; echo bad > .idea; rm -r app; echo bad > app`},
		"delete":                     {`rm -r .envrc .vscode .github .idea app conf lib .husky .gitattributes`},
		"execute bit":                {`chmod +x .envrc conf/hooks/pre-commit; echo bad >> .envrc`},
	}
}

// looksExecuted is a rough guard of the test's own: names, in lower case, that tools read.
func looksExecuted(rel string) bool {
	rel = strings.NewReplacer("\u200b", "", "\u200d", "", "ſ", "s").Replace("/" + strings.ToLower(rel))
	for _, part := range []string{
		"/.envrc", "/.vscode/tasks.json", "/.vscode/launch.json", "/.vscode./", "/.idea/", "/.husky/", "/.devcontainer/",
		"/.claude/", "/.mcp.json", "/lefthook.yml", "/.pre-commit-config.yaml", "/.gitattributes", "/.gitmodules", "/.github/workflows/",
	} {
		if strings.Contains(rel, part) {
			return true
		}
	}
	return false
}

// wantUnharmed checks that no tool finds anything of the agent's to execute.
func (p *pair) wantUnharmed() {
	p.t.Helper()
	for _, name := range executed() {
		p.wantProject(name, "good")
	}
	p.must(filepath.WalkDir(p.project, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(p.project, path)
		if err != nil || d.IsDir() {
			return err
		}
		for _, below := range []string{"", "/tasks.json", "/ci.yml", "/workflows/ci.yml"} { // behind a link
			data, err := os.ReadFile(path + below)
			if err == nil && strings.Contains(string(data), "bad") && looksExecuted(rel+below) {
				p.t.Errorf("the project's %s holds what the agent wrote", rel+below)
			}
		}
		return nil
	}))
}

// wantAllKept checks that each version of the agent's is in the project or in the session's folder.
func (p *pair) wantAllKept(c autosync.Changes) {
	p.t.Helper()
	for _, n := range c.Held {
		if n.Hold == "" || n.Why == "" {
			p.t.Errorf("held without a reason: %+v", n)
		}
		if _, err := os.Lstat(n.Kept); n.Kept != "" && err != nil {
			p.t.Errorf("the held version of %s is gone: %v", n.Path, err)
		}
	}
}

func attack(t *testing.T, p *pair, script string) {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = p.mirror
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
}

// bad are the files of a folder that hold what the agent wrote. A mirror's own mark is none: its session's id may spell the word.
func bad(t *testing.T, dir string) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && d.Name() != safety.MarkerName {
			if data, err := os.ReadFile(path); err == nil && strings.Contains(string(data), "bad") {
				n++
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestGuardedAttacksAtTheEnd(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the attacks are shell scripts")
	}
	for name, steps := range guardedAttacks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, guardedProject()...)
			for i, step := range steps {
				attack(t, p, step)
				if i < len(steps)-1 {
					p.sync()
				}
				p.wantUnharmed()
			}
			made := bad(t, p.mirror)
			c := p.once(autosync.Options{Deletes: true, Final: true})
			p.wantUnharmed()
			p.wantAllKept(c)
			if len(c.Held) == 0 || len(c.Refused) > 0 {
				t.Errorf("held %+v, refused %+v", c.Held, c.Refused)
			}
			if kept := bad(t, p.project) + bad(t, p.folder("held")) + bad(t, p.folder("refused")); kept < made {
				t.Errorf("of %d files of the agent's %d are left", made, kept)
			}
		})
	}
}

// folder is a folder of the session, made if there is none.
func (p *pair) folder(name string) string {
	dir := filepath.Join(p.m.Session.Dir(), name)
	p.must(os.MkdirAll(dir, 0o700))
	return dir
}

func TestGuardedAttacksLive(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the attacks are shell scripts")
	}
	for name, steps := range guardedAttacks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, guardedProject()...)
			l := startLive(t, p)
			for _, step := range steps {
				attack(t, p, step)
				if _, err := l.s.Reconcile(t.Context()); err != nil {
					t.Fatal(err)
				}
				p.wantUnharmed()
			}
			c := l.end()
			p.wantUnharmed()
			p.wantAllKept(c)
			if len(c.Held) == 0 {
				t.Errorf("nothing was held: %+v", c)
			}
		})
	}
}

func TestGuardedHoldBlocksNothingElse(t *testing.T) {
	p := newPair(t, guardedProject()...)
	attack(t, p, `echo bad > .vscode/tasks.json; echo new > .vscode/notes; echo fine > src/main; rm -r app evil; mkdir -p lib/deep; echo y > lib/deep/x`)
	c := p.once(autosync.Options{Deletes: true, Final: true})
	p.wantUnharmed()
	p.wantProject(".vscode/notes", "new\n")
	p.wantProject("src/main", "fine\n")
	p.wantProject("lib/deep/x", "y\n")
	p.wantProject("evil/tasks.json", "(absent)")
	p.wantKept(c.Held, ".vscode/tasks.json", "bad\n")
	for _, n := range c.Held {
		if want := map[safety.RelPath]autosync.HoldKind{
			".vscode/tasks.json": autosync.HoldGuarded, "app/.envrc": autosync.HoldGuarded, "app": autosync.HoldBlocked,
		}[n.Path]; n.Hold != want {
			t.Errorf("%s is held as %q, want %q", n.Path, n.Hold, want)
		}
	}
}

func TestGuardedHoldsBothDirectionsOfItsPath(t *testing.T) {
	p := newPair(t, guardedProject()...)
	p.write(p.mirror, ".envrc", "agent's")
	p.sync()
	p.write(p.project, ".envrc", "user's")
	p.write(p.project, "app/.envrc", "user's")
	c := p.sync()
	p.wantProject(".envrc", "user's")
	p.wantMirror(".envrc", "agent's")
	p.wantMirror("app/.envrc", "user's") // which the agent did not touch
	if len(c.Conflicts) > 0 || len(c.Held) != 1 {
		t.Errorf("changes = %+v", c)
	}
}

func TestAllowGuardedLetsPass(t *testing.T) {
	p := newPair(t, guardedProject()...)
	attack(t, p, `echo new > .envrc; mkdir .claude; echo new > .claude/x; rm -r .idea`)
	c := p.once(autosync.Options{Deletes: true, AllowGuarded: true})
	p.wantProject(".envrc", "new\n")
	p.wantProject(".claude/x", "new\n")
	p.wantProject(".idea/run.xml", "(absent)")
	if len(c.Held) > 0 {
		t.Errorf("held: %+v", c.Held)
	}
	p.wantNothingMore()
}

// The project's own hard link from a guarded file to one that the agent may write would be written through in place.
func TestGuardedFileIsNotWrittenThroughAHardLink(t *testing.T) {
	p := newPair(t, ".envrc = good", "src/alias => .envrc")
	p.write(p.mirror, "src/alias", "agent's")
	p.sync()
	p.wantProject(".envrc", "good")
	p.wantProject("src/alias", "agent's")
}

func TestWhatAFollowedGuardedLinkLeadsToIsHeld(t *testing.T) {
	for name, links := range map[string]mirror.Links{"follow": mirror.FollowLinks, "skip": mirror.SkipLinks} {
		t.Run(name, func(t *testing.T) {
			p := newPairWith(t, mirror.Options{Links: links}, "conf/env = good", ".envrc -> conf/env")
			l := startLive(t, p)
			p.write(p.mirror, "conf/env", "bad")
			l.await(autosync.Held, "conf/env")
			c := l.end()
			p.wantProject("conf/env", "good")
			if len(c.Held) != 1 {
				t.Errorf("changes = %+v", c)
			}
		})
	}
}

func TestGuardedIsToldOnceWhileLive(t *testing.T) {
	p := newPair(t, guardedProject()...)
	l := startLive(t, p)
	for _, text := range []string{"1", "2", "3"} {
		p.write(p.mirror, ".envrc", text)
		if _, err := l.s.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	l.end()
	told := 0
	for len(l.events) > 0 {
		if e := <-l.events; e.Type == autosync.Held {
			told++
		}
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}
