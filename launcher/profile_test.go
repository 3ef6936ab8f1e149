package launcher

import (
	"testing"

	"github.com/alca-mount/alca-mount/dotfiles"
)

// What a known agent runs by itself of a project's files waits for the user's word. A new agent is asked the same.
func TestWhatAgentsRunOfAProjectIsGuarded(t *testing.T) {
	runs := map[string][]string{
		"aider":    {".aider.conf.yml"},
		"amp":      {".amp/settings.json"},
		"claude":   {".claude/settings.json", ".mcp.json"},
		"codex":    {".codex/config.toml"},
		"continue": {".continue/mcpServers/x.yaml"},
		"copilot":  {".github/hooks/x.json", ".vscode/mcp.json"},
		"cursor":   {".cursor/mcp.json", ".cursor/hooks.json"},
		"gemini":   {".gemini/settings.json"},
		"goose":    nil,
		"opencode": {"opencode.json", "opencode.jsonc", ".opencode/plugins/x.ts"},
		"qwen":     {".qwen/settings.json"},
	}
	guard, err := dotfiles.NewGuard(dotfiles.GuardedDefault())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range Profiles() {
		files, known := runs[p.Name]
		if !known {
			t.Errorf("%s: which files of a project does it run by itself?", p.Name)
		}
		for _, f := range files {
			if _, guarded := guard.Guards(f, false); !guarded {
				t.Errorf("%s: %s is not guarded", p.Name, f)
			}
		}
	}
}
