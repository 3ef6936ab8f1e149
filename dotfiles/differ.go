package dotfiles

import (
	"slices"
	"strings"

	sabhiram "github.com/sabhiram/go-gitignore"

	"github.com/alca-mount/alca-mount/dotfiles/internal/gitignore"
)

// Difference is a pattern that another widespread reader of gitignore patterns understands otherwise than git does.
type Difference struct {
	Rule    Rule
	Path    string // the first of the paths on which they differ
	Matches bool   // whether git, and so the policy, lets the pattern match it
}

// ReadDifferently asks the second reader about each pattern of the rule files by itself, on paths (a directory ends
// in "/"), and lists those patterns of which it gives another answer, in their order. It costs some 10 µs for each
// pattern and path: give it a sample.
func (p *Policy) ReadDifferently(paths []string) []Difference {
	var found []Difference
	for _, r := range patternRules(p.Rules()) {
		if d, ok := readDifferently(r, paths); ok {
			found = append(found, d)
		}
	}
	return found
}

// patternRules lists all rules that have a pattern of the user's.
func patternRules(rules Rules) []Rule {
	all := slices.Concat(rules.Hidden, rules.ReadOnly, rules.Excludes)
	for _, more := range rules.And {
		all = append(all, patternRules(more)...)
	}
	return all
}

func readDifferently(r Rule, paths []string) (Difference, bool) {
	text := strings.TrimPrefix(r.Pattern, "!")
	if text != r.Pattern && strings.HasPrefix(text, "!") || strings.HasPrefix(text, "#") {
		text = `\` + text // behind the "!" these are plain characters
	}
	pattern, _ := gitignore.Parse(text, false)
	list, second := gitignore.List{pattern}, sabhiram.CompileIgnoreLines(text)
	for _, path := range paths {
		rel, isDir := strings.CutSuffix(path, "/")
		i, _ := list.Decide(rel, isDir)
		if matches := i != gitignore.None; matches != second.MatchesPath(path) {
			return Difference{Rule: r, Path: path, Matches: matches}, true
		}
	}
	return Difference{}, false
}
