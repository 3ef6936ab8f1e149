package dotfiles

import (
	"encoding/json"
	"unicode/utf8"
)

// Rule is one pattern and where it stands. Its JSON keeps a pattern that is not UTF-8 in pattern_b64.
type Rule struct {
	Pattern string `json:"pattern"`
	Source  string `json:"source"`         // a file's name, "--exclude", "--readonly", "--git", "config", "default"
	Line    int    `json:"line,omitempty"` // from 1; 0 for a flag
}

// storedRule is a Rule in JSON, which can hold UTF-8 only: else a stored session would forget what it hides.
type storedRule struct {
	Pattern string `json:"pattern"`
	Bytes   []byte `json:"pattern_b64,omitempty"`
	Source  string `json:"source"`
	Line    int    `json:"line,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (r Rule) MarshalJSON() ([]byte, error) {
	stored := storedRule{Pattern: r.Pattern, Source: r.Source, Line: r.Line}
	if !utf8.ValidString(r.Pattern) {
		stored.Bytes = []byte(r.Pattern)
	}
	return json.Marshal(stored)
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *Rule) UnmarshalJSON(data []byte) error {
	var stored storedRule
	if err := json.Unmarshal(data, &stored); err != nil {
		return err
	}
	*r = Rule{Pattern: stored.Pattern, Source: stored.Source, Line: stored.Line}
	if stored.Bytes != nil {
		r.Pattern = string(stored.Bytes)
	}
	return nil
}

// Rules is all that a policy is made of, in the order in which it applies. It can be stored as JSON.
type Rules struct {
	Hidden     []Rule   `json:"hidden,omitempty"`     // .agentignore, then the per-agent file; a later "!" re-opens
	ReadOnly   []Rule   `json:"readonly,omitempty"`   // .agentreadonly, then the per-agent file, then --readonly
	Excludes   []Rule   `json:"excludes,omitempty"`   // --exclude and a mount's exclude: can only hide more
	Policy     []Rule   `json:"policy,omitempty"`     // further policy files (what .alca.toml includes), see [Literal]: always read-only
	Overlays   []Rule   `json:"overlays,omitempty"`   // directories that the agent has a private copy of, see [Literal]: an exclude that hides one leaves it out instead
	Artifacts  []string `json:"artifacts,omitempty"`  // paths that the built-in list does not leave out, with what is above and below them: what a build is for
	NoDefaults bool     `json:"nodefaults,omitempty"` // drop the built-in list; .git stays under Git
	Git        bool     `json:"git,omitempty"`        // .git is mirrored one-way instead of left out
	FoldCase   bool     `json:"foldcase,omitempty"`   // either side folds case or normalises Unicode: decide on the folded NFC form, too

	And []Rules `json:"and,omitempty"` // further rules, each complete in itself: the strictest answer of all holds
}

// Warning is something odd in a rule file that the user should see; it never makes the rules weaker.
type Warning struct {
	Source string
	Line   int
	Text   string
}

// Policy answers which access a path has. It is immutable and safe for concurrent use. The zero value, and nil, hide
// everything.
type Policy struct {
	rules    Rules
	warnings []Warning
	parts    []*ruleset // the strictest answer of all holds
}

// Verdict is an access and why: the rule that decided, or the zero Rule where none did.
// A rule of the built-in list and of the policy files has the source "default".
type Verdict struct {
	Access Access
	Rule   Rule
	At     string // the path that the rule matched: the path asked for, or a directory above it; "" without a rule
}

// Folds reports whether the policy is for file systems that take names in another case for one.
func (p *Policy) Folds() bool { return p.rules.FoldCase }

// Rules returns what the policy was made of.
func (p *Policy) Rules() Rules {
	if p == nil {
		return Rules{}
	}
	return p.rules
}

// Warnings lists what was odd in the rule files, in the order of the rules.
func (p *Policy) Warnings() []Warning {
	if p == nil {
		return nil
	}
	return p.warnings
}

// Stricter returns a policy that gives each path the stricter of both answers.
func Stricter(a, b *Policy) *Policy {
	if a == nil || b == nil || len(a.parts) == 0 || len(b.parts) == 0 {
		return &Policy{}
	}
	// What stands beside And is a rule set of its own: it must not be stricter than the two.
	rules := Rules{And: []Rules{a.rules, b.rules}, NoDefaults: true, Git: a.rules.Git && b.rules.Git, FoldCase: a.rules.FoldCase || b.rules.FoldCase}
	return &Policy{
		rules:    rules,
		warnings: append(append([]Warning(nil), a.warnings...), b.warnings...),
		parts:    append(append([]*ruleset(nil), a.parts...), b.parts...),
	}
}
