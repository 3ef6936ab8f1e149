package gitrepo

import (
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
)

type goGitPatterns []gitignore.Pattern

func parsePatterns(text []byte, source string) matcher {
	var ps goGitPatterns
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		if line != "" && line[0] != '#' {
			ps = append(ps, gitignore.ParsePattern(line, nil))
		}
	}
	return ps
}

func (ps goGitPatterns) Match(rel string, isDir bool) (ignored, decided bool) {
	for i := len(ps) - 1; i >= 0; i-- {
		if m := ps[i].Match(strings.Split(rel, "/"), isDir); m != gitignore.NoMatch {
			return m == gitignore.Exclude, true
		}
	}
	return false, false
}
