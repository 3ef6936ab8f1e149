package container

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// tree reads entries: "d/" a directory, "f!" read-only, "l@" a link.
func tree(lines ...string) []Entry {
	var out []Entry
	for _, l := range lines {
		name := strings.TrimRight(l, "/!@")
		marks := l[len(name):]
		out = append(out, Entry{Path: name, Dir: strings.Contains(marks, "/"), ReadOnly: strings.Contains(marks, "!"), Link: strings.Contains(marks, "@")})
	}
	return out
}

func TestProtect(t *testing.T) {
	for _, c := range []struct {
		tree               []Entry
		most               int
		ro, pinned, opened string
	}{
		{tree("a!", "b"), 9, "a", "", ""},
		// The directories above are mount points, so that they can't be renamed away.
		{tree("d/", "d/e/", "d/e/f!", "d/e/g", "d/h"), 9, "d/e/f", "d d/e", ""},
		{tree("d/!", "d/e/!", "d/e/f!"), 9, "d", "", ""},
		{tree("x/", "x/d/!", "x/d/f!", "x/w"), 9, "x/d", "x", ""},
		{tree("d/", "d/a!", "d/b!"), 9, "d/a d/b", "d", ""},
		{tree("l!@", "a!"), 9, "a", "", "l"},
		// Too many: directories of read-only files whole.
		{tree("d/", "d/a!", "d/b!", "e"), 2, "d", "", ""},
		{tree("d/", "d/a!", "d/b!", "d/empty/"), 2, "d/a", "d", "d/b"},
		{tree("d/", "d/a!", "d/b", "z!"), 1, "z", "", "d/a"},
		{tree("a!", "b!", "c!"), 2, "a b", "", "c"},
	} {
		got := Protect(c.tree, c.most)
		if strings.Join(got.ReadOnly, " ") != c.ro || strings.Join(got.Pinned, " ") != c.pinned || strings.Join(got.Open, " ") != c.opened {
			t.Errorf("%v, at most %d: %+v; want %q, %q, %q", c.tree, c.most, got, c.ro, c.pinned, c.opened)
		}
	}
}

// However many there are, every read-only path is either bound, below a bound directory, or named as open; and no bind
// leaves a parent that could be renamed away.
func TestProtectForgetsNothing(t *testing.T) {
	var lines []string
	for d := range 60 {
		lines = append(lines, fmt.Sprintf("d%02d/", d))
		for f := range 20 {
			mark := "!"
			if f == 0 && d%2 == 0 {
				mark = ""
			}
			lines = append(lines, fmt.Sprintf("d%02d/f%02d%s", d, f, mark))
		}
	}
	entries := tree(lines...)
	for _, most := range []int{1, 2, 30, 100, 512, 5000} {
		p := Protect(entries, most)
		if p.Binds() > most {
			t.Errorf("%d binds, at most %d", p.Binds(), most)
		}
		for _, e := range entries {
			if !e.ReadOnly {
				continue
			}
			held := slices.Contains(p.ReadOnly, e.Path) || slices.Contains(p.ReadOnly, e.Path[:3])
			if held == (slices.Contains(p.Open, e.Path) || slices.Contains(p.Open, e.Path[:3])) {
				t.Fatalf("most %d: %s: bound %v, open %v", most, e.Path, held, !held)
			}
		}
		for _, path := range p.ReadOnly {
			for _, dir := range parents(path) {
				if !slices.Contains(p.Pinned, dir) {
					t.Fatalf("most %d: %s is not pinned", most, dir)
				}
			}
		}
	}
}
