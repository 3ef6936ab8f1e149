package gitignore

import (
	"errors"
	"strings"
)

// Why a pattern matches nothing. ErrBlank is no fault in a file: an empty line or a comment.
var (
	ErrBlank             = errors.New("empty or a comment")
	ErrTrailingBackslash = errors.New("ends in a backslash that quotes nothing")
	ErrUnclosedBracket   = errors.New(`"[" without its "]"`)
	ErrUnknownClass      = errors.New(`unknown character class in "[[:…:]]"`)
)

const byteOrderMark = "\xef\xbb\xbf"

// Lines splits the content of a pattern file. As git does, it drops a byte order mark at the start and one carriage
// return before each line feed (or the end); spaces and comments are left to Parse.
func Lines(content string) []string {
	lines := strings.Split(strings.TrimPrefix(content, byteOrderMark), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
	}
	return lines
}

// Trim returns the pattern of a line as git names it: without trailing spaces, unless quoted, and without what
// follows a NUL byte.
func Trim(line string) string {
	line, _, _ = strings.Cut(line, "\x00")
	end := 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case ' ':
			continue
		case '\\':
			i++
		}
		end = min(i+1, len(line))
	}
	return line[:end]
}

// Parse compiles one line. With fold, ASCII letters match in either case, also inside brackets.
// On an error the pattern is one that matches nothing.
func Parse(line string, fold bool) (Pattern, error) {
	text := Trim(line)
	if text == "" || text[0] == '#' {
		return never, ErrBlank
	}
	p := Pattern{fold: fold}
	text, p.negate = strings.CutPrefix(text, "!")
	text, p.dirOnly = strings.CutSuffix(text, "/")
	anchored := strings.Contains(text, "/")
	text = strings.TrimPrefix(text, "/")
	tokens, err := scan(text, fold)
	if err != nil {
		return never, err
	}
	if !anchored {
		p.place = anywhere
		p.name = segmentOf(tokens)
		return p, nil
	}
	p.anchor(text, tokens)
	return p, nil
}

// anchor compiles a pattern that holds a slash: it is matched against the whole path.
func (p *Pattern) anchor(text string, tokens []token) {
	if n := loosePrefix(text); n > 0 {
		p.place, p.dirText = loose, lower(text[:n], p.fold)
		p.dirs = segments(tokens[n:])
		if last := len(p.dirs) - 1; last > 0 && p.dirs[last].kind == anyDirs {
			p.dirs = append(p.dirs, segment{kind: anyName})
		}
		return
	}
	segs := segments(tokens)
	last := len(segs) - 1
	p.name = segs[last]
	if p.name.kind == anyDirs {
		p.name, last = segment{kind: anyName}, last+1
	}
	p.dirs = segs[:last]
	p.place, p.dirText = placeOf(p.dirs)
}

// loosePrefix returns the length of the literal start of a pattern like "a**/b", where "**" crosses directories
// although gitignore(5) says that it must stand between slashes: git compares the literal start by itself and then
// sees a pattern that begins with "**". Else 0.
func loosePrefix(text string) int {
	n := strings.IndexAny(text, `*?[\`)
	if n <= 0 || text[n-1] == '/' {
		return 0
	}
	after := strings.TrimLeft(text[n:], "*")
	stars := len(text) - n - len(after)
	if stars >= 2 && (after == "" || after[0] == '/' || strings.HasPrefix(after, `\/`)) {
		return n
	}
	return 0
}

// placeOf says how the directories of a path are to be compared with dirs.
func placeOf(dirs []segment) (place, string) {
	if len(dirs) == 1 && dirs[0].kind == anyDirs {
		return anywhere, ""
	}
	texts := make([]string, len(dirs))
	for i, s := range dirs {
		if s.kind != literal || s.text == "" {
			return below, ""
		}
		texts[i] = s.text
	}
	return in, strings.Join(texts, "/")
}

// Quote returns a pattern that matches the entry at path, and nothing else at that place.
func Quote(path string) string {
	var b strings.Builder
	b.WriteByte('/')
	for i := 0; i < len(path); i++ {
		if strings.IndexByte(`*?[\ `, path[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

func lower(s string, fold bool) string {
	if !fold {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		b[i] = lowerByte(c)
	}
	return string(b)
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
