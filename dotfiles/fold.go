package dotfiles

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// folded returns the form of a name that a folding file system compares: case-folded NFC without ignorable code
// points. ASCII alone is returned as it is, as the matcher folds it; bytes that are not UTF-8 stay.
func folded(s string) string {
	if isASCII(s) {
		return s
	}
	var b strings.Builder
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			b.WriteByte(s[0])
		} else if dropIgnorable(r) >= 0 {
			b.WriteString(foldRune(r))
		}
		s = s[n:]
	}
	return norm.NFC.String(b.String())
}

// OneName reports whether a file system that folds case, or normalises Unicode, takes two names for one.
func OneName(a, b string) bool {
	return a == b || strings.EqualFold(folded(a), folded(b))
}

func foldRune(r rune) string {
	if r < utf8.RuneSelf {
		return string(unicode.ToLower(r))
	}
	return cases.Fold().String(string(r))
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// probedNames is how many names of a directory Folds looks at.
const probedNames = 1000

// Folds reports whether names in dir that differ in case only, or in Unicode normalisation only, are one file there.
// It writes nothing: it asks for names that are there in their other case. Where nothing can be asked (an empty
// directory of which the name has no letter), and on systems that normalise, the answer is true: the stricter one.
func Folds(dir string) (bool, error) {
	d, err := os.Open(dir)
	if err != nil {
		return false, fmt.Errorf("read the directory %w", err)
	}
	defer d.Close()
	names, err := d.Readdirnames(probedNames)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read the directory %w", err)
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" || runtime.GOOS == "windows" {
		return true, nil
	}
	return foldsBy(dir, names), nil
}

// foldsBy asks for the other forms of names in dir, and of dir's own name if that does not tell.
func foldsBy(dir string, names []string) bool {
	listed := map[string]bool{}
	for _, name := range names {
		listed[name] = true
	}
	for _, name := range names {
		// Both forms in one listing are two files, hard links perhaps.
		if other := otherNormalForm(name); !listed[other] && oneFile(dir, name, other) == yes {
			return true
		}
	}
	for _, name := range names {
		other := otherCase(name)
		if told := oneFile(dir, name, other); told != unknown {
			return told == yes && !listed[other]
		}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return true
	}
	return oneFile(filepath.Dir(abs), filepath.Base(abs), otherCase(filepath.Base(abs))) != no
}

type told uint8

const (
	unknown told = iota
	yes
	no
)

// oneFile asks whether other leads to the file called name.
func oneFile(dir, name, other string) told {
	if other == name {
		return unknown
	}
	a, err := os.Lstat(filepath.Join(dir, name))
	if err != nil {
		return unknown
	}
	b, err := os.Lstat(filepath.Join(dir, other))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return no
	case err != nil:
		return unknown
	case !os.SameFile(a, b):
		return no
	}
	return yes
}

func otherCase(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, name)
}

func otherNormalForm(name string) string {
	if other := norm.NFD.String(name); other != name {
		return other
	}
	return norm.NFC.String(name)
}
