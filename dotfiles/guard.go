package dotfiles

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/dotfiles/internal/gitignore"
)

// guardedDefault are the files that tools of the host execute by themselves, or take commands to execute from: on
// entering a directory (direnv), on opening it (editors), on a git command (hooks, filters, submodules), on a start of
// an agent, on a push. At any depth, as each may be opened at a subdirectory.
//
// Of a coding agent it is what it takes from the project and runs without being told to: servers that it starts (MCP),
// hooks, plugins, commands for linting and testing. Where that lies in a folder of the agent's own, the whole folder is
// guarded: what its settings name lies beside them, and newer versions read more of it.
const guardedDefault = `.envrc
**/.vscode/tasks.json **/.vscode/launch.json **/.vscode/settings.json **/.vscode/mcp.json
.idea/
.husky/
.devcontainer/ .devcontainer.json
.claude/ .mcp.json .cursor/ .codex/ .gemini/ .qwen/ .amp/ .continue/
.opencode/ opencode.json opencode.jsonc .opencode.json .aider.conf.yml **/.github/hooks/
.pre-commit-config.yaml .pre-commit-config.yml
lefthook.yml lefthook.yaml .lefthook.yml .lefthook.yaml lefthook-local.yml lefthook-local.yaml
.gitattributes .gitmodules
**/.github/workflows/`

// GuardedDefault returns the built-in patterns of paths whose changes wait for the user's word, in gitignore syntax.
func GuardedDefault() []Rule {
	var out []Rule
	for pattern := range strings.FieldsSeq(guardedDefault) {
		out = append(out, Rule{Pattern: pattern, Source: SourceDefault})
	}
	return out
}

// Guard tells which paths a change of the agent's has to wait at for the user's word. It is immutable and safe for
// concurrent use; nil guards nothing.
//
// Names are compared as the loosest of file systems would: in any case, in any normal form, without what some drop at
// the end of a name.
type Guard struct {
	paths layer
	links layer // paths at which anything but a directory could lead to a guarded one
	also  *Guard
}

// Rules are the patterns that the guard was made of; of one that is the stricter of two, those of the first.
func (g *Guard) Rules() []Rule { return g.paths.rules }

// StricterGuard guards what either of two does.
func StricterGuard(a, b *Guard) *Guard {
	if a == nil {
		return b
	}
	both := *a
	if b != nil {
		both.also = StricterGuard(a.also, b)
	}
	return &both
}

// NewGuard makes a guard of patterns in gitignore syntax, in the order in which they apply: the last that matches
// decides, and one with "!" lets pass again. A pattern that git would not accept is an error.
func NewGuard(rules []Rule) (*Guard, error) {
	for _, r := range rules {
		if _, err := gitignore.Parse(r.Pattern, true); err != nil {
			return nil, fmt.Errorf("%s: guarded pattern %q: %w", r.Source, r.Pattern, err)
		}
	}
	return &Guard{paths: layerOf(rules, true), links: layerOf(linkRules(rules), true)}, nil
}

// linkRules are patterns for links that stand in for a guarded path or a directory above one: a link .vscode that leads
// to a directory of the agent's is as good as its own tasks.json.
func linkRules(rules []Rule) []Rule {
	var out []Rule
	for _, r := range rules {
		body := strings.TrimSuffix(r.Pattern, "/")
		if strings.HasPrefix(body, "!") {
			continue
		}
		loose := strings.HasPrefix(body, "**/") || !strings.Contains(body, "/")
		for p := strings.Trim(strings.TrimPrefix(body, "**/"), "/"); p != "." && p != ""; p = path.Dir(p) {
			if strings.Trim(p, "*/") == "" {
				break // "*/x" would take every link
			}
			stands := "/" + p
			if loose {
				stands = "**/" + p
			}
			out = append(out, Rule{Pattern: stands, Source: r.Source, Line: r.Line})
		}
	}
	return out
}

// Guards returns the rule that guards rel, where an entry of a kind is or would be.
func (g *Guard) Guards(rel string, isDir bool) (Rule, bool) {
	if g == nil {
		return Rule{}, false
	}
	name := loosest(rel)
	if i, _ := g.paths.list.Decide(name, isDir); i != gitignore.None && !g.paths.list[i].Negated() {
		return g.paths.rules[i], true
	}
	return g.also.Guards(rel, isDir)
}

// GuardsLink is Guards for a symbolic link at rel: it also holds where the link leads on to a guarded path.
func (g *Guard) GuardsLink(rel string) (Rule, bool) {
	if r, ok := g.Guards(rel, false); ok || g == nil {
		return r, ok
	}
	name := loosest(rel)
	if i, _ := g.links.list.Decide(name, false); i != gitignore.None {
		return g.links.rules[i], true
	}
	return g.also.GuardsLink(rel)
}

// loosest is the form of a path in which file systems that tell least apart see it: folded, and without the trailing
// dots and spaces and the stream that NTFS drops (as for .git, see [isDotGit]).
func loosest(rel string) string {
	if !slices.ContainsFunc([]byte(rel), func(c byte) bool { return c >= 0x80 || c == ':' || c == ' ' || 'A' <= c && c <= 'Z' }) &&
		!strings.Contains(rel+"/", "./") {
		return rel
	}
	names := strings.Split(folded(rel), "/")
	for i, name := range names {
		cut, _, _ := strings.Cut(strings.ToLower(name), ":")
		if cut = strings.TrimRight(cut, ". "); cut != "" {
			names[i] = cut
		}
	}
	return strings.Join(names, "/")
}
