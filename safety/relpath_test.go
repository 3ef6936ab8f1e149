package safety

import (
	"errors"
	"slices"
	"testing"
)

func TestParseRelPath(t *testing.T) {
	for in, want := range map[string]RelPath{"a": "a", "a/b": "a/b", "a/": "a", ".": Top, "./": Top, "..a/b..": "..a/b..", "-rf": "-rf", "a\nb": "a\nb", "\xff": "\xff"} {
		got, err := ParseRelPath(in)
		if err != nil || got != want {
			t.Errorf("ParseRelPath(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "/", "/a", "a//b", "../a", "a/..", "a/../b", "./a", "a/.", "a\x00b"} {
		if got, err := ParseRelPath(in); !errors.Is(err, ErrBadPath) {
			t.Errorf("ParseRelPath(%q) = %q, %v; want ErrBadPath", in, got, err)
		}
	}
}

func TestRelPathParts(t *testing.T) {
	p := Top.Join("a").Join("b").Join("c")
	if p != "a/b/c" || p.Dir() != "a/b" || p.Base() != "c" || RelPath("a").Dir() != Top || Top.Dir() != Top || Top.Base() != "." {
		t.Errorf("parts of %q: dir %q base %q", p, p.Dir(), p.Base())
	}
	if got := p.Parents(); !slices.Equal(got, []RelPath{"a", "a/b"}) {
		t.Errorf("Parents = %q", got)
	}
	if !p.In("a") || !p.In(p) || !p.In(Top) || RelPath("ab").In("a") {
		t.Error("In is wrong")
	}
}
