package dotfiles

import (
	"strings"
	"testing"
)

func newGuard(t *testing.T, patterns ...string) *Guard {
	t.Helper()
	g, err := NewGuard(append(GuardedDefault(), flagRules("config", patterns...)...))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// expectGuards asks for files, with a trailing slash for directories, with a trailing "@" for links.
func expectGuards(t *testing.T, g *Guard, want bool, paths ...string) {
	t.Helper()
	for _, p := range paths {
		rel, isLink := strings.CutSuffix(p, "@")
		rel, isDir := strings.CutSuffix(rel, "/")
		_, got := g.Guards(rel, isDir)
		if isLink {
			_, got = g.GuardsLink(rel)
		}
		if got != want {
			t.Errorf("%q is guarded: %v, want %v", p, got, want)
		}
	}
}

func TestGuardedDefault(t *testing.T) {
	g := newGuard(t)
	expectGuards(t, g, true,
		".envrc", "a/b/.envrc", ".vscode/tasks.json", "a/.vscode/launch.json", ".vscode/settings.json", ".idea/", ".idea/x/y", "a/.husky/pre-commit",
		".devcontainer/Dockerfile", ".claude/settings.json", ".mcp.json", ".pre-commit-config.yaml", "lefthook.yml", ".gitattributes", "a/.gitattributes",
		".vscode/mcp.json", ".cursor/mcp.json", "a/.cursor/hooks.json", ".codex/config.toml", ".gemini/settings.json", ".qwen/settings.json", ".amp/settings.json",
		".continue/mcpServers/x.yaml", ".opencode/plugins/x.ts", "a/opencode.json", "opencode.jsonc", ".opencode.json", ".aider.conf.yml", ".github/hooks/x.json",
		".cursor@", ".codex@", ".github/hooks@",
		".gitmodules", ".github/workflows/ci.yml", ".github/workflows/",
		".vscode@", ".github@", ".github/workflows@", ".idea@", ".envrc@", "a/.vscode/tasks.json@")
	expectGuards(t, g, false, "src/main.go", ".vscode/", ".vscode/extensions.json", ".github/", ".github/CODEOWNERS", "workflows/ci.yml", "envrc", "idea/x", ".env",
		"tasks.json", "tasks.json@", "src@", ".vscode", "a@", ".gitignore", ".huskyrc/x", "Makefile")
}

func TestGuardTakesNamesAsTheLoosestFileSystem(t *testing.T) {
	expectGuards(t, newGuard(t), true,
		".ENVRC", ".VsCode/Tasks.JSON", ".vscode./tasks.json", ".vscode /tasks.json ", ".envrc::$DATA", ".env\u200drc", ".v\u017fcode/tasks.json", ".Git\u200bAttributes",
		"A/.IDEA/x", ".VSCODE@", ".Husky. @")
	expectGuards(t, newGuard(t, "/Ünsafe"), true, "u\u0308nsafe", "ÜNSAFE/x")
}

func TestGuardedPatternsAddAndTakeAway(t *testing.T) {
	g := newGuard(t, "Makefile", "/scripts/run/*.sh", "!.gitattributes", "!.idea/x")
	expectGuards(t, g, true, "Makefile", "a/Makefile", "scripts/run/x.sh", "scripts@", "scripts/run@", ".idea/x", ".envrc")
	expectGuards(t, g, false, ".gitattributes", "a/scripts/run/x.sh", "a/scripts@", "scripts/run/x.py")
	if _, err := NewGuard(flagRules("config", "a[")); err == nil || !strings.Contains(err.Error(), `config: guarded pattern "a["`) {
		t.Errorf("a bad pattern: %v", err)
	}
	expectGuards(t, nil, false, ".envrc", ".envrc@")
}

func TestStricterGuardGuardsWhatEitherDoes(t *testing.T) {
	a, b, c := newGuard(t, "a", "both", "!later"), newGuard(t, "b", "both", "later"), newGuard(t, "c")
	g := StricterGuard(StricterGuard(a, b), c)
	expectGuards(t, g, true, "a", "b", "c", "both", "later")
	expectGuards(t, g, false, "d")
	for _, link := range []string{"a", "b", "c"} {
		if _, ok := g.GuardsLink(link); !ok {
			t.Errorf("a link at %s passes", link)
		}
	}
	if StricterGuard(nil, b) != b || len(StricterGuard(b, nil).Rules()) != len(b.Rules()) {
		t.Error("none and one are not the one")
	}
}
