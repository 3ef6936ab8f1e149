package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every way to get a file wrong is told with its line, its column, its key, and what was expected or meant.
func TestBrokenFilesAreToldWithLineAndKey(t *testing.T) {
	cases := []struct{ file, want string }{
		{"\nimage = 3", `2:9: image: expected a text, got an integer`},
		{"image = ''", `1:9: image: expected a text that is not empty`},
		{"imgae = 'x'", `1:1: imgae: unknown key; did you mean image?`},
		{"[snyc]\nmode = 'live'", `1:2: snyc: unknown key; did you mean sync?`},
		{"[sync]\nmod = 'live'", `2:1: sync.mod: unknown key; did you mean sync.mode?`},
		{"scan_interval = '1s'", `1:1: scan_interval: unknown key; did you mean sync.scan_interval?`},
		{"zzzzzzzzzzzzzzzz = 1", `1:1: zzzzzzzzzzzzzzzz: unknown key; expected one of agent, `},
		{"image = 'x'\nimage = 'y'", `2:1: image: `},
		{"image = ", `1:8: image: `},
		{"keep = true\nimage = ['a',\n\nb", `4:1: image: not TOML: `},
		{"runtime = 'podmann'\nimage='x'", `1:11: runtime: "podmann": expected one of "auto", "docker", "podman"`},
		{"workdir = 'work'\nimage='x'", `1:11: workdir: "work": expected an absolute path in the container`},
		{"workdir = '/'\nimage='x'", `1:11: workdir: "/": expected a directory of its own`},
		{"workdir = '/w'", `1:1: workdir: it is of a container, and there is none: expected image beside it`},
		{"mounts = ['./d:/d']", `1:1: mounts: it is of a container`},
		{"exclude = [\n  'a',\n  '[',\n]", `3:3: exclude[1]: this pattern "["`},
		{"exclude = ['!a']", `1:12: exclude[0]: "!a": expected a pattern without "!"`},
		{"readonly = ['!a']", `1:13: readonly[0]: "!a": expected a pattern without "!"`},
		{"exclude = ['./a']", `1:12: exclude[0]: "./a" matches nothing: expected a pattern`},
		{"exclude = [\"a\\nb\"]", `1:12: exclude[0]: "a\nb": expected one pattern`},
		{"exclude = 'a'", `1:11: exclude: expected a list of texts, got a text`},
		{"exclude = ['a', 1.5]", `1:17: exclude[1]: expected a text, got a number with a fraction`},
		{"keep = 'yes'", `1:8: keep: expected true or false, got a text`},
		{"grace = 10", `1:9: grace: expected a time such as "500ms", "10s" or "30d", got an integer`},
		{"grace = '10 s'", `1:9: grace: "10 s": expected a time such as`},
		{"sync.debounce = '-1s'", `1:17: sync.debounce: "-1s": expected a time such as "500ms", "10s" or "30d", 0 or more`},
		{"image='x'\n[resources]\nmemory = '4 parsecs'", `3:10: resources.memory: "4 parsecs": expected a size such as "512m" or "4g"`},
		{"image='x'\n[resources]\nmemory = -1", `3:10: resources.memory: -1: expected more than 0`},
		{"image='x'\n[resources]\ncpus = -0.5", `3:8: resources.cpus: -0.5: expected more than 0`},
		{"image='x'\n[resources]\ncpus = nan", `3:8: resources.cpus: NaN: expected more than 0`},
		{"git_depth = 0", `1:13: git_depth: 0: expected 1 or more`},
		{"agent = 'a/b'", `1:9: agent: "a/b": expected letters, digits, '_' and '-' only`},
		{"agent = 2020-01-01", `1:9: agent: expected a text, got a date or time`},
		{"image='x'\ncaps.add = ['NET ADMIN']", `2:13: caps.add[0]: "NET ADMIN": expected the name of a capability`},
		{"image='x'\ncaps = ['ALL']", `2:1: caps: expected a table, got a list`},
		{"env = ['A=1']", `1:1: env: expected a table, got a list`},
		{"[env]\nA = false", `2:5: env.A: expected a text, or true to pass your own value on, got true or false`},
		{"[env]\n'A=B' = 'x'", `2:1: env."A=B": expected letters, digits and '_' as the variable's name`},
		{"env.ALCA_MOUNT_SESSION = 'x'", `1:5: env.ALCA_MOUNT_SESSION: ALCA_MOUNT variables are alca-mount's to set`},
		{"hide = ['~bob/x']", `1:9: hide[0]: "~bob/x": expected ~/… for your own home`},
		{"hide = ['${NOPE}/x']", `1:9: hide[0]: ${NOPE}: the variable is not set`},
		{"hide = ['${EMPTY}/x']", `1:9: hide[0]: ${EMPTY} is empty: expected a path in it`},
		{"hide = ['${NO', '${1}']", `1:9: hide[0]: "${NO": expected ${NAME}`},
		{"undo.max_age = '1d'", `1:6: undo.max_age: only the user's own configuration may say it`},
		{"image='x'\nmounts = ['./d']", `2:11: mounts[0]: "./d": expected "SOURCE:TARGET"`},
		{"image='x'\nmounts = ['d:/d']", `2:11: mounts[0]: "d:/d": expected a directory of the machine as the source; one beside this file is "./d"`},
		{"image='x'\nmounts = ['./d:/d:rx']", `2:11: mounts[0]: "./d:/d:rx": expected "SOURCE:TARGET"`},
		{"image='x'\nmounts = ['../d:d']", `2:11: mounts[0].target: "d": expected an absolute path in the container`},
		{"image='x'\nmounts = ['../none:/d']", `2:11: mounts[0].source: `},
		{"image='x'\nmounts = ['../d:/d', '../d:/d/']", `2:22: mounts[1].target: /d is taken by the mount at .alca.toml:2:11`},
		{"image='x'\nmounts = ['../d:/workspace']", `2:11: mounts[0].target: /workspace is taken by the project: expected another directory`},
		{"image='x'\nmounts = ['./sub:/d']", `2:11: mounts[0].source: `},
		{"image='x'\nmounts = ['..:/d']", `2:11: mounts[0].source: `},
		{"image='x'\nmounts = ['../state/x:/d']", `2:11: mounts[0].source: `},
		{"image='x'\n[[mounts]]\ntarget='/d'", `2:3: mounts[0]: source is missing`},
		{"image='x'\n[[mounts]]\nsource='../d'\ntarget='/d'\ntraget='/d'", `5:1: mounts[0].traget: unknown key; did you mean mounts[0].target?`},
		{"image='x'\n[[mounts]]\nsource='../d'\ntarget='/d'\nmirror='never'\nexclude=['x']", `5:8: mounts[0].mirror: "never" is a bind of the directory as it is`},
		{"image='x'\n[[mounts]]\nsource='../ruled'\ntarget='/d'\nmirror='never'", `3:8: mounts[0].source: `},
		{"image='x'\n[[mounts]]\nsource='.'\ntarget='/d'\nmirror='never'", `3:8: mounts[0].source: `},
		{"image='x'\n[[mounts]]\nsource='../file'\ntarget='/d'\nexclude=['x']", `3:8: mounts[0].source: `},
		{"\nextends = 'none.toml'", `2:11: extends[0]: none.toml: no such file`},
		{"includes = ['link.toml']", `1:13: includes[0]: link.toml: `},
		{"includes = ['linked/x.toml']", `1:13: includes[0]: linked/x.toml: `},
		{"extends = '.alca.toml'", `1:11: extends[0]: .alca.toml: it goes on from itself by way of others: expected no circle`},
		{"extends = 'circle.toml'", `circle.toml:1:13: includes[0]: .alca.toml: it goes on from itself`},
		{"extends = 'bad.toml'", `bad.toml:2:1: imag: unknown key; did you mean image?`},
		{"extends = 'sub'", `1:11: extends[0]: sub: `},
		{"image = \"\xff\"", `1:1: not UTF-8: expected a TOML file`},
	}
	for _, c := range cases {
		t.Run(strings.ReplaceAll(c.file, "\n", "⏎"), func(t *testing.T) {
			p := newPlace(t)
			p.write("sub/x.toml", "")
			p.write("circle.toml", "includes = ['.alca.toml']")
			p.write("bad.toml", "\nimag = 'x'")
			must(t, os.Symlink("bad.toml", p.project+"/link.toml"))
			must(t, os.Symlink("sub", p.project+"/linked"))
			p.write(ProjectFile, c.file)
			want := c.want
			if strings.Contains("0123456789", want[:1]) {
				want = ProjectFile + ":" + want
			}
			_, err := p.load()
			var errs Errors
			if !errors.As(err, &errs) || !strings.Contains(err.Error(), want) {
				t.Fatalf("got\n%v\nwant\n%s", err, want)
			}
		})
	}
}

// All that is wrong is told at once, in the order of the lines.
func TestAllErrorsAtOnce(t *testing.T) {
	p := newPlace(t)
	p.user("exclud = []")
	p.write(ProjectFile, "grace = 'x'\nkeep = 1\nimag = ''\n")
	_, err := p.load()
	var errs Errors
	if !errors.As(err, &errs) || len(errs) != 4 {
		t.Fatalf("got %v", err)
	}
	for i, key := range []string{"exclud", "grace", "keep", "imag"} {
		if errs[i].Key != key {
			t.Errorf("error %d is of %s, want %s", i, errs[i].Key, key)
		}
	}
}

func TestDepthAndNumberOfFilesAreBounded(t *testing.T) {
	p := newPlace(t)
	p.write(ProjectFile, "extends = '0.toml'")
	for i := range maxDepth {
		p.write(fmt.Sprint(i, ".toml"), fmt.Sprintf("extends = '%d.toml'", i+1))
	}
	p.write(fmt.Sprint(maxDepth, ".toml"), "")
	if _, err := p.load(); err == nil || !strings.Contains(err.Error(), "go on from one another") {
		t.Errorf("got %v", err)
	}
	p.write(fmt.Sprint(maxDepth-2, ".toml"), "")
	if _, err := p.load(); err != nil {
		t.Errorf("got %v", err)
	}
	for i := range 10 { // each reads the next twice
		p.write(fmt.Sprint(i, ".toml"), fmt.Sprintf("extends = ['%d.toml', '%d.toml']", i+1, i+1))
	}
	if _, err := p.load(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("more than %d files", maxFiles)) {
		t.Errorf("got %.200v", err)
	}
}

// place is a project, a user's file, and directories around them.
type place struct {
	t       *testing.T
	project string
	env     map[string]string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	p := &place{t: t, project: filepath.Join(dir, "project"), env: map[string]string{"EMPTY": ""}}
	p.write("../d/x", "")
	p.write("../state/x/y", "")
	p.write("../ruled/.agentignore", ".env\n")
	p.write("../file", "")
	must(t, os.MkdirAll(p.project, 0o755))
	return p
}

func (p *place) write(name, content string) {
	p.t.Helper()
	path := filepath.Join(p.project, name)
	must(p.t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(p.t, os.WriteFile(path, []byte(content), 0o644))
}

func (p *place) user(content string) { p.write("../config/config.toml", content) }

func (p *place) load() (*Merged, error) {
	p.t.Helper()
	beside := filepath.Dir(p.project)
	return Load(Options{
		Project: p.project, User: filepath.Join(beside, "config/config.toml"), State: filepath.Join(beside, "state"), Home: filepath.Join(beside, "home"),
		Getenv: func(name string) (string, bool) { v, ok := p.env[name]; return v, ok },
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
