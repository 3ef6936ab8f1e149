package dotfiles

import "errors"

// Rule is one pattern and where it stands.
type Rule struct {
	Pattern string `json:"pattern"`
	Source  string `json:"source"`         // a file's name, "--exclude", "config", "default"
	Line    int    `json:"line,omitempty"` // from 1; 0 for a flag
}

// Rules is all that a policy is made of, in the order in which it applies. It can be stored as JSON.
type Rules struct {
	Hidden     []Rule `json:"hidden,omitempty"`     // .agentignore, then the per-agent file; a later "!" re-opens
	ReadOnly   []Rule `json:"readonly,omitempty"`   // .agentreadonly, then the per-agent file, then --readonly
	Excludes   []Rule `json:"excludes,omitempty"`   // --exclude and a mount's exclude: can only hide more
	Policy     []Rule `json:"policy,omitempty"`     // further policy files (.alca.toml and what it includes): always read-only
	NoDefaults bool   `json:"nodefaults,omitempty"` // drop the built-in list; .git stays under Git
	Git        bool   `json:"git,omitempty"`        // .git is mirrored one-way instead of left out
	FoldCase   bool   `json:"foldcase,omitempty"`   // either side folds case or normalises Unicode: decide on the folded NFC form
}

// Warning is something odd in a rule file that the user should see; it never makes the rules weaker.
type Warning struct {
	Source string
	Line   int
	Text   string
}

// Policy answers which access a path has. It is immutable and safe for concurrent use.
type Policy struct{}

// Verdict is an access and why: the rule that decided, or the zero Rule where none did.
type Verdict struct {
	Access Access
	Rule   Rule
	At     string // the path that the rule matched: the path asked for, or a directory above it
}

// Read reads the rule files at the top of projectDir: .agentignore and .agentreadonly, then .AGENT.agentignore and
// .AGENT.agentreadonly (agent "" adds none). A missing file is no rules; an unreadable or non-regular one is an error.
func Read(projectDir, agent string) (*Policy, error) { return nil, errors.ErrUnsupported }

// ReadRules reads what Read reads and returns the rules instead, for adding to them before New.
func ReadRules(projectDir, agent string) (Rules, error) { return Rules{}, errors.ErrUnsupported }

// New makes a policy of rules. A pattern git would not accept is an error in Excludes and in rules of a flag or config,
// and a warning (the pattern matches nothing) in rules of a file.
func New(rules Rules) (*Policy, error) { return nil, errors.ErrUnsupported }

// Rules returns what the policy was made of.
func (p *Policy) Rules() Rules { return Rules{} }

// Warnings lists what was odd in the rule files.
func (p *Policy) Warnings() []Warning { return nil }

// Access says what the agent may do with rel, a slash-separated path relative to the project.
// An invalid path is Hidden.
func (p *Policy) Access(rel string, isDir bool) Access { return Hidden }

// Explain is Access with the reason.
func (p *Policy) Explain(rel string, isDir bool) Verdict { return Verdict{} }

// AccessBelow is Access for the entry name of a directory whose own access the caller got from this policy:
// the step of a walk from the top, without looking at the parents again.
func (p *Policy) AccessBelow(dir string, dirAccess Access, name string, isDir bool) Access {
	return Hidden
}

// Stricter returns a policy that gives each path the stricter of both answers.
func Stricter(a, b *Policy) *Policy { return nil }

// DerivedOf returns the hidden name that name is a derivative of (an editor's backup, swap or temporary file:
// N~, .N.sw?, #N#, .#N, N.tmp*, .N.XXXXXX, N___jb_*), given a way to ask whether a sibling name is hidden; else "".
func DerivedOf(name string, hidden func(string) bool) string { return "" }
