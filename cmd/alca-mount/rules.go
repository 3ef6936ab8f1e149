package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/alca-mount/alca-mount/dotfiles"
)

// agentOf is the agent whose rule files are added: the one given, else the command's base name where that can be one.
func (r *ruleFlags) agentOf(command []string) string {
	if r.agentGiven || len(command) == 0 {
		return r.agent
	}
	if name := filepath.Base(command[0]); dotfiles.ValidAgent(name) {
		return name
	}
	return ""
}

// policy reads the project's rule files and adds the flags'.
func (r *ruleFlags) policy(project, agent string) (*dotfiles.Policy, error) {
	rules, err := dotfiles.ReadRules(project, agent)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	policy, err := dotfiles.New(r.addTo(rules))
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	return policy, nil
}

func (r *ruleFlags) addTo(rules dotfiles.Rules) dotfiles.Rules {
	rules = addConfigured(rules, r.config)
	for _, p := range r.readonly {
		rules.ReadOnly = append(rules.ReadOnly, dotfiles.Rule{Pattern: p, Source: "--readonly"})
	}
	for _, p := range r.exclude {
		rules.Excludes = append(rules.Excludes, dotfiles.Rule{Pattern: p, Source: "--exclude"})
	}
	rules.NoDefaults = rules.NoDefaults || r.noDefaults
	rules.Git = r.git.value != "none"
	return rules
}

// tellRules names what is odd in the rule files.
func tellRules(o *output, policy *dotfiles.Policy) {
	for _, w := range policy.Warnings() {
		where := show(w.Source)
		if w.Line > 0 {
			where = fmt.Sprintf("%s:%d", where, w.Line)
		}
		o.warn("%s: %s", where, oneLine(w.Text))
	}
}

// tellIgnored names files that look like rules and are none for this agent: who wrote them may count on them.
func tellIgnored(o *output, project, agent string) {
	if files := dotfiles.Unapplied(project, agent); len(files) > 0 {
		o.warn("not applied for agent %q: %s", agent, showAll(files))
	}
}

func showAll(names []string) string {
	shown := make([]string, len(names))
	for i, name := range names {
		shown[i] = show(name)
	}
	return strings.Join(shown, ", ")
}
