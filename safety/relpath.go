package safety

import (
	"errors"
	"fmt"
	"strings"
)

// RelPath names an entry below a [Root], in slash-separated form.
// It is never absolute or empty, holds no NUL, and has no ".", ".." or empty element;
// the one exception is [Top], which names the root directory itself.
// The bytes are the file system's own: they need not be UTF-8.
// Get one from [ParseRelPath] or [RelPath.Join]; a converted string is not checked.
type RelPath string

// Top is the root directory itself.
const Top RelPath = "."

// ErrBadPath is wrapped by every error of [ParseRelPath].
var ErrBadPath = errors.New("not a path inside the tree")

// ParseRelPath checks s and returns it as a RelPath.
// A trailing slash is dropped; nothing else is cleaned, so that "a/../b" is an error and not "b".
func ParseRelPath(s string) (RelPath, error) {
	s = strings.TrimSuffix(s, "/")
	if s == string(Top) {
		return Top, nil
	}
	for elem := range strings.SplitSeq(s, "/") {
		if !validName(elem) {
			return "", fmt.Errorf("%q: %w", s, ErrBadPath)
		}
	}
	return RelPath(s), nil
}

func validName(name string) bool {
	return name != "" && name != "." && name != ".." && strings.IndexByte(name, '/') < 0 && strings.IndexByte(name, 0) < 0
}

// MaxDirPath is how long, in bytes, the path of a directory may be that is looked into: four times what a path may have
// in a system call (PATH_MAX). A tree that is deeper can be made, name by name; the paths in it would take memory with the square
// of its depth, and outgrow what a journal holds.
const MaxDirPath = 16 << 10

// ErrTooDeep is wrapped by errors about a directory with a path longer than [MaxDirPath].
var ErrTooDeep = fmt.Errorf("too deep: a directory's path may have %d bytes", MaxDirPath)

// Join returns the path of the entry called name in the directory p.
// It panics when name is not one valid element: names come from a directory listing or were parsed before.
func (p RelPath) Join(name string) RelPath {
	if !validName(name) {
		panic(fmt.Sprintf("BUG: RelPath.Join(%q)", name))
	}
	if p == Top {
		return RelPath(name)
	}
	return p + "/" + RelPath(name)
}

// Dir returns the directory that holds p; the directory of a name at the top, and of Top itself, is Top.
func (p RelPath) Dir() RelPath {
	if i := strings.LastIndexByte(string(p), '/'); i >= 0 {
		return p[:i]
	}
	return Top
}

// Base returns the last element of p.
func (p RelPath) Base() string { return string(p[strings.LastIndexByte(string(p), '/')+1:]) }

// In reports whether p is dir or lies below it.
func (p RelPath) In(dir RelPath) bool {
	return dir == Top || p == dir || strings.HasPrefix(string(p), string(dir)+"/")
}

// Parents returns the directories above p, the outermost first, without Top and without p.
func (p RelPath) Parents() []RelPath {
	var out []RelPath
	for i := range len(p) {
		if p[i] == '/' {
			out = append(out, p[:i])
		}
	}
	return out
}

func (p RelPath) String() string { return string(p) }
