package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Pos is a place in a file; the line and the column, in bytes, count from 1.
type Pos struct {
	File   string // as it is shown: relative to the project for its own files
	Line   int
	Column int
}

func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

func (p Pos) short() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Error is one thing wrong in a configuration, and where.
type Error struct {
	Pos
	Key  string // dotted, as "mounts[1].target"; "" for the file as a whole
	Text string // what is wrong, and what was expected
}

func (e Error) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("%s: %s", e.Pos, e.Text)
	}
	return fmt.Sprintf("%s: %s: %s", e.Pos, e.Key, e.Text)
}

// Errors is all that is wrong, in the order of the files and their lines. It is never empty as an error.
type Errors []Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// inOrder sorts by line within each file and leaves the order of the files.
func (e Errors) inOrder() Errors {
	files := map[string]int{}
	for _, err := range e {
		if _, ok := files[err.File]; !ok {
			files[err.File] = len(files)
		}
	}
	slices.SortStableFunc(e, func(a, b Error) int {
		return cmp.Or(cmp.Compare(files[a.File], files[b.File]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(e)
}

func (e *Errors) add(pos Pos, key, format string, args ...any) {
	*e = append(*e, Error{Pos: pos, Key: key, Text: fmt.Sprintf(format, args...)})
}
