package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWorkdirIsTheFirstMount(t *testing.T) {
	p := newPlace(t)
	p.env["WHERE"] = "/data"
	p.write(ProjectFile, `
image = "ubuntu:latest"
runtime = "auto"
workdir = "/work"
workdir_exclude = ["node_modules", ".git", "dist"]

[[mounts]]
source = "../d"
target = "${WHERE}"
readonly = false
exclude = ["**/.env.prod", "**/secrets/"]
`)
	m, err := p.load()
	must(t, err)
	want := []Mount{
		{Source: p.project, Target: "/work", Exclude: []string{"node_modules", ".git", "dist"}, Mirror: "always"},
		{Source: filepath.Join(filepath.Dir(p.project), "d"), Target: "/data", Exclude: []string{"**/.env.prod", "**/secrets/"}, Mirror: "auto"},
	}
	if d := cmp.Diff(want, m.Config.Mounts); d != "" {
		t.Error(d)
	}
}

func TestMountAsText(t *testing.T) {
	p := newPlace(t)
	p.env["D"] = "d"
	p.write(ProjectFile, `image = "x"
mounts = ["../${D}:/a:ro", "~/x:/b", "../file:/c:rw"]`)
	p.write("../home/x/y", "")
	m, err := p.load()
	must(t, err)
	beside := filepath.Dir(p.project)
	want := []Mount{
		{Source: p.project, Target: "/workspace", Mirror: "always"},
		{Source: beside + "/d", Target: "/a", Readonly: true, Mirror: "auto"},
		{Source: beside + "/home/x", Target: "/b", Mirror: "auto"},
		{Source: beside + "/file", Target: "/c", Mirror: "auto"},
	}
	if d := cmp.Diff(want, m.Config.Mounts); d != "" {
		t.Error(d)
	}
}

// Lists unite: what the user hides, protects and guards stays so, whatever a project says.
func TestProjectCannotLoosenTheUsersLists(t *testing.T) {
	p := newPlace(t)
	p.user("exclude = ['*.pem']\nreadonly = ['LICENSE']\nworkdir_exclude = ['w']\nguard.paths = ['.envrc']\nhide = ['/h']\n[caps]\ndrop = ['ALL']\n")
	p.write(ProjectFile, "image = 'x'\nexclude = []\nreadonly = ['docs/']\nworkdir_exclude = []\nguard.paths = ['Makefile']\nhide = []\n[caps]\ndrop = ['chown']\n")
	m, err := p.load()
	must(t, err)
	c := m.Config
	for _, l := range []struct {
		got  []string
		want string
	}{
		{c.Exclude, "*.pem"}, {c.Readonly, "LICENSE docs/"}, {c.WorkdirExclude, "w"}, {c.Guard.Paths, ".envrc Makefile"}, {c.Hide, "/h"}, {c.Caps.Drop, "ALL CHOWN"},
	} {
		if got := strings.Join(l.got, " "); got != l.want {
			t.Errorf("got %s, want %s", got, l.want)
		}
	}
}

func TestScalarsOverride(t *testing.T) {
	p := newPlace(t)
	p.user("git = 'copy'\nkeep = true\ngrace = '1s'\n[sync]\nmode = 'exit'\ndebounce = '5ms'\n[env]\nA = 'user'\nB = 'user'\n")
	p.write(ProjectFile, "git = 'none'\nkeep = false\n[sync]\nmode = 'live'\nscan_interval = '0s'\n[env]\nA = true\nC = '$${X} $$ ${E}'\n")
	p.env["E"] = "e"
	m, err := p.load()
	must(t, err)
	c := m.Config
	if c.Git != "none" || c.Keep || *c.Grace != time.Second || c.Sync.Mode != "live" || *c.Sync.Debounce != 5*time.Millisecond || *c.Sync.ScanInterval != 0 {
		t.Errorf("got %+v", c)
	}
	want := map[string]Env{"A": {Pass: true}, "B": {Value: "user"}, "C": {Value: "${X} $$ e"}}
	if d := cmp.Diff(want, c.Env); d != "" {
		t.Error(d)
	}
}

// What a file extends stands below it, what it includes above it; relative to the file that names them.
func TestExtendsAndIncludes(t *testing.T) {
	p := newPlace(t)
	p.write(ProjectFile, "extends = ['conf/base.toml']\nincludes = 'conf/over.toml'\nagent = 'mid'\ngit = 'none'\nexclude = ['mid']\n")
	p.write("conf/base.toml", "extends = 'deep.toml'\nagent = 'base'\nsymlinks = 'skip'\nhide = ['x']\n")
	p.write("conf/deep.toml", "symlinks = 'follow'\npopulation = 'auto'\nexclude = ['deep']\n")
	p.write("conf/over.toml", "extends = 'deep.toml'\ngit = 'copy'\nexclude = ['over']\n")
	m, err := p.load()
	must(t, err)
	c := m.Config
	got := []string{c.Agent, c.Git, c.Symlinks, c.Population, strings.Join(c.Exclude, " "), c.Hide[0]}
	want := []string{"mid", "copy", "follow", "auto", "deep mid over", p.project + "/conf/x"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	var files []string
	for _, f := range m.Files {
		files = append(files, f.Rel)
	}
	if d := cmp.Diff([]string{".alca.toml", "conf/base.toml", "conf/deep.toml", "conf/over.toml"}, files); d != "" {
		t.Error(d)
	}
}

// The project under a second name hides there what it hides under its own.
func TestProjectAsAMountKeepsItsExcludes(t *testing.T) {
	p := newPlace(t)
	p.user("exclude = ['*.pem']")
	p.write(ProjectFile, "image = 'x'\nworkdir_exclude = ['w']\n[[mounts]]\nsource = '.'\ntarget = '/again'\nexclude = ['m']\n")
	m, err := p.load()
	must(t, err)
	if got := strings.Join(m.Config.Mounts[1].Exclude, " "); got != "*.pem w m" {
		t.Errorf("got %s", got)
	}
	if needs := m.Needs(); len(needs) != 0 {
		t.Errorf("got %v", needs)
	}
}

func TestAddMount(t *testing.T) {
	p := newPlace(t)
	p.write(ProjectFile, "image = 'x'\nmounts = ['../d:/d']\n")
	m, err := p.load()
	must(t, err)
	beside := filepath.Dir(p.project)
	for _, bad := range []string{"./d", "./d:/d", "./d:/workspace", "./none:/x", p.project + "/..:/x", "./d:x"} {
		if err := m.AddMount(bad, beside); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
	must(t, m.AddMount("./d:/e:ro", beside))
	want := Mount{Source: beside + "/d", Target: "/e", Readonly: true, Mirror: "auto"}
	if d := cmp.Diff(want, m.Config.Mounts[2]); d != "" {
		t.Error(d)
	}
}

// What is printed is a file that says the same.
func TestPrintedConfigurationSaysTheSame(t *testing.T) {
	p := newPlace(t)
	full := `agent = "kim"
exclude = ["a", "b\\ c", "é"]
no_default_excludes = true
hide = ["/h", "x"]
grace = "90s"
network = "none"
image = "i\\u0007\"${E}"
commands.enter = ". ./env\nexport X"
[env]
A = "x # \t"
B = true
[resources]
memory = "1.5g"
cpus = 1.5
[[mounts]]
source = "../d"
target = "/d"
exclude = ["s"]
[[mounts]]
source = "../file"
target = "/f"
readonly = true
[sync]
debounce = "1ms"
[guard]
paths = ["x"]
`
	p.env["E"] = "$"
	p.write(ProjectFile, full)
	m, err := p.load()
	must(t, err)
	p.write(ProjectFile, m.TOML())
	again, err := p.load()
	if err != nil {
		t.Fatalf("%v\n%s", err, m.TOML())
	}
	if d := cmp.Diff(m.Config, again.Config); d != "" {
		t.Errorf("%s\n%s", d, m.TOML())
	}
	if m.TOML() == "" || len(m.Values()) < 15 {
		t.Errorf("%v", m.Values())
	}
}

func TestSizes(t *testing.T) {
	for s, want := range map[string]Size{"1": 1, "1b": 1, "512m": 512 << 20, "1.5g": 3 << 29, "4GiB": 4 << 30, "2 kb": 2048, "1T": 1 << 40} {
		if got, err := ParseSize(s); got != want || err != nil {
			t.Errorf("%s: %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "g", "0", "-1g", "1x", "1gg", "99999999999t", "1e3", "0x1", "0.1"} {
		if got, err := ParseSize(s); err == nil {
			t.Errorf("%s: %d", s, got)
		}
	}
}

func TestUserFile(t *testing.T) {
	env := func(v string) func(string) (string, bool) { return func(string) (string, bool) { return v, v != "" } }
	if got, err := UserFile("/home/you", env("")); got != "/home/you/.config/alca-mount/config.toml" || err != nil {
		t.Error(got, err)
	}
	if got, err := UserFile("/home/you", env("/x")); got != "/x/alca-mount/config.toml" || err != nil {
		t.Error(got, err)
	}
	if _, err := UserFile("/home/you", env("x")); err == nil {
		t.Error("a relative XDG_CONFIG_HOME")
	}
}

// The schema that editors read is the grammar: UPDATE=1 writes it.
func TestSchemaIsCurrent(t *testing.T) {
	want, err := Schema()
	must(t, err)
	const path = "../../../../docs/alca.schema.json"
	if os.Getenv("UPDATE") != "" {
		must(t, os.WriteFile(path, want, 0o644))
	}
	got, err := os.ReadFile(path)
	must(t, err)
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Error(d)
	}
}

// Every key is described, and documented.
func TestEveryKeyIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/config.md")
	must(t, err)
	g := grammar()
	var look func(f *field, key string)
	look = func(f *field, key string) {
		for i := range f.fields {
			sub := &f.fields[i]
			name := dotted(key, sub.name)
			if sub.doc == "" || !strings.Contains(string(page), "`"+name+"`") {
				t.Errorf("%s is not described", name)
			}
			look(sub, name)
			if sub.elem != nil {
				look(sub.elem, name)
			}
		}
	}
	look(&g, "")
}

// Every field of the grammar can be bound: none of a type that nobody thought of.
func TestGrammarHasOnlyKnownTypes(t *testing.T) {
	g := grammar()
	var look func(f *field)
	look = func(f *field) {
		if f.expected() == text.String() && f.typ.Kind() != reflect.String {
			t.Errorf("%s: %v", f.name, f.typ)
		}
		for i := range f.fields {
			look(&f.fields[i])
		}
		if f.elem != nil {
			look(f.elem)
		}
	}
	look(&g)
}

func FuzzLoad(f *testing.F) {
	for _, s := range []string{
		"image = 'x'\nmounts = ['./d:/d:ro', {source='x', target='/y'}]\n[env]\nA=true\n", "extends = '.alca.toml'", "a.b.c = 1\n[a]\n[[a.d]]\n",
		"resources = {memory = '4g', cpus = 1e3}\nsync.debounce='10ms'", "exclude = [[[{a=[1]}]]]", "x = 0x10\ny = inf\nz = 07:32:00",
		"[[mounts]]\n[mounts.x]\n[[mounts.y]]\n", "caps.add = ['${A}', '~']\ngrace = '9999999999d'", "\"\" = 1\n'a.b' = {}\n",
	} {
		f.Add([]byte(s))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		root, errs := decode(data, ProjectFile)
		if root == nil {
			if len(errs) == 0 {
				t.Fatal("neither a tree nor an error")
			}
			return
		}
		if len(errs) > 0 {
			t.Fatalf("the decoder takes what the tree does not: %v", errs)
		}
		c := &checker{grammar: grammar(), dir: dir, layer: Project, env: surroundings{home: dir, getenv: func(string) (string, bool) { return "v", true }}}
		c.table(root, &c.grammar, "")
		for _, e := range c.errs {
			if e.Line < 1 || e.Column < 1 || e.Key == "" {
				t.Fatalf("no place: %v", e)
			}
		}
		if len(c.errs) > 0 {
			return
		}
		m := &Merged{Project: dir, project: root, root: root}
		bind(root, &c.grammar, reflect.ValueOf(&m.Config).Elem())
		m.Needs()
		if again, errs := decode([]byte(m.TOML()), ProjectFile); again == nil {
			t.Fatalf("what is printed is not TOML: %v\n%s", errs, m.TOML())
		}
	})
}
