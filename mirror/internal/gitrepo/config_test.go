package gitrepo

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// lines puts settings as git config --list -z prints them.
func (c config) lines() string {
	var b strings.Builder
	for _, e := range c {
		b.WriteString(e.section + ".")
		if e.subsection != "" {
			b.WriteString(e.subsection + ".")
		}
		b.WriteString(e.key)
		if !e.noValue {
			b.WriteString("\n" + e.value)
		}
		b.WriteString("\x00")
	}
	return b.String()
}

func TestConfigReadsAsGitDoes(t *testing.T) {
	dir := realTemp(t)
	tokens := []string{"[core]", "[Core \"Sub x\"]", "[a.B]", "[a \"q\\\"w\\\\\"]", "\n", "\n", "\n", "key", "KEY-2", " = ", "=", "value", " two  words ", "\"", "\\n", "\\t", "\\\n", "#", "; note", "\\\"", "  ", "x = y\n", "\r\n", "\\x", "]", "é"}
	runs := 120
	if *long {
		runs = 5000
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range runs {
		text := "[s]\n"
		for range rng.IntN(14) {
			text += tokens[rng.IntN(len(tokens))]
		}
		write(t, dir, "c", text)
		want, gitErr := tryGit(dir, "config", "--file", filepath.Join(dir, "c"), "--list", "-z")
		got, err := parseConfig([]byte(text))
		if (err == nil) != (gitErr == nil) {
			t.Errorf("%q: %v; git: %v %s", text, err, gitErr, want)
			continue
		}
		if diff := cmp.Diff(want, got.lines()); err == nil && diff != "" {
			t.Errorf("%q (-git +ours):\n%s", text, diff)
		}
	}
}

func TestConfigValueCannotStartAnotherSetting(t *testing.T) {
	c := config{{section: "user", key: "name", value: "x\"\n[core]\n\tfsmonitor = /bin/evil\\"}, {section: "remote", subsection: "a\"]\\", key: "url", value: "#;\t \b"}}
	dir := realTemp(t)
	write(t, dir, "c", string(c.encode()))
	if diff := cmp.Diff(c.lines(), git(t, dir, "config", "--file", filepath.Join(dir, "c"), "--list", "-z")); diff != "" {
		t.Error(diff)
	}
}

func TestSafeURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://example.org/r.git":         "https://example.org/r.git",
		"https://user:pw@example.org/r.git": "https://example.org/r.git",
		"HTTPS://token@example.org:8443/r":  "HTTPS://example.org:8443/r",
		"https://a@b:c@example.org/r":       "https://example.org/r",
		"https://example.org/r?token=x#y":   "https://example.org/r",
		"ssh://git@example.org:22/r":        "ssh://git@example.org:22/r",
		"ssh://git:pw@example.org/r":        "ssh://git@example.org/r",
		"git+ssh://git:pw@example.org/r":    "git+ssh://git@example.org/r",
		"git@example.org:r.git":             "git@example.org:r.git",
		"/srv/git/r.git":                    "/srv/git/r.git",
		"../r.git":                          "../r.git",
		"file:///srv/r.git":                 "file:///srv/r.git",
		"https://user:p/w@example.org/r":    "",
		"user:pw@example.org:r":             "",
		"ext::sh -c evil":                   "",
		"https://example.org/x@y":           "",
		"https://example.org":               "https://example.org",
	} {
		got, ok := safeURL(in)
		if !ok {
			got = ""
		}
		if got != want {
			t.Errorf("safeURL(%q) = %q; want %q", in, got, want)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("[a \"b\"]\n\tc = \"d\\n\" # e\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseConfig(data)
		if err != nil {
			return
		}
		again, err := parseConfig(c.encode())
		if err != nil || len(again) != len(c) {
			t.Errorf("%q: %d settings, then %d, %v", data, len(c), len(again), err)
		}
	})
}
