package launcher

import "slices"

// Profile is what an agent needs of its user's home directory. All paths are below it, with "/" between names.
type Profile struct {
	Name string // CMD's base name

	// Places are where the agent keeps login, memory and settings: ConfineWrites leaves them writable.
	Places []string

	// Files are its settings and its login, without its memory: that is of other projects, too. Files and Env are for
	// containers, where nothing else of the home directory is.
	Files []string
	Env   []string // variables with keys and addresses, passed on where they are set

	// Made are files that the agent asks its first questions without; path and content.
	Made map[string]string
}

// Profiles lists the agents that are known, by name. Where their files and variables are told: the documentation of
// Claude Code (settings, authentication, environment variables), of Codex (configuration, authentication), of Gemini CLI
// (configuration, authentication), of aider (YAML config file, API keys) and of opencode (config, CLI).
func Profiles() []Profile {
	return []Profile{
		{
			Name: "aider", Places: []string{".aider", ".aider.conf.yml"},
			Files: []string{".aider.conf.yml", ".aider.model.settings.yml", ".aider.model.metadata.json"},
			Env: []string{
				"OPENAI_API_KEY", "OPENAI_API_BASE", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY", "DEEPSEEK_API_KEY",
			},
		},
		{Name: "amp", Places: []string{".config/amp"}},
		{
			Name: "claude", Places: []string{".claude", ".claude.json"},
			Files: []string{".claude/.credentials.json", ".claude/settings.json", ".claude/CLAUDE.md"},
			Env: []string{
				"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL", "CLAUDE_CODE_OAUTH_TOKEN",
			},
			Made: map[string]string{".claude.json": "{\"hasCompletedOnboarding\": true}\n"},
		},
		{
			Name: "codex", Places: []string{".codex"},
			Files: []string{".codex/auth.json", ".codex/config.toml", ".codex/AGENTS.md"},
			Env:   []string{"OPENAI_API_KEY", "OPENAI_BASE_URL"},
		},
		{Name: "continue", Places: []string{".continue"}},
		{Name: "copilot", Places: []string{".copilot", ".config/github-copilot"}},
		{Name: "cursor", Places: []string{".cursor"}},
		{
			Name: "gemini", Places: []string{".gemini"},
			Files: []string{
				".gemini/settings.json", ".gemini/oauth_creds.json", ".gemini/google_accounts.json", ".gemini/GEMINI.md", ".gemini/.env",
			},
			Env: []string{
				"GEMINI_API_KEY", "GEMINI_MODEL", "GOOGLE_API_KEY", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "GOOGLE_GENAI_USE_VERTEXAI",
			},
		},
		{Name: "goose", Places: []string{".config/goose", ".local/share/goose"}},
		{
			Name: "opencode", Places: []string{".config/opencode", ".local/share/opencode"},
			Files: []string{
				".local/share/opencode/auth.json", ".config/opencode/opencode.json", ".config/opencode/opencode.jsonc", ".config/opencode/AGENTS.md",
			},
			Env: []string{"ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY", "OPENCODE_CONFIG_CONTENT"},
		},
		{Name: "qwen", Places: []string{".qwen"}},
	}
}

// agentPlaces are the places of all agents: one may start another.
func agentPlaces() []string {
	var out []string
	for _, p := range Profiles() {
		out = append(out, p.Places...)
	}
	return out
}

// With adds files and variables to a profile.
func (p Profile) With(files, env []string) Profile {
	p.Files = append(slices.Clone(p.Files), files...)
	p.Env = append(slices.Clone(p.Env), env...)
	return p
}
