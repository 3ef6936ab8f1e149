package gitignore

import "strings"

// segment is what stands between two slashes of a pattern: it matches one name, or any number of directories.
type segment struct {
	kind segmentKind
	text string  // of a literal; the fixed end of prefix and suffix
	glob []token // of a glob
}

type segmentKind uint8

const (
	empty segmentKind = iota // between two slashes: no name is empty, but what follows a loose prefix may be
	literal
	prefix // "text*"
	suffix // "*text"
	anyName
	glob
	anyDirs // "**": zero or more directories
)

// segments splits tokens at the slashes. "**" standing alone is zero or more directories; before a quoted slash it is
// one or more, as git has it.
func segments(tokens []token) []segment {
	var segs []segment
	for {
		n := 0
		for n < len(tokens) && tokens[n].kind != slashToken && tokens[n].kind != quotedSlashToken {
			n++
		}
		end := n == len(tokens)
		s := segmentOf(tokens[:n])
		if s.kind == anyName && n >= 2 {
			if !end && tokens[n].kind == quotedSlashToken {
				segs = append(segs, segment{kind: anyName})
			}
			s.kind = anyDirs
		}
		if s.kind != anyDirs || len(segs) == 0 || segs[len(segs)-1].kind != anyDirs {
			segs = append(segs, s)
		}
		if end {
			return segs
		}
		tokens = tokens[n+1:]
	}
}

// segmentOf compiles the tokens of one name to the cheapest form.
func segmentOf(tokens []token) segment {
	stars, fixed := 0, make([]byte, 0, len(tokens))
	for _, t := range tokens {
		switch t.kind {
		case byteToken:
			fixed = append(fixed, t.b)
		case starToken:
			stars++
		default:
			return segment{kind: glob, glob: tokens}
		}
	}
	text := string(fixed)
	switch {
	case len(tokens) == 0:
		return segment{}
	case stars == 0:
		return segment{kind: literal, text: text}
	case text == "":
		return segment{kind: anyName}
	case allStars(tokens[:stars]):
		return segment{kind: suffix, text: text}
	case allStars(tokens[len(fixed):]):
		return segment{kind: prefix, text: text}
	}
	return segment{kind: glob, glob: tokens}
}

func allStars(tokens []token) bool {
	for _, t := range tokens {
		if t.kind != starToken {
			return false
		}
	}
	return true
}

func (s *segment) match(name string, fold bool) bool {
	switch s.kind {
	case empty:
		return name == ""
	case literal:
		return len(name) == len(s.text) && same(name, s.text, fold)
	case suffix:
		n := len(name) - len(s.text)
		return n >= 0 && same(name[n:], s.text, fold)
	case prefix:
		return len(name) >= len(s.text) && same(name[:len(s.text)], s.text, fold)
	case anyName:
		return true
	case glob:
		return matchGlob(s.glob, name, fold)
	}
	return false
}

// same compares strings of one length; with fold, text is in lower case already.
func same(name, text string, fold bool) bool {
	if !fold {
		return name == text
	}
	for i := 0; i < len(name); i++ {
		if lowerByte(name[i]) != text[i] {
			return false
		}
	}
	return true
}

// matchGlob goes back to the last star only: what an earlier one could take instead, that one takes as well.
func matchGlob(tokens []token, name string, fold bool) bool {
	// What follows the last star first: there most names fail.
	for len(tokens) > 0 && tokens[len(tokens)-1].kind != starToken {
		if name == "" || !tokens[len(tokens)-1].match(name[len(name)-1], fold) {
			return false
		}
		tokens, name = tokens[:len(tokens)-1], name[:len(name)-1]
	}
	if len(tokens) == 0 {
		return name == ""
	}
	t, n := 0, 0
	star, from := -1, 0
	for n < len(name) {
		switch {
		case t < len(tokens) && tokens[t].kind == starToken:
			star, from = t, n
			t++
		case t < len(tokens) && tokens[t].match(name[n], fold):
			t++
			n++
		case star >= 0:
			from++
			t, n = star+1, from
		default:
			return false
		}
	}
	return allStars(tokens[t:])
}

func (t *token) match(c byte, fold bool) bool {
	switch t.kind {
	case byteToken:
		return c == t.b || fold && lowerByte(c) == t.b
	case anyToken:
		return true
	case setToken:
		return t.set.has(c)
	}
	return false
}

// matchDirs compares the directories of path, from byte pos on, with segs; pos beyond the end means that none is left.
func matchDirs(segs []segment, path string, pos int, fold bool) bool {
	s := 0
	star, from := -1, 0
	for pos <= len(path) {
		if s < len(segs) && segs[s].kind == anyDirs {
			star, from = s, pos
			s++
			continue
		}
		end := nameEnd(path, pos)
		switch {
		case s < len(segs) && segs[s].match(path[pos:end], fold):
			s++
			pos = end + 1
		case star >= 0:
			from = nameEnd(path, from) + 1
			s, pos = star+1, from
		default:
			return false
		}
	}
	for s < len(segs) && segs[s].kind == anyDirs {
		s++
	}
	return s == len(segs)
}

func nameEnd(path string, pos int) int {
	if n := strings.IndexByte(path[pos:], '/'); n >= 0 {
		return pos + n
	}
	return len(path)
}
