package gitrepo

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
)

// matcher is one file of ignore patterns. rel is relative to the directory that the file governs; only patterns that
// match rel itself count, not those that match a directory above it. The last matching pattern decides.
type matcher interface {
	Match(rel string, isDir bool) (ignored, decided bool)
}

// level is a pattern file and the directory (relative to the work tree, "" for its top) that it governs.
type level struct {
	dir      string
	patterns matcher
}

// levels are the pattern files that apply somewhere, weakest first.
type levels []level

// ignored reports whether the levels ignore path itself; directories above it are the caller's to ask.
func (l levels) ignored(path string, isDir bool) bool {
	for i := len(l) - 1; i >= 0; i-- {
		rel := path
		if l[i].dir != "" {
			rel = path[len(l[i].dir)+1:]
		}
		if ignored, decided := l[i].patterns.Match(rel, isDir); decided {
			return ignored
		}
	}
	return false
}

// with returns l and one more level; l itself stays as it is, since sibling directories share it.
func (l levels) with(dir string, text []byte, source string) levels {
	return append(l[:len(l):len(l)], level{dir, parsePatterns(text, source)})
}

// baseLevels are the user's core.excludesFile and the repository's info/exclude.
func (r *repo) baseLevels() (levels, error) {
	user, err := r.userExcludes()
	if err != nil {
		return nil, err
	}
	own, err := readIfThere(r.common, "info/exclude")
	if err != nil {
		return nil, err
	}
	return levels{}.with("", user, "core.excludesFile").with("", own, ".git/info/exclude"), nil
}

// userExcludes is the text of core.excludesFile or of its default, $XDG_CONFIG_HOME/git/ignore. As in git, a file that
// is missing or unreadable is no patterns.
func (r *repo) userExcludes() ([]byte, error) {
	all, err := r.effectiveConfig()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(xdgConfigHome(), "git", "ignore")
	if v := all.get("core", "", "excludesfile"); v != "" {
		file = expandHome(v)
		if !filepath.IsAbs(file) {
			file = filepath.Join(r.workTree, file)
		}
	}
	return readUserFile(file)
}

// readUserFile reads a file of the user's that may be missing or unreadable, which is the same as empty.
func readUserFile(file string) ([]byte, error) {
	data, err := readSmallFile(file)
	if absent(err) || errors.Is(err, safety.ErrNotRegular) {
		return nil, nil
	}
	return data, err
}

// readIfThere reads a pattern file below root; a missing, unreadable or non-regular one is empty, as git has it.
func readIfThere(root *safety.Root, p safety.RelPath) ([]byte, error) {
	data, err := readSmall(root, p)
	if absent(err) || errors.Is(err, safety.ErrNotRegular) || errors.Is(err, safety.ErrChanged) {
		return nil, nil
	}
	return data, err
}

func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || isNotDir(err)
}

func xdgConfigHome() string {
	if dir := os.Getenv("XDG_CONFIG_HOME"); dir != "" {
		return dir
	}
	return expandHome("~/.config")
}

// expandHome replaces a leading "~/"; another user's "~name/" stays and so names no file.
func expandHome(p string) string {
	rest, ok := strings.CutPrefix(p, "~/")
	if !ok {
		return p
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return p
	}
	return filepath.Join(home, rest)
}
