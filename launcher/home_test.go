package launcher

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alca-mount/alca-mount/mirror"
)

// homes is a user with a login, a project, and a state directory.
type homes struct {
	t             *testing.T
	user, project string
	state         *mirror.StateDir
}

func newHomes(t *testing.T) *homes {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state"))
	h := &homes{t: t, user: filepath.Join(dir, "user"), project: filepath.Join(dir, "project")}
	if h.state, err = mirror.DefaultStateDir(); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(h.project, 0o755); err != nil {
		t.Fatal(err)
	}
	h.write(filepath.Join(h.user, ".bot/login"), "one")
	h.write(filepath.Join(h.user, ".bot/history"), "of another project")
	return h
}

func (h *homes) write(file, text string) {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *homes) prepare() *ProfileUsed {
	h.t.Helper()
	used, err := h.try()
	if err != nil {
		h.t.Fatal(err)
	}
	return used
}

func (h *homes) try() (*ProfileUsed, error) {
	return prepareHome(h.state, h.project, h.user, Profile{
		Name: "bot", Files: []string{".bot/login", ".bot/none"}, Made: map[string]string{".bot.json": "{}"},
	})
}

func (h *homes) is(file, want string) {
	h.t.Helper()
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		h.t.Errorf("%s = %q, %v; want %q", file, got, err, want)
	}
}

// What the agent made of its login stays until the user's own changes; its memory of other projects is not there.
func TestAnAgentsHomeHasItsLogin(t *testing.T) {
	h := newHomes(t)
	used := h.prepare()
	login := filepath.Join(used.Home, ".bot/login")
	h.is(login, "one")
	h.is(filepath.Join(used.Home, ".bot.json"), "{}")
	if !slices.Equal(used.Files, []string{".bot/login"}) || len(used.Before) > 0 {
		t.Errorf("copied %q, before %q", used.Files, used.Before)
	}
	if _, err := os.Lstat(filepath.Join(used.Home, ".bot/history")); err == nil {
		t.Error("what is no login was brought")
	}
	h.write(login, "renewed inside")
	h.write(filepath.Join(used.Home, ".bot.json"), "its own")
	if used = h.prepare(); len(used.Files) > 0 || !slices.Equal(used.Before, []string{".bot/login"}) {
		t.Errorf("copied %q, before %q", used.Files, used.Before)
	}
	h.is(login, "renewed inside")
	h.is(filepath.Join(used.Home, ".bot.json"), "its own")
	h.write(filepath.Join(h.user, ".bot/login"), "two, of the user")
	h.prepare()
	h.is(login, "two, of the user")
	h.is(filepath.Join(h.user, ".bot/login"), "two, of the user")
}

// The agent owns its home: a link that it left there leads nothing of ours outside.
func TestNothingIsWrittenThroughALinkInAnAgentsHome(t *testing.T) {
	for _, place := range []string{".bot", ".bot/login", ".bot/.alca-mount-brought"} {
		h := newHomes(t)
		used := h.prepare()
		outside := filepath.Join(h.user, "outside")
		h.write(filepath.Join(outside, "login"), "the user's")
		link := filepath.Join(used.Home, place)
		if err := os.RemoveAll(link); err != nil {
			t.Fatal(err)
		}
		target := outside
		if place != ".bot" {
			target = filepath.Join(outside, "login")
		}
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		h.write(filepath.Join(h.user, ".bot/login"), "another login")
		_, err := h.try()
		h.is(filepath.Join(outside, "login"), "the user's")
		if place == ".bot" && (err == nil || !strings.Contains(err.Error(), "--no-profile")) {
			t.Errorf("%s: %v", place, err)
		}
	}
}

// The places that writes are confined to are those of all profiles.
func TestProfilesAreWellFormed(t *testing.T) {
	var names []string
	for _, p := range Profiles() {
		names = append(names, p.Name)
		for _, file := range slices.Concat(p.Places, p.Files) {
			if !filepath.IsLocal(file) || !strings.HasPrefix(file, ".") {
				t.Errorf("%s: %s", p.Name, file)
			}
		}
		for _, file := range p.Files {
			if !slices.ContainsFunc(p.Places, func(place string) bool { return strings.HasPrefix(file, place) }) && !strings.HasPrefix(file, ".aider.") {
				t.Errorf("%s: %s is in none of its places", p.Name, file)
			}
		}
	}
	for _, agent := range []string{"aider", "claude", "codex", "gemini", "opencode"} {
		if !slices.Contains(names, agent) {
			t.Errorf("no profile of %s", agent)
		}
	}
	if !slices.IsSorted(names) || !slices.Contains(agentPlaces(), ".claude.json") {
		t.Errorf("%q, %q", names, agentPlaces())
	}
}
