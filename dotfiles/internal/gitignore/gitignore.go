// Package gitignore matches paths against gitignore(5) patterns, byte for byte as git does.
//
// It refuses nothing and drops nothing: a pattern that git would not accept is reported and matches no path, and the
// rest of the list stays in force. The oracle of its tests is `git check-ignore --no-index`.
//
// [Lines] splits a file, [Parse] compiles one pattern, [List.Last] and [List.Decide] ask. Names are bytes, not runes.
package gitignore

import "strings"

// List is patterns in the order of their lines. The last one that matches decides.
type List []Pattern

// None is the answer of Last and Decide where no pattern matches.
const None = -1

// Last returns the index of the last pattern that matches the entry called name in the directory dir, or None.
// dir is "" at the top; directories above are not looked at, so that the caller walks from the top (or uses Decide).
func (l List) Last(dir, name string, isDir bool) int {
	for i := len(l) - 1; i >= 0; i-- {
		if l[i].Match(dir, name, isDir) {
			return i
		}
	}
	return None
}

// Decide returns the index of the pattern that decides about path, or None: that of the topmost directory on the way
// which a pattern excludes (nothing below it can be re-included), else the last that matches path itself.
// at is the part of path which that pattern matched.
func (l List) Decide(path string, isDir bool) (index int, at string) {
	dir, rest := "", path
	for {
		name, after, below := strings.Cut(rest, "/")
		at = path[:len(path)-len(rest)+len(name)]
		index = l.Last(dir, name, isDir || below)
		if !below || index != None && !l[index].Negated() {
			return index, at
		}
		dir, rest = at, after
	}
}
