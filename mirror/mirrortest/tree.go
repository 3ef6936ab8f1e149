// Package mirrortest writes and reads trees in a one-line-an-entry notation, for tests of everything that handles trees.
//
//	"d/"                 a directory, 0755
//	"d/ 0555"            with another mode
//	"a/b"                an empty file, 0644; directories above an entry are made as needed
//	"a/b = text"         a file with content; \n, \t, \x00 and so on as in a Go string
//	"a/b 0755 = text"    with another mode
//	"link -> ../x"       a symbolic link
//	"hard => a/b"        a hard link to an entry made before
//	"fifo|"              a FIFO
//	"sock="              a socket
//
// A name in double quotes is a Go string: "\"new\\nline\"".
package mirrortest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Entry is one line of the notation.
type Entry struct {
	Path string // relative, slash-separated
	Type byte   // '/' directory, '.' file, '>' symbolic link, '+' hard link, '|' FIFO, '=' socket
	Mode os.FileMode
	Text string // a file's content, a link's target
}

// Parse reads one line. It panics on a malformed one: that is a fault of the test.
func Parse(line string) Entry {
	path, rest := cutName(line)
	switch {
	case strings.HasPrefix(rest, " -> "):
		return Entry{Path: path, Type: '>', Text: rest[4:]}
	case strings.HasPrefix(rest, " => "):
		return Entry{Path: path, Type: '+', Text: rest[4:]}
	case rest == "" && strings.HasSuffix(path, "|"):
		return Entry{Path: strings.TrimSuffix(path, "|"), Type: '|', Mode: 0o644}
	case rest == "" && strings.HasSuffix(path, "="):
		return Entry{Path: strings.TrimSuffix(path, "="), Type: '=', Mode: 0o644}
	}
	e := Entry{Path: path, Type: '.', Mode: 0o644}
	if strings.HasSuffix(path, "/") {
		e = Entry{Path: strings.TrimSuffix(path, "/"), Type: '/', Mode: 0o755}
	}
	mode, text, hasText := strings.Cut(rest, " = ")
	if hasText {
		e.Text = unquote(text)
	}
	if mode = strings.TrimSpace(mode); mode != "" {
		m, err := strconv.ParseUint(mode, 8, 32)
		if err != nil {
			panic(fmt.Sprintf("BUG: tree line %q: %v", line, err))
		}
		e.Mode = os.FileMode(m)
	}
	return e
}

func cutName(line string) (name, rest string) {
	if strings.HasPrefix(line, `"`) {
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil {
			panic(fmt.Sprintf("BUG: tree line %q: %v", line, err))
		}
		name, _ = strconv.Unquote(quoted)
		return name, line[len(quoted):]
	}
	if i := strings.IndexByte(line, ' '); i >= 0 {
		return line[:i], line[i:]
	}
	return line, ""
}

func unquote(s string) string {
	out, err := strconv.Unquote(`"` + strings.NewReplacer(`"`, `\"`, "\n", `\n`).Replace(s) + `"`)
	if err != nil {
		panic(fmt.Sprintf("BUG: tree text %q: %v", s, err))
	}
	return out
}

// Make makes the entries below dir, which it makes if needed, and returns dir. Modes of directories are set last,
// deepest first, so that "d/ 0555" can have entries. They are opened up again at the test's end.
func Make(t testing.TB, dir string, lines ...string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	entries := make([]Entry, len(lines))
	for i, line := range lines {
		entries[i] = Parse(line)
		if err := makeEntry(dir, entries[i]); err != nil {
			t.Fatalf("tree line %q: %v", line, err)
		}
	}
	t.Cleanup(func() { OpenUp(dir) })
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(b.Path, a.Path) })
	for _, e := range entries {
		if e.Type != '/' {
			continue
		}
		if err := os.Chmod(filepath.Join(dir, e.Path), osMode(e.Mode)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func makeEntry(dir string, e Entry) error {
	full := filepath.Join(dir, filepath.FromSlash(e.Path))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	switch e.Type {
	case '/':
		return os.MkdirAll(full, 0o755)
	case '>':
		return os.Symlink(e.Text, full)
	case '+':
		return os.Link(filepath.Join(dir, e.Text), full)
	case '|':
		return makeFIFO(full)
	case '=':
		return makeSocket(full)
	}
	if err := os.WriteFile(full, []byte(e.Text), 0o600); err != nil {
		return err
	}
	return os.Chmod(full, osMode(e.Mode))
}

func osMode(m os.FileMode) os.FileMode {
	out := m & 0o777
	for bit, as := range map[os.FileMode]os.FileMode{0o4000: os.ModeSetuid, 0o2000: os.ModeSetgid, 0o1000: os.ModeSticky} {
		if m&bit != 0 {
			out |= as
		}
	}
	return out
}

// OpenUp makes all directories below dir writable again, so that they can be removed.
func OpenUp(dir string) {
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(p, 0o755)
			if err != nil {
				return nil
			}
		}
		return nil
	})
}

// List returns what lies below dir in the notation, sorted, with modes where they are not the default. Names that
// are not plain text are quoted.
func List(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		line, err := describe(dir, p)
		out = append(out, line)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

func describe(dir, p string) (string, error) {
	rel, err := filepath.Rel(dir, p)
	if err != nil {
		return "", err
	}
	info, err := os.Lstat(p)
	if err != nil {
		return "", err
	}
	name := quoteName(filepath.ToSlash(rel))
	switch info.Mode().Type() {
	case fs.ModeDir:
		return name + "/" + modeUnless(info, 0o755), nil
	case fs.ModeSymlink:
		target, err := os.Readlink(p)
		return name + " -> " + target, err
	case fs.ModeNamedPipe:
		return name + "|", nil
	case fs.ModeSocket:
		return name + "=", nil
	case 0:
		data, err := os.ReadFile(p)
		text := ""
		if len(data) > 0 {
			text = " = " + strings.ReplaceAll(strings.Trim(strconv.Quote(string(data)), `"`), `\"`, `"`)
		}
		return name + modeUnless(info, 0o644) + text, err
	}
	return name + "?", nil
}

func quoteName(s string) string {
	if q := strconv.Quote(s); q != `"`+s+`"` || strings.Contains(s, " ") {
		return q
	}
	return s
}

func modeUnless(info fs.FileInfo, usual os.FileMode) string {
	if info.Mode().Perm() == usual {
		return ""
	}
	return fmt.Sprintf(" %04o", info.Mode().Perm())
}

// Age gives every entry below dir, and dir, a modification time of 2020-01-01 plus its place in a walk in seconds
// and some odd nanoseconds, so that a copy that loses times shows.
func Age(t testing.TB, dir string) {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		paths = append(paths, p)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		t.Fatal(err)
	}
	start := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, p := range slices.Backward(paths) {
		when := start.Add(time.Duration(i)*time.Second + 123456789)
		if err := setTime(p, when); err != nil {
			t.Fatal(err)
		}
	}
}
