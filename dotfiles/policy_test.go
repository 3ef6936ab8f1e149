package dotfiles

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// fileRules are rules as .agentignore or .agentreadonly would give them.
func fileRules(source string, patterns ...string) []Rule {
	var rules []Rule
	for i, p := range patterns {
		rules = append(rules, Rule{Pattern: p, Source: source, Line: i + 1})
	}
	return rules
}

func flagRules(source string, patterns ...string) []Rule {
	rules := fileRules(source, patterns...)
	for i := range rules {
		rules[i].Line = 0
	}
	return rules
}

func hide(patterns ...string) Rules { return Rules{Hidden: fileRules(ignoreName, patterns...)} }

func newPolicy(t testing.TB, rules Rules) *Policy {
	t.Helper()
	p, err := New(rules)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// expect compares accesses; a path with a trailing slash is a directory.
func expect(t *testing.T, p *Policy, want map[string]Access) {
	t.Helper()
	for path, access := range want {
		rel, isDir := strings.CutSuffix(path, "/")
		if got := p.Access(rel, isDir); got != access {
			t.Errorf("Access(%q) = %v, want %v (%+v)", path, got, access, p.Explain(rel, isDir))
		}
		if v := p.Explain(rel, isDir); v.Access != access {
			t.Errorf("Explain(%q) = %+v, want %v", path, v, access)
		}
	}
}

func TestHiddenDirectoryHidesAllBelow(t *testing.T) {
	expect(t, newPolicy(t, hide("secrets/", "!secrets/public.txt", "*.pem")), map[string]Access{
		"secrets/": Hidden, "secrets/public.txt": Hidden, "secrets/a/b": Hidden, "secrets": Writable,
		"a/secrets/x": Hidden, "k.pem": Hidden, "k.pem/x": Hidden, "main.go": Writable, ".": Writable,
	})
}

func TestPerAgentFileOverridesGeneric(t *testing.T) {
	rules := hide(".env*", "private/")
	rules.Hidden = append(rules.Hidden, fileRules(".claude.agentignore", "!.env.example", "!private/")...)
	expect(t, newPolicy(t, rules), map[string]Access{".env": Hidden, ".env.example": Writable, "private/x": Writable})
}

func TestReadOnlyDirectoryCoversAllBelow(t *testing.T) {
	p := newPolicy(t, Rules{
		Hidden:   fileRules(ignoreName, "docs/secret.md"),
		ReadOnly: append(fileRules(readOnlyName, "docs/", "!docs/draft.md", "*.lock", "!my.lock"), flagRules("--readonly", "Makefile")...),
	})
	expect(t, p, map[string]Access{
		"docs/": ReadOnly, "docs/draft.md": ReadOnly, "docs/a/b": ReadOnly, "docs/secret.md": Hidden,
		"go.lock": ReadOnly, "my.lock": Writable, "Makefile": ReadOnly, "main.go": Writable,
	})
}

func TestBuiltInListIsExcludedNotHidden(t *testing.T) {
	p := newPolicy(t, hide("!dist/", "*.log", "coverage"))
	expect(t, p, map[string]Access{
		"node_modules/": Excluded, "a/b/node_modules/x/y": Excluded, "venv": Excluded, "a/.DS_Store": Excluded,
		"build/": Excluded, "src/build/": Writable, "target/x": Excluded, "a/env/x": Writable,
		"dist/": Writable, "dist/app.js": Writable, "dist": Excluded, "dist/node_modules/": Excluded,
		"coverage/": Hidden, "node_modules/npm.log": Hidden,
	})
	if v := p.Explain("a/node_modules/x", false); v.Rule.Source != "default" || v.At != "a/node_modules" {
		t.Errorf("Explain of a built-in exclude = %+v", v)
	}
	rules := hide("*.log")
	rules.NoDefaults = true
	expect(t, newPolicy(t, rules), map[string]Access{"node_modules/x": Writable, "build/": Writable, ".git/": Excluded})
}

func TestWildcardNegationDoesNotReopenBuiltIns(t *testing.T) {
	expect(t, newPolicy(t, hide("*", "!*/", "!*.go")), map[string]Access{
		"a/": Writable, "a/x.go": Writable, "a/x.txt": Hidden, "node_modules/": Excluded, "a/.venv/": Excluded,
	})
}

func TestGitIsGovernedByItsFlagAlone(t *testing.T) {
	rules := Rules{Hidden: fileRules(ignoreName, "!.git/", "logs/", "hooks"), ReadOnly: fileRules(readOnlyName, "*")}
	names := []string{".git", ".GIT", ".Git", "git~1", "GIT~1", ".git ", ".git.", ".git::$INDEX_ALLOCATION", ".g\u200cit"}
	for _, name := range names {
		for _, dir := range []string{"", "sub/", "a/b/"} {
			expect(t, newPolicy(t, rules), map[string]Access{dir + name + "/": Excluded, dir + name: Excluded, dir + name + "/hooks/x": Excluded})
		}
	}
	rules.Git, rules.ReadOnly = true, nil
	for _, name := range names {
		expect(t, newPolicy(t, rules), map[string]Access{name + "/": OneWay, "a/" + name + "/logs/HEAD": OneWay, name + "/hooks": OneWay})
	}
	expect(t, newPolicy(t, rules), map[string]Access{".gitignore": Writable, ".github/x": Writable, "git": Writable, ".gi": Writable, "a/logs/": Hidden, ".git/logs/.git/x": OneWay})
}

func TestRulesThatNameGitHideInIt(t *testing.T) {
	p := newPolicy(t, Rules{Git: true, Hidden: fileRules(ignoreName, ".git/config"), Excludes: flagRules("--exclude", "sub/.git/")})
	expect(t, p, map[string]Access{".git/config": Hidden, ".git/HEAD": OneWay, "sub/.git/": Hidden, "sub/.git/HEAD": Hidden})
}

func TestReadOnlyDirectoryMakesItsGitReadOnly(t *testing.T) {
	p := newPolicy(t, Rules{Git: true, ReadOnly: fileRules(readOnlyName, "vendor/"), Hidden: fileRules(ignoreName, "logs")})
	expect(t, p, map[string]Access{"vendor/.git/logs": ReadOnly, "vendor/logs": Hidden})
	if got := p.AccessBelow("vendor/.git", ReadOnly, "logs", true); got != ReadOnly {
		t.Errorf("AccessBelow in a read-only .git = %v", got)
	}
}

func TestExcludesOnlyHideMore(t *testing.T) {
	rules := hide("a", "!b")
	rules.Excludes = append(flagRules("--exclude", "b", "/x/*.env"), flagRules("config", "tmp/")...)
	p := newPolicy(t, rules)
	expect(t, p, map[string]Access{"a": Hidden, "b": Hidden, "x/p.env": Hidden, "y/p.env": Writable, "tmp/f": Hidden})
	if v := p.Explain("b", false); v.Rule != (Rule{Pattern: "b", Source: "--exclude"}) || v.At != "b" {
		t.Errorf("Explain = %+v", v)
	}
	for _, bad := range []Rules{
		{Excludes: flagRules("--exclude", "!a")}, {Excludes: flagRules("config", "ok", "!*")}, {Policy: flagRules("config", "!.alca.toml")},
	} {
		if _, err := New(bad); err == nil || !strings.Contains(err.Error(), "!") {
			t.Errorf("New(%+v) = %v, want an error that names the pattern", bad, err)
		}
	}
}

func TestPolicyFilesAreProtectedWhateverThePatternsSay(t *testing.T) {
	rules := Rules{
		Hidden:     fileRules(ignoreName, "!.agentignore", "!.*", "!*.agentignore"),
		ReadOnly:   fileRules(readOnlyName, "!.agentreadonly", "!.alca.toml", "!*.toml"),
		Policy:     flagRules("config", Literal("conf/[base] *.toml")),
		NoDefaults: true,
	}
	expect(t, newPolicy(t, rules), map[string]Access{
		".agentignore": Hidden, ".claude.agentignore": Hidden, ".a b.agentignore": Hidden, "sub/.agentignore": Hidden, ".agentignore/": Hidden,
		".AgentIgnore": Hidden, ".X.AGENTIGNORE": Hidden, ".agentignore~": Hidden, ".agentignore.swp": Hidden, ".#.agentignore": Hidden,
		".agentreadonly": ReadOnly, ".codex.agentreadonly": ReadOnly, "a/.agentreadonly": ReadOnly, ".AGENTREADONLY": ReadOnly,
		".alca.toml": ReadOnly, "sub/.alca.toml": ReadOnly, ".Alca.Toml": ReadOnly, "conf/[base] *.toml": ReadOnly,
		"conf/b x.toml": Writable, "agentignore": Writable, "x.agentignore": Writable, "my.alca.toml": Writable, ".x.alca.toml": Writable,
	})
	expect(t, newPolicy(t, hide("*.toml", ".agentreadonly")), map[string]Access{".alca.toml": Hidden, ".agentreadonly": Hidden})
}

func TestStoresAreLeftOutWhateverThePatternsSay(t *testing.T) {
	expect(t, newPolicy(t, Rules{Hidden: fileRules(ignoreName, "!.alca-mount-store", "!.*"), NoDefaults: true}), map[string]Access{
		".alca-mount-store/": Excluded, ".alca-mount-store/s/00000001": Excluded, "mnt/.alca-mount-1000/": Excluded, "mnt/.alca-mount-0/s/00000001": Excluded,
		".alca-mount-notes.md": Writable, ".alca-mount-tests/t": Writable, ".alca-mount-": Writable, ".alca-mount-12x": Writable, "alca-mount-0": Writable,
	})
}

func TestWhatWasRemovedWhileOpenIsLeftOut(t *testing.T) {
	expect(t, newPolicy(t, Rules{Hidden: fileRules(ignoreName, "!.nfs*", "!.*"), NoDefaults: true}), map[string]Access{
		".nfs000000000003a1d200000002": Excluded, "src/.fuse_hidden0000000500000001": Excluded,
		".nfs": Writable, ".nfsrc": Writable, ".nfs00000000000000zz": Writable, ".fuse_hidden": Writable, ".fuse_hidden12": Writable, "nfs000000000003a1d2": Writable,
	})
}

func TestDerivativesOfHiddenNamesAreHidden(t *testing.T) {
	p := newPolicy(t, Rules{Hidden: fileRules(ignoreName, ".env", "/conf/key.pem", "shown", "!shown"), Excludes: flagRules("--exclude", "db")})
	want := map[string]Access{
		".env.sample": Writable, ".env.example": Writable, ".env.tmpl": Writable, ".env.tmpl.md": Writable, ".envrc": Writable, "~": Writable, "##": Writable, ".#": Writable,
		"key.pem~": Writable, "shown~": Writable, ".swp": Writable, "other~": Writable, ".other.swp": Writable, "node_modules~": Writable, "other.bak": Writable, ".bak": Writable, ".env.abc": Writable,
		"db~": Hidden, ".db.swp": Hidden,
	}
	for _, n := range []string{".env", "conf/key.pem"} {
		dir, base := "", n
		if i := strings.LastIndexByte(n, '/'); i >= 0 {
			dir, base = n[:i+1], n[i+1:]
		}
		for _, name := range []string{
			base + "~", base + ".~12~", base + ".bak", base + ".backup", base + ".old", base + ".orig", base + ".save", "." + base + ".kate-swp", "." + base + ".swp", "." + base + ".swx", "#" + base + "#", ".#" + base, "." + base + ".un~",
			base + ".tmp", base + ".tmp.123.456", base + ".tmpXyZ123", "." + base + ".IaL9uJ", "." + base + ".abcdef", base + "___jb_tmp___", base + "___jb_old___",
		} {
			want[dir+name] = Hidden
			want["elsewhere/"+name] = map[bool]Access{true: Hidden, false: Writable}[n == ".env"]
		}
	}
	want[".env.swp"], want[".env.swo"], want[".env.IaL9uJ"] = Hidden, Hidden, Hidden // as vim and rsync name them
	expect(t, p, want)
	if v := p.Explain("a/.env.tmp.1", false); v.Rule != (Rule{".env", ignoreName, 1}) || v.At != "a/.env.tmp.1" {
		t.Errorf("Explain of a derivative = %+v, want the rule of .env", v)
	}
}

func TestLaterNegationReopensADerivative(t *testing.T) {
	expect(t, newPolicy(t, hide(".env", "!.env.tmp")), map[string]Access{".env.tmp": Writable, ".env.tmp1": Hidden})
	expect(t, newPolicy(t, hide("src/*", "!src/*", "src/secret")), map[string]Access{"src/secret~": Hidden, "src/x": Writable})
}

func TestDerivedOfReturnsTheHiddenName(t *testing.T) {
	hidden := func(n string) bool { return n == ".env" || n == "a.tmpx" }
	for name, want := range map[string]string{".env~": ".env", "..env.swp": ".env", ".env": "", "": "", "a.tmpx.tmp1": "a.tmpx", "a.tmpx": "", "~": ""} {
		if got := DerivedOf(name, hidden); got != want {
			t.Errorf("DerivedOf(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestFoldingTakesTheStrictestAnswer(t *testing.T) {
	rules := Rules{
		Hidden:   fileRules(ignoreName, "secret.key", "geheim-é", "Über/", "!SECRET.KEY", "STRASSE.txt", "[A]x", "\\Quoted"),
		ReadOnly: fileRules(readOnlyName, "Makefile"),
	}
	expect(t, newPolicy(t, rules), map[string]Access{"Secret.Key": Writable, "secret.key": Hidden, "MAKEFILE": Writable, "NODE_MODULES/": Writable, "ax": Writable})
	rules.FoldCase = true
	expect(t, newPolicy(t, rules), map[string]Access{
		"geheim-e\u0301": Hidden, "GEHEIM-É": Hidden, "GEHEIM-E\u0301": Hidden, "u\u0308ber/x": Hidden, "straße.txt": Hidden,
		"MAKEFILE": ReadOnly, "NODE_MODULES/": Excluded, ".ds_store": Excluded, "BUILD/": Excluded, "ax": Hidden, "AX": Hidden, "quoted": Hidden,
		"secret.key": Hidden, ".AGENT\u200dIGNORE": Hidden, "ok\xff": Writable, "geheim-é\xff": Writable,
	})
	rules.Hidden = fileRules(ignoreName, "secret.key")
	expect(t, newPolicy(t, rules), map[string]Access{"Secret.Key": Hidden, "SECRET.KEY~": Hidden, "ſecret.\u212aey": Hidden})
}

func TestInvalidPathsAreHidden(t *testing.T) {
	p := newPolicy(t, Rules{})
	for _, path := range []string{"", "/", "/a", "a//b", "a/", "../a", "a/..", "a/../b", "./a", "a/.", "a\x00b", ".."} {
		if got, v := p.Access(path, false), p.Explain(path, false); got != Hidden || v.Access != Hidden {
			t.Errorf("Access(%q) = %v, Explain %v; want hidden", path, got, v)
		}
	}
	for _, name := range []string{"", ".", "..", "a/b", "a\x00"} {
		if got := p.AccessBelow("d", Writable, name, true); got != Hidden {
			t.Errorf("AccessBelow(%q) = %v, want hidden", name, got)
		}
	}
}

func TestZeroPolicyHidesEverything(t *testing.T) {
	for _, p := range []*Policy{nil, {}, Stricter(nil, newPolicy(t, Rules{})), Stricter(newPolicy(t, Rules{}), &Policy{})} {
		if p.Access("a", false) != Hidden || p.AccessBelow(".", Writable, "a", false) != Hidden || p.Explain("a", false).Access != Hidden || p.Access(".", true) != Hidden {
			t.Errorf("%+v shows something", p)
		}
	}
}

func TestBadPatternsWarnInFilesAndFailInFlags(t *testing.T) {
	patterns := []string{`a\`, "[", "[a", "[[:foo:]]", "!["}
	p := newPolicy(t, hide(append(slices.Clone(patterns), "good")...))
	expect(t, p, map[string]Access{"good": Hidden, "a": Writable, "[": Writable, "a\\": Writable})
	if got := p.Warnings(); len(got) != len(patterns) || got[1].Line != 2 || got[1].Source != ignoreName || !strings.Contains(got[1].Text, "matches nothing") {
		t.Errorf("Warnings = %+v", got)
	}
	for _, bad := range append(patterns, "", "# comment", "  ") {
		for _, rules := range []Rules{{Hidden: flagRules("config", bad)}, {ReadOnly: flagRules("--readonly", bad)}, {Excludes: flagRules("--exclude", bad)}, {Policy: flagRules("config", bad)}, {And: []Rules{{Hidden: flagRules("config", bad)}}}} {
			if _, err := New(rules); err == nil {
				t.Errorf("New(%+v) gave no error", rules)
			}
		}
	}
}

func TestOddPatternsAreWarnedAbout(t *testing.T) {
	for _, odd := range []string{"//", "a//b", "/", "!", " .env", ".env # secret", "!.git/", "./a"} {
		if got := newPolicy(t, hide(odd)).Warnings(); len(got) != 1 {
			t.Errorf("%q: warnings %+v, want one", odd, got)
		}
	}
	if got := newPolicy(t, hide("#x", "a b", "*.txt", "!a/", "/b/**", `\ a`)).Warnings(); len(got) != 0 {
		t.Errorf("warnings %+v about plain patterns", got)
	}
}

func TestExplainNamesTheRuleAndWhereItMatched(t *testing.T) {
	p := newPolicy(t, Rules{Hidden: fileRules(ignoreName, "*.key", "!pub.key", "secrets/"), ReadOnly: fileRules(readOnlyName, "docs/")})
	for path, want := range map[string]Verdict{
		"a/b.key":       {Hidden, Rule{"*.key", ignoreName, 1}, "a/b.key"},
		"a/secrets/b/c": {Hidden, Rule{"secrets/", ignoreName, 3}, "a/secrets"},
		"docs/a/b":      {ReadOnly, Rule{"docs/", readOnlyName, 1}, "docs"},
		"docs/x.key":    {Hidden, Rule{"*.key", ignoreName, 1}, "docs/x.key"},
		"pub.key":       {Writable, Rule{"!pub.key", ignoreName, 2}, "pub.key"},
		"main.go":       {Writable, Rule{}, ""},
		".git/config":   {Excluded, Rule{".git", "default", 0}, ".git"},
		"out/x":         {Excluded, Rule{"/out", "default", 0}, "out"},
		".agentignore":  {Hidden, Rule{ignoreName, "default", 0}, ignoreName},
	} {
		if got := p.Explain(path, false); got != want {
			t.Errorf("Explain(%q) = %+v, want %+v", path, got, want)
		}
	}
}

// write makes files of a project; content by name.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadTakesGenericThenPerAgentFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		".agentignore":          "\xef\xbb\xbf.env\r\n\n# comment\nkeys/  \n",
		".agentreadonly":        "docs/",
		".claude.agentignore":   "!.env",
		".claude.agentreadonly": "Makefile\n",
		".codex.agentignore":    "everything",
	})
	rules, err := ReadRules(dir, "claude")
	if err != nil {
		t.Fatal(err)
	}
	want := Rules{
		Hidden:   []Rule{{".env", ignoreName, 1}, {"keys/", ignoreName, 4}, {"!.env", ".claude.agentignore", 1}},
		ReadOnly: []Rule{{"docs/", readOnlyName, 1}, {"Makefile", ".claude.agentreadonly", 1}},
		FoldCase: rules.FoldCase,
	}
	if !reflect.DeepEqual(rules, want) {
		t.Errorf("ReadRules = %+v, want %+v", rules, want)
	}
	p, err := Read(dir, "claude")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, p, map[string]Access{".env": Writable, "keys/": Hidden, "docs/x": ReadOnly, "everything": Writable})
	if p, err = Read(dir, ""); err != nil || p.Access(".env", false) != Hidden || p.Access("Makefile", false) != Writable {
		t.Errorf("without an agent: %v", err)
	}
}

func TestMissingRuleFilesAreNoRules(t *testing.T) {
	rules, err := ReadRules(t.TempDir(), "claude")
	if err != nil || rules.Hidden != nil || rules.ReadOnly != nil {
		t.Errorf("ReadRules of an empty project = %+v, %v", rules, err)
	}
}

func TestMissingProjectIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	write(t, filepath.Dir(file), map[string]string{"f": ""})
	for _, dir := range []string{file, filepath.Join(filepath.Dir(file), "absent")} {
		if _, err := Read(dir, ""); err == nil {
			t.Errorf("Read(%q) gave no error", dir)
		}
	}
}

func TestRuleFileThatCannotBeReadIsAnError(t *testing.T) {
	makers := map[string]func(path string) error{
		"a directory": func(path string) error { return os.Mkdir(path, 0o755) },
		"a link to a file": func(path string) error {
			if err := os.WriteFile(path+".real", nil, 0o644); err != nil {
				return err
			}
			return os.Symlink(path+".real", path)
		},
		"a dangling link": func(path string) error { return os.Symlink("nowhere", path) },
		"too large": func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, maxRuleFile+1))
		},
		"a FIFO": mkfifo,
	}
	if os.Getuid() > 0 {
		makers["unreadable"] = func(path string) error { return os.WriteFile(path, nil, 0) }
	}
	for what, make := range makers {
		for _, name := range ruleFiles("claude") {
			dir := t.TempDir()
			if err := make(filepath.Join(dir, name)); errors.Is(err, errors.ErrUnsupported) {
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			if _, err := Read(dir, "claude"); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s that is %s: Read = %v, want an error that names it", name, what, err)
			}
		}
	}
}

func TestAgentNamesStayInsideTheProject(t *testing.T) {
	for _, name := range []string{"claude", "a-b_C9", "-"} {
		if !ValidAgent(name) {
			t.Errorf("ValidAgent(%q) = false", name)
		}
	}
	for _, name := range []string{"", "../x", "a/b", "a.b", "a b", "é", "a\n", "x\x00"} {
		if ValidAgent(name) {
			t.Errorf("ValidAgent(%q) = true", name)
		}
		if _, err := Read(t.TempDir(), name); name != "" && err == nil {
			t.Errorf("Read with agent %q gave no error", name)
		}
	}
}

func TestUnappliedAndForeignFilesAreNamed(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		".agentignore": "", ".claude.agentignore": "", ".codex.agentreadonly": "", ".zed.agentignore": "", ".cursorignore": "", ".aiexclude": "", ".dockerignore": "", "x.agentignore": "",
	})
	if got := Unapplied(dir, "claude"); !slices.Equal(got, []string{".codex.agentreadonly", ".zed.agentignore"}) {
		t.Errorf("Unapplied = %q", got)
	}
	if got := Foreign(dir); !slices.Equal(got, []string{".aiexclude", ".cursorignore"}) {
		t.Errorf("Foreign = %q", got)
	}
}

func TestReadDifferentlyNamesPatterns(t *testing.T) {
	p := newPolicy(t, hide("*.log", "[!a]bc", "?.key", "doc/", "\\!x"))
	paths := []string{"a.log", "xbc", "abc", "k.key", "doc/", "doc", "!x", "main.go"}
	var got []string
	for _, d := range p.ReadDifferently(paths) {
		got = append(got, d.Rule.Pattern+" on "+d.Path)
	}
	if want := []string{"[!a]bc on xbc", "?.key on k.key"}; !slices.Equal(got, want) {
		t.Errorf("ReadDifferently = %q, want %q", got, want)
	}
}

func TestFoldsAsksTheDirectory(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"Probe": ""})
	_, err := os.Lstat(filepath.Join(dir, "pROBE"))
	want := err == nil || foldsHere()
	if got, err := Folds(dir); err != nil || got != want {
		t.Errorf("Folds = %v, %v; want %v", got, err, want)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 {
		t.Error("Folds left something behind")
	}
}

func TestFoldsIsStrictWhereNothingTells(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "1")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := Folds(dir); err != nil || !got {
		t.Errorf("Folds of a directory without a letter = %v, %v; want true", got, err)
	}
}

func TestHardLinksInBothCasesAreNotFolding(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a": ""})
	if err := os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "A")); err != nil {
		t.Skip("no hard links, or case folds:", err)
	}
	if got, _ := Folds(dir); got != foldsHere() {
		t.Errorf("Folds = %v", got)
	}
}
