package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What reaches beyond the project is listed, what only restricts or stays inside is not.
func TestNeeds(t *testing.T) {
	cases := []struct{ user, project, want string }{
		{"", "", ""},
		{"", "exclude = ['a']\nreadonly = ['b']\nhide = ['/x']\nconfine_writes = true\nnetwork = 'none'\ngit = 'copy'\nisolation = 'namespace'\n", ""},
		{"", "image = 'x'\nworkdir = '/w'\nuser = '1000'\ncaps.drop = ['ALL']\nresources.memory = '1g'\nmounts = ['.:/again:ro']\n", ""},
		{"image = 'x'\nmounts = ['../d:/d']\nenv = {A = true}\nallow_socket = ['/s']\ncaps.add = ['ALL']\nisolation = 'none'\n", "git = 'none'", ""},
		{"", "image = 'x'\nmounts = ['../d:/d:ro', '../file:/f']\n", "mounts[0] mounts[1]"},
		{"", "image = 'x'\ncaps.add = ['NET_ADMIN', 'sys_admin']\n", "caps.add[0] caps.add[1]"},
		{"", "image = 'x'\nuser = 'root:x'\n", "user"},
		{"", "image = 'x'\nuser = '00'\n", "user"},
		{"", "image = 'x${SET}'\n", "image"},
		{"", "hide = ['${SET}']\n", "hide[0]"},
		{"", "env = {A = true, B = 'x'}\n", "env.A env.B"},
		{"", "allow_socket = ['/run/x']\n", "allow_socket[0]"},
		{"", "confine_writes = true\nwritable = ['~/.x']\n", "writable[0]"},
		{"", "isolation = 'none'\n", "isolation"},
		{"", "git_with_hidden_history = true\n", "git_with_hidden_history"},
		{"", "extends = '../outside.toml'\n", "file"},
		{"", "extends = 'sub/inside.toml'\n", ""},
		{"", "includes = 'sub/needy.toml'\n", "allow_socket[0]"},
		{"mounts = ['../d:/d']\n", "image = 'x'\n", "image"},
		{"env = {TOKEN = true}\n", "image = 'x'\n", "image"},
		{"isolation = 'container'", "isolation = 'namespace'", "isolation"},
		{"network = 'none'", "network = 'default'", "network"},
		{"network = 'default'", "network = 'none'", ""},
		{"confine_writes = true", "confine_writes = false", "confine_writes"},
		{"git = 'none'", "git = 'copy'", "git"},
		{"no_default_excludes = false", "no_default_excludes = true", "no_default_excludes"},
		{"symlinks = 'keep'", "symlinks = 'follow'", "symlinks"},
		{"population = 'git'", "population = 'walk'", "population"},
		{"sync.mode = 'exit'", "sync.mode = 'off'", "sync.mode"},
	}
	for _, c := range cases {
		t.Run(strings.ReplaceAll(c.user+"|"+c.project, "\n", " "), func(t *testing.T) {
			p := newPlace(t)
			p.env["SET"] = "/x"
			p.write("../outside.toml", "")
			p.write("sub/inside.toml", "")
			p.write("sub/needy.toml", "allow_socket = ['/s']")
			p.user(c.user)
			p.write(ProjectFile, c.project)
			m, err := p.load()
			must(t, err)
			var keys []string
			for _, n := range m.Needs() {
				keys = append(keys, n.Key)
				if n.At.Line == 0 || n.Text == "" {
					t.Errorf("%+v", n)
				}
			}
			if got := strings.Join(keys, " "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// A link in the project does not make what it leads to a part of the project.
func TestMountThroughALinkNeedsTheUsersWord(t *testing.T) {
	p := newPlace(t)
	p.write(ProjectFile, "image = 'x'\nmounts = ['./link:/d']\n")
	must(t, os.Symlink("../d", p.project+"/link"))
	m, err := p.load()
	must(t, err)
	needs := m.Needs()
	outside := filepath.Join(filepath.Dir(p.project), "d")
	if len(needs) != 1 || !strings.Contains(needs[0].Text, outside) || m.Config.Mounts[1].Source != outside {
		t.Errorf("got %v, %v", needs, m.Config.Mounts)
	}
}

// needy is a project that asks for something in an included file, and where its grants are.
func needy(t *testing.T) (*place, string) {
	p := newPlace(t)
	p.env["D"] = "d"
	p.write("../e/x", "")
	p.write("../base.toml", "git = 'copy'")
	p.write(ProjectFile, "image = 'x'\nextends = '../base.toml'\nincludes = 'more.toml'\n")
	p.write("more.toml", "mounts = ['../${D}:/d']\n")
	return p, t.TempDir()
}

func (p *place) allowed(dir string) bool {
	p.t.Helper()
	m, err := p.load()
	must(p.t, err)
	ok, err := m.Allowed(dir)
	must(p.t, err)
	return ok
}

func (p *place) allow(dir string) {
	p.t.Helper()
	m, err := p.load()
	must(p.t, err)
	must(p.t, m.Allow(dir))
}

// What the user allowed are these files with this content; any change of any of them takes a new word.
func TestAllowedIsByContentOfAllFiles(t *testing.T) {
	for _, change := range []struct{ name, file, content string }{
		{"the file", ProjectFile, "image = 'x' \nextends = '../base.toml'\nincludes = 'more.toml'\n"},
		{"an included file", "more.toml", "mounts = ['../${D}:/d'] \n"},
		{"a file outside", "../base.toml", "git = 'none'"},
	} {
		t.Run(change.name, func(t *testing.T) {
			p, dir := needy(t)
			if p.allowed(dir) {
				t.Fatal("allowed before")
			}
			p.allow(dir)
			if !p.allowed(dir) {
				t.Fatal("not allowed after")
			}
			before, err := os.ReadFile(filepath.Join(p.project, change.file))
			must(t, err)
			p.write(change.file, change.content)
			if p.allowed(dir) {
				t.Error("allowed although it changed")
			}
			p.write(change.file, string(before))
			if !p.allowed(dir) {
				t.Error("not allowed although it is as it was")
			}
		})
	}
}

// The same files can ask for something else: where a variable or a link changed.
func TestAllowedIsByWhatIsAskedFor(t *testing.T) {
	p, dir := needy(t)
	p.allow(dir)
	p.env["D"] = "e"
	if p.allowed(dir) {
		t.Error("allowed although it mounts another directory")
	}
}

// The image that gets an agent's login is the one that the user saw.
func TestAllowedIsForOneImage(t *testing.T) {
	p, dir := needy(t)
	p.write(ProjectFile, "image = '${I}'")
	p.env["I"] = "one"
	p.allow(dir)
	if !p.allowed(dir) {
		t.Error("not allowed as it is")
	}
	p.env["I"] = "two"
	if p.allowed(dir) {
		t.Error("allowed although it is another image")
	}
}

func TestAllowedIsForOneProject(t *testing.T) {
	p, dir := needy(t)
	p.allow(dir)
	q, _ := needy(t)
	q.write(ProjectFile, "env.A = 'x'") // no path of the project's is in what it asks for
	p.write(ProjectFile, "env.A = 'x'")
	p.allow(dir)
	if q.allowed(dir) {
		t.Error("another project is allowed")
	}
	if !p.allowed(dir) {
		t.Error("it is not allowed itself")
	}
	if had, err := Revoke(dir); !had || err != nil {
		t.Error(had, err)
	}
	if p.allowed(dir) {
		t.Error("allowed after it was taken back")
	}
	if had, err := Revoke(dir); had || err != nil {
		t.Error(had, err)
	}
}

// What can't be read allows nothing.
func TestDamagedGrantAllowsNothing(t *testing.T) {
	p, dir := needy(t)
	p.allow(dir)
	path := filepath.Join(dir, allowedName)
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	must(t, os.WriteFile(path, []byte("{"), 0o600))
	m, err := p.load()
	must(t, err)
	if ok, err := m.Allowed(dir); ok || err == nil {
		t.Error(ok, err)
	}
}

// All files that the configuration is made of, also those of the user that lie in the project, are told to be policy.
func TestFilesInTheProjectAreNamed(t *testing.T) {
	p, _ := needy(t)
	p.write("mine/config.toml", "extends = 'sub/x.toml'")
	p.write("mine/sub/x.toml", "keep = true")
	must(t, os.Symlink(p.project+"/mine", filepath.Dir(p.project)+"/config"))
	m, err := p.load()
	must(t, err)
	var got []string
	for _, f := range m.Files {
		got = append(got, f.Layer.String()+":"+f.Rel)
	}
	want := []string{"user:mine/config.toml", "user:mine/sub/x.toml", "project:.alca.toml", "project:", "project:more.toml"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Beside an agent's login in a container, what a project's file runs, sets and names as the image is for the user to allow.
func TestProfileNeeds(t *testing.T) {
	p := newPlace(t)
	p.user("")
	p.write(ProjectFile, "image = 'x'\ncommands.up = 'curl x'\ncommands.enter = '. x'\nenv.BASE_URL = 'https://x'")
	m, err := p.load()
	must(t, err)
	var keys []string
	for _, n := range m.ProfileNeeds() {
		keys = append(keys, n.Key)
	}
	if got := strings.Join(keys, " "); got != "image commands.up commands.enter" {
		t.Errorf("got %q", got)
	}
	for _, n := range m.Needs() {
		if n.Matters(Launch{Container: true}) || !n.Matters(Launch{Container: true, Profile: true}) || !n.Matters(Launch{}) {
			t.Errorf("%+v", n)
		}
	}
	p = newPlace(t)
	p.user("image = 'x'\ncommands.up = 'y'")
	p.write(ProjectFile, "")
	m, err = p.load()
	must(t, err)
	if got := m.ProfileNeeds(); len(got) > 0 {
		t.Errorf("of the user's own: %+v", got)
	}
}
