package dotfiles

import (
	"strings"

	"github.com/alca-mount/alca-mount/dotfiles/internal/gitignore"
)

// Patterns is one file of ignore patterns, for callers that have rules of their own kind to follow (git's own ignore
// files). It is immutable and safe for concurrent use.
type Patterns struct{ list gitignore.List }

// ParsePatterns compiles the text of a pattern file. Lines that git would not accept match nothing.
func ParsePatterns(text []byte, source string) Patterns {
	var p Patterns
	for _, line := range gitignore.Lines(string(text)) {
		if pattern, err := gitignore.Parse(line, false); err == nil {
			p.list = append(p.list, pattern)
		}
	}
	return p
}

// Match tells what the last pattern that matches rel itself (relative to the file's directory; directories above it are
// the caller's to ask) says of it: whether it is ignored, and whether there is such a pattern at all.
func (p Patterns) Match(rel string, isDir bool) (ignored, decided bool) {
	dir, name := "", rel
	if i := strings.LastIndexByte(rel, '/'); i >= 0 {
		dir, name = rel[:i], rel[i+1:]
	}
	i := p.list.Last(dir, name, isDir)
	if i == gitignore.None {
		return false, false
	}
	return !p.list[i].Negated(), true
}
