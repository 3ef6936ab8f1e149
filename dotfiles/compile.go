package dotfiles

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/dotfiles/internal/gitignore"
)

// ruleset is Rules compiled, for names as they are or for folded names.
type ruleset struct {
	hidden, readOnly, excludes, policy, overlays layer

	// Below .git only patterns that name .git hold: "logs/" is not meant for .git/logs, and would break a copy.
	hiddenInGit, excludesInGit layer

	builtin map[string]*builtin // nil without the built-in list
	dotGit  answer
	fold    bool

	artifacts []string
}

// layer is one list of patterns and the rules that they come from.
type layer struct {
	list  gitignore.List
	rules []Rule
}

// New makes a policy of rules. A pattern git would not accept is an error in Excludes and in rules of a flag or config,
// and a warning (the pattern matches nothing) in rules of a file. In Excludes and Policy a "!" is an error.
func New(rules Rules) (*Policy, error) {
	p := &Policy{rules: rules}
	if err := p.add(rules); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Policy) add(rules Rules) error {
	if err := checkOnlyHides(rules); err != nil {
		return err
	}
	for _, r := range slices.Concat(rules.Hidden, rules.ReadOnly, rules.Excludes, rules.Policy) {
		if err := p.check(r); err != nil {
			return err
		}
	}
	p.parts = append(p.parts, compile(rules, false))
	if rules.FoldCase {
		p.parts = append(p.parts, compile(rules, true))
	}
	for _, more := range rules.And {
		if err := p.add(more); err != nil {
			return err
		}
	}
	return nil
}

// checkOnlyHides refuses a "!" where it could show what the rule files hide, or make a policy file writable.
func checkOnlyHides(rules Rules) error {
	for _, r := range slices.Concat(rules.Excludes, rules.Policy, rules.Overlays) {
		if strings.HasPrefix(r.Pattern, "!") {
			return fmt.Errorf("%s %q: an exclude can only hide more, so it can't begin with \"!\"", r.Source, r.Pattern)
		}
	}
	return nil
}

// check reports a pattern that git would not accept: as a warning in a rule file, else as an error.
func (p *Policy) check(r Rule) error {
	_, err := gitignore.Parse(r.Pattern, false)
	inFile := isRuleFile(r.Source)
	if err != nil && !inFile {
		return fmt.Errorf("%s pattern %q: %w", r.Source, r.Pattern, err)
	}
	text := oddity(r.Pattern)
	if err != nil {
		text = fmt.Sprintf("%q matches nothing: %v", r.Pattern, err)
	}
	if inFile && text != "" && !errors.Is(err, gitignore.ErrBlank) {
		p.warnings = append(p.warnings, Warning{Source: r.Source, Line: r.Line, Text: text})
	}
	return nil
}

// oddity names what git accepts but hardly anybody means.
func oddity(pattern string) string {
	body := strings.TrimPrefix(pattern, "!")
	switch {
	case strings.Trim(body, "/") == "" || strings.Contains(body, "//"):
		return fmt.Sprintf("%q matches nothing: no name is empty", pattern)
	case strings.HasPrefix(body, " "):
		return fmt.Sprintf("%q begins with a space, which is part of the name", pattern)
	case strings.Contains(body, " #"):
		return fmt.Sprintf("%q: there are no comments behind a pattern, this is part of the name", pattern)
	case body != pattern && strings.Trim(body, "/") == ".git":
		return fmt.Sprintf("%q has no effect: --git alone says whether .git is mirrored", pattern)
	case strings.HasPrefix(body, "./") || strings.HasPrefix(body, "../"):
		return fmt.Sprintf("%q matches nothing: patterns begin at the project without \"./\"", pattern)
	}
	return ""
}

func compile(rules Rules, fold bool) *ruleset {
	s := &ruleset{
		hidden:        layerOf(rules.Hidden, fold),
		readOnly:      layerOf(rules.ReadOnly, fold),
		excludes:      layerOf(rules.Excludes, fold),
		policy:        layerOf(rules.Policy, fold),
		overlays:      layerOf(rules.Overlays, fold),
		hiddenInGit:   layerOf(namingGit(rules.Hidden), fold),
		excludesInGit: layerOf(namingGit(rules.Excludes), fold),
		dotGit:        answer{Excluded, &Rule{Pattern: ".git", Source: SourceDefault}},
		fold:          fold,
	}
	for _, p := range rules.Artifacts {
		if fold {
			p = folded(p)
		}
		s.artifacts = append(s.artifacts, p)
	}
	if rules.Git {
		s.dotGit = answer{OneWay, &Rule{Pattern: ".git", Source: "--git"}}
	}
	if !rules.NoDefaults {
		s.builtin = builtinList(fold)
	}
	return s
}

func layerOf(rules []Rule, fold bool) layer {
	l := layer{rules: slices.Clone(rules), list: make(gitignore.List, len(rules))}
	for i, r := range rules {
		text := r.Pattern
		if fold {
			text = folded(text)
		}
		l.list[i], _ = gitignore.Parse(text, fold) // an invalid one matches nothing; check has told
	}
	return l
}

// namingGit returns the rules whose pattern speaks of .git.
func namingGit(rules []Rule) []Rule {
	return slices.DeleteFunc(slices.Clone(rules), func(r Rule) bool {
		return !strings.Contains(strings.ToLower(r.Pattern), ".git")
	})
}
