package gitignore

import (
	"strings"
	"testing"
)

// FuzzPattern holds the compiled pattern against a plain recursion over its tokens, which knows no fast path, no
// segments and no cut-off of the search.
func FuzzPattern(f *testing.F) {
	for _, c := range table {
		for _, path := range append(c.match, c.not...) {
			for line := range strings.SplitSeq(c.file, "\n") {
				f.Add(line, path, false)
			}
		}
	}
	f.Add("*a*a*a*a*b", "aaaaaaaaaaaa", true)
	f.Fuzz(func(t *testing.T, line, path string, fold bool) {
		if len(line)+len(path) > 60 {
			return // the recursion is exponential
		}
		rel, isDir := strings.CutSuffix(path, "/")
		for name := range strings.SplitSeq(rel, "/") {
			if name == "" {
				return
			}
		}
		if Trim(Trim(line)) != Trim(line) {
			t.Fatalf("Trim(%q) is not stable", line)
		}
		p, err := Parse(line, fold)
		dir, name := "", rel
		if i := strings.LastIndexByte(rel, '/'); i >= 0 {
			dir, name = rel[:i], rel[i+1:]
		}
		got, want := p.Match(dir, name, isDir), err == nil && naive(line, dir, name, isDir, fold)
		if got != want {
			t.Fatalf("%q on %q (dir %v, fold %v): %v, the plain recursion says %v", line, rel, isDir, fold, got, want)
		}
	})
}

func naive(line, dir, name string, isDir, fold bool) bool {
	text := strings.TrimPrefix(Trim(line), "!")
	text, dirOnly := strings.CutSuffix(text, "/")
	if dirOnly && !isDir {
		return false
	}
	path := name
	if strings.Contains(text, "/") && dir != "" {
		path = dir + "/" + name
	}
	anchored := strings.Contains(text, "/")
	text = strings.TrimPrefix(text, "/")
	if n := strings.IndexAny(text, `*?[\`); anchored && n > 0 {
		// git compares the literal start by itself: what follows then stands at the start of a pattern.
		if len(path) < n || !same(path[:n], lower(text[:n], fold), fold) {
			return false
		}
		text, path = text[n:], path[n:]
	}
	tokens, err := scan(text, fold)
	return err == nil && recurse(tokens, 0, path, anchored, fold)
}

// recurse matches tokens[t:] with path. A run of two or more stars between slashes crosses directories.
func recurse(tokens []token, t int, path string, anchored, fold bool) bool {
	if t == len(tokens) {
		return path == ""
	}
	switch tok := tokens[t]; tok.kind {
	case slashToken, quotedSlashToken:
		return path != "" && path[0] == '/' && recurse(tokens, t+1, path[1:], anchored, fold)
	case starToken:
		end := t
		for end < len(tokens) && tokens[end].kind == starToken {
			end++
		}
		free := anchored && end-t >= 2 && isSlash(tokens, t-1) && isSlash(tokens, end)
		if free && end < len(tokens) && tokens[end].kind == slashToken && recurse(tokens, end+1, path, anchored, fold) {
			return true // zero directories
		}
		for i := 0; i <= len(path); i++ {
			if recurse(tokens, end, path[i:], anchored, fold) {
				return true
			}
			if i < len(path) && path[i] == '/' && !free {
				return false
			}
		}
		return false
	default:
		return path != "" && path[0] != '/' && tok.match(path[0], fold) && recurse(tokens, t+1, path[1:], anchored, fold)
	}
}

// isSlash reports whether a slash, or the start or the end of the pattern, is at i.
func isSlash(tokens []token, i int) bool {
	return i < 0 || i == len(tokens) || tokens[i].kind == slashToken || tokens[i].kind == quotedSlashToken
}
