// Package patch writes changes of files as git does: what it prints of text files can be applied with git apply or patch.
package patch

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff/lcs"
)

// The modes that git knows; 0 is an absent file.
const (
	Regular    = 0o100644
	Executable = 0o100755
	Link       = 0o120000
)

// context is how many unchanged lines surround a change.
const context = 3

// File is one file before and after. Of a link the content is the target.
type File struct {
	OldPath, NewPath string // the same but for a rename
	OldMode, NewMode uint32
	Old, New         []byte
}

// Binary reports whether the content can't be shown as lines: git's rule, a NUL among the first 8,000 bytes.
func (f File) Binary() bool { return isBinary(f.Old) || isBinary(f.New) }

func isBinary(b []byte) bool { return bytes.IndexByte(b[:min(len(b), 8000)], 0) >= 0 }

// Status is git's letter for the kind of change: A, D, M, R (renamed), T (another type).
func (f File) Status() string {
	switch {
	case f.OldMode == 0:
		return "A"
	case f.NewMode == 0:
		return "D"
	case f.OldMode&0o170000 != f.NewMode&0o170000:
		return "T"
	case f.OldPath != f.NewPath:
		return "R"
	}
	return "M"
}

// Text is the change as git prints it. A change of type is a removal and a creation.
func (f File) Text() string {
	if f.Status() == "T" {
		old, made := f, f
		old.NewMode, old.New = 0, nil
		made.OldMode, made.Old = 0, nil
		return old.Text() + made.Text()
	}
	var b strings.Builder
	a, z := Quote("a/"+f.OldPath), Quote("b/"+f.NewPath)
	fmt.Fprintf(&b, "diff --git %s %s\n", a, z)
	switch {
	case f.OldMode == 0:
		fmt.Fprintf(&b, "new file mode %06o\n", f.NewMode)
		a = "/dev/null"
	case f.NewMode == 0:
		fmt.Fprintf(&b, "deleted file mode %06o\n", f.OldMode)
		z = "/dev/null"
	case f.OldMode != f.NewMode:
		fmt.Fprintf(&b, "old mode %06o\nnew mode %06o\n", f.OldMode, f.NewMode)
	}
	if f.OldPath != f.NewPath {
		fmt.Fprintf(&b, "similarity index 100%%\nrename from %s\nrename to %s\n", Quote(f.OldPath), Quote(f.NewPath))
	}
	switch {
	case bytes.Equal(f.Old, f.New):
	case f.Binary():
		fmt.Fprintf(&b, "Binary files %s and %s differ\n", a, z)
	default:
		fmt.Fprintf(&b, "--- %s\n+++ %s\n", tabbed(a), tabbed(z))
		for _, h := range hunks(f.Old, f.New) {
			h.write(&b)
		}
	}
	return b.String()
}

// tabbed ends a name with a space in it as git does, so that patch sees where it ends.
func tabbed(name string) string {
	if strings.Contains(name, " ") {
		return name + "\t"
	}
	return name
}

// Quote gives a name as git does: in quotes, C-like, when a byte of it could be taken for something else.
func Quote(name string) string {
	plain := utf8.ValidString(name)
	for i := 0; i < len(name) && plain; i++ {
		plain = name[i] >= ' ' && name[i] != '"' && name[i] != '\\' && name[i] != 0x7f
	}
	if plain {
		return name
	}
	const short = "\a\b\t\n\v\f\r\"\\"
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case strings.IndexByte(short, c) >= 0:
			b.WriteString(`\` + string("abtnvfr\"\\"[strings.IndexByte(short, c)]))
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return `"` + b.String() + `"`
}

// Counts are the lines that come and go; a binary file has none.
func (f File) Counts() (added, removed int) {
	if f.Binary() {
		return 0, 0
	}
	for _, d := range lcs.DiffLines(lines(f.Old), lines(f.New)) {
		removed += d.End - d.Start
		added += d.ReplEnd - d.ReplStart
	}
	return added, removed
}

// lines splits behind each newline. A last line without one says so, as git does: it differs from the same line with one.
func lines(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	out := strings.SplitAfter(string(b), "\n")
	if last := len(out) - 1; out[last] == "" {
		return out[:last]
	}
	out[len(out)-1] += "\n\\ No newline at end of file\n"
	return out
}

// hunk is a part of a file with changes near to each other: old[from:to] becomes made[start:end].
type hunk struct {
	old, made            []string
	from, to, start, end int
	changes              []lcs.Diff
}

// hunks groups the changes of a file.
func hunks(before, after []byte) []hunk {
	old, made := lines(before), lines(after)
	var out []hunk
	for _, d := range lcs.DiffLines(old, made) {
		if n := len(out); n > 0 && d.Start-out[n-1].changes[len(out[n-1].changes)-1].End <= 2*context {
			out[n-1].changes = append(out[n-1].changes, d)
			continue
		}
		out = append(out, hunk{old: old, made: made, changes: []lcs.Diff{d}})
	}
	for i := range out {
		h := &out[i]
		first, last := h.changes[0], h.changes[len(h.changes)-1]
		lead, trail := min(context, first.Start), min(context, len(old)-last.End)
		h.from, h.to = first.Start-lead, last.End+trail
		h.start, h.end = first.ReplStart-lead, last.ReplEnd+trail
	}
	return out
}

func (h hunk) write(b *strings.Builder) {
	fmt.Fprintf(b, "@@ -%s +%s @@\n", span(h.from, h.to), span(h.start, h.end))
	at := h.from
	for _, d := range h.changes {
		put(b, ' ', h.old[at:d.Start])
		put(b, '-', h.old[d.Start:d.End])
		put(b, '+', h.made[d.ReplStart:d.ReplEnd])
		at = d.End
	}
	put(b, ' ', h.old[at:h.to])
}

func put(b *strings.Builder, sign byte, lines []string) {
	for _, l := range lines {
		b.WriteByte(sign)
		b.WriteString(l)
	}
}

// span is a range of lines as hunk headers have it: of an empty one the line before, of one line no length.
func span(from, to int) string {
	switch to - from {
	case 0:
		return fmt.Sprintf("%d,0", from)
	case 1:
		return fmt.Sprintf("%d", from+1)
	}
	return fmt.Sprintf("%d,%d", from+1, to-from)
}

// Colour gives each line of a patch the colour of its kind, for a terminal.
func Colour(text string) string {
	const bold, red, green, cyan, off = "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[36m", "\x1b[m"
	var b strings.Builder
	inHunk := false
	for line := range strings.Lines(text) {
		body, end := strings.CutSuffix(line, "\n")
		inHunk = inHunk && !strings.HasPrefix(body, "diff --git ") || strings.HasPrefix(body, "@@ ")
		colour := bold
		switch {
		case strings.HasPrefix(body, "@@ "):
			colour = cyan
		case inHunk && strings.HasPrefix(body, "-"):
			colour = red
		case inHunk && strings.HasPrefix(body, "+"):
			colour = green
		case inHunk:
			colour = ""
		}
		if colour != "" {
			body = colour + body + off
		}
		b.WriteString(body)
		if end {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// Visible is a patch that can't move the cursor or colour a terminal: control characters, and bytes that are no UTF-8,
// are shown as what they are. Tabs become spaces.
func Visible(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n':
			b.WriteByte('\n')
		case r == '\t':
			b.WriteString("    ")
		case r < ' ':
			b.WriteRune('\u2400' + r)
		case !unicode.IsPrint(r):
			fmt.Fprintf(&b, "<U+%04X>", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
