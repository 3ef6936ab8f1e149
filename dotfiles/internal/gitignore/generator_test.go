package gitignore

import (
	"math/rand/v2"
	"strings"
)

// generator makes pattern files and trees that are likely to meet.
type generator struct{ *rand.Rand }

func (g *generator) pick(choices ...string) string { return choices[g.IntN(len(choices))] }

func (g *generator) one(percent int) bool { return g.IntN(100) < percent }

func (g *generator) repeat(least, most int, part func() string) string {
	var b strings.Builder
	for range least + g.IntN(most-least+1) {
		b.WriteString(part())
	}
	return b.String()
}

func (g *generator) name() string {
	if g.one(70) {
		return g.pick("a", "b", "c", "ab", "ba", "abc", "foo", "bar", "a.txt", "b.txt", "x.c", ".env", "build", "docs", "Foo", "a1", "secret", "a-b")
	}
	name := g.repeat(1, 4, func() string {
		return g.pick("a", "b", "c", "A", "B", "1", ".", " ", "!", "#", "[", "]", "*", "\\", "-", "^", ":", "?", "+", "|", "(", ")", "$", "{", "é", "\xe9", "\xff", "\n", "\r", "\t", "~", "_")
	})
	if name == "." || name == ".." {
		return "dots"
	}
	return name
}

func (g *generator) tree() []string {
	var paths []string
	for range 12 + g.IntN(14) {
		parts := make([]string, 1+g.IntN(4))
		for i := range parts {
			parts[i] = g.name()
		}
		paths = append(paths, strings.Join(parts, "/")+g.pick("", "", "", "/"))
	}
	return paths
}

func (g *generator) set() string {
	inner := g.repeat(1, 3, func() string {
		return g.pick("a", "b", "a-c", "A-Z", "z-a", "[:alpha:]", "[:digit:]", "[:punct:]", "[:upper:]", "[:foo:]", "[:", "[", "]", "-", "!", "^", "\\]", "\\a", "/", ".", "\xe9", "é", "*", "b-\\c", "--0", ":]")
	})
	return "[" + g.pick("", "", "!", "^") + inner + g.pick("]", "]", "]", "]", "]", "")
}

func (g *generator) glob() string {
	return g.repeat(1, 4, func() string {
		switch {
		case g.one(45):
			return g.pick("a", "b", "c", "o", "foo", ".", "x", "1", "A", "txt", "ba")
		case g.one(50):
			return g.pick("*", "?", "**", "*", "?")
		case g.one(50):
			return g.set()
		}
		return g.pick("\\a", "\\*", "\\?", "\\[", "\\ ", " ", "!", "#", "-", "+", "|", "(", ")", "$", "^", "{", "}", "é", "\xe9", "\xff", "]", "\\\\", "\\", "\t", "\r", "\x00", ":", "~", "_")
	})
}

func (g *generator) segment() string {
	switch n := g.IntN(100); {
	case n < 35:
		return g.name()
	case n < 55:
		return g.glob()
	case n < 65:
		return "**"
	case n < 80:
		return "*"
	case n < 90:
		return g.pick("*.txt", "a*", "*b", "*.c", "foo*", "?", "a?", "**b", "a**", "***", "*a*", "?*")
	case n < 97:
		return g.set()
	}
	return ""
}

func (g *generator) pattern() string {
	segments := make([]string, 1+g.IntN(3))
	if g.one(35) {
		segments = segments[:1]
	}
	for i := range segments {
		segments[i] = g.segment()
	}
	slash := "/"
	if g.one(3) {
		slash = "\\/"
	}
	return g.pick("", "", "", "!") + g.pick("", "", "", "/", "**/") + strings.Join(segments, slash) +
		g.pick("", "", "", "", "/", "/**", "/*", " ", "\\ ", "  ", "\\", "/ ")
}

func (g *generator) line() string {
	switch n := g.IntN(100); {
	case n < 3:
		return g.pick("", " ", "#a", "\\#a", "# x", "!", "/", "//", "!/", "\\", "\\!a")
	case n < 12:
		return g.pick("a**/b", "/a**", "a**/**", "!a**/**/", "a**\\/b", "/fo**/**/*", "*", "!*/", "!*.txt", "/*", "!/a/", "!/docs/", "**", "**/", "/**", "*/", "!a", "!b/", "foo/**", "!foo/**/")
	}
	return g.pattern()
}

func (g *generator) file() string {
	return g.pick("", "", "", "", "", "", "\xef\xbb\xbf") +
		g.repeat(1, 6, func() string { return g.line() + g.pick("\n", "\n", "\n", "\n", "\r\n") }) +
		g.pick("", "", "\xef\xbb\xbfa", "b\r", g.pattern())
}
