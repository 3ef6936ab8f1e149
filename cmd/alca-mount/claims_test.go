package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every claim of docs/security.md names tests that exist. A claim is a paragraph or item that begins with bold words; what
// the sections on what is open say is none.
func TestSecurityClaimsNameTheirTests(t *testing.T) {
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`\b(Test|Fuzz)[A-Z]\w+`)
	there := testsOfTheTree(t)
	for _, name := range names.FindAllString(string(text), -1) {
		if !there[name] {
			t.Errorf("%s is no test of the source tree", name)
		}
	}
	claims := 0
	for _, section := range strings.Split("\n"+string(text), "\n#")[1:] {
		title, body, _ := strings.Cut(strings.TrimLeft(section, "# "), "\n")
		if title != "In a namespace" && title != "What the sync guarantees" {
			continue
		}
		for _, claim := range regexp.MustCompile(`(?m)^(\* )?\*\*`).Split(body, -1)[1:] {
			if strings.HasPrefix(claim, "It is not a boundary") {
				continue
			}
			claims++
			if !names.MatchString(claim) {
				t.Errorf("%s: no test is named for the claim %q", title, firstLine(claim))
			}
		}
	}
	if claims < 15 {
		t.Errorf("%d claims found: has the document another form?", claims)
	}
}

// testsOfTheTree are the names of all test functions.
func testsOfTheTree(t *testing.T) map[string]bool {
	t.Helper()
	there := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir("../..", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, "_test.go") {
			return err
		}
		text, err := os.ReadFile(p)
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			there[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return there
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
