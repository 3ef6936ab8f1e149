package dotfiles

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the property tests; 0: from the clock")

// random draws rules and paths that are likely to meet.
type random struct{ *rand.Rand }

func newRandom(t *testing.T) random {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d (rerun with -seed)", seed)
	return random{rand.New(rand.NewPCG(seed, 2))}
}

func (r random) pick(choices ...string) string { return choices[r.IntN(len(choices))] }

func (r random) name() string {
	return r.pick("a", "b", "c", "A", "é", "E\u0301", ".env", ".env~", "a.tmp1", ".a.swp", "#b#", "dist", "node_modules", ".git", ".GIT", "build", "x.go", "y.md", ".agentignore", ".x.agentreadonly", ".alca.toml", "\xff", "Über")
}

func (r random) path() string {
	names := make([]string, 1+r.IntN(4))
	for i := range names {
		names[i] = r.name()
	}
	return strings.Join(names, "/")
}

func (r random) patterns(source string, negations bool) []Rule {
	var patterns []string
	for range r.IntN(5) {
		not := ""
		if negations {
			not = r.pick("", "", "!")
		}
		pattern := not + r.pick("", "", "/", "**/", "a/") + r.pick(r.name(), "*", "*.go", "?", "[a-c]", "a*", "*~", ".git/config", "**") + r.pick("", "", "/", "/**")
		if strings.HasPrefix(pattern, "#") {
			pattern = `\` + pattern // a flag may not be a comment
		}
		patterns = append(patterns, pattern)
	}
	return fileRules(source, patterns...)
}

func (r random) rules() Rules {
	return Rules{
		Hidden:     r.patterns(ignoreName, true),
		ReadOnly:   r.patterns(readOnlyName, true),
		Excludes:   r.patterns("--exclude", false),
		Policy:     flagRules("config", Literal(r.path())),
		NoDefaults: r.IntN(2) == 0,
		Git:        r.IntN(2) == 0,
		FoldCase:   r.IntN(2) == 0,
	}
}

// eachCase runs check over random policies and paths.
func eachCase(t *testing.T, check func(r random, p *Policy, path string, isDir bool) string) {
	t.Helper()
	r := newRandom(t)
	for range 800 {
		rules := r.rules()
		p := newPolicy(t, rules)
		for range 20 {
			path, isDir := r.path(), r.IntN(2) == 0
			if bad := check(r, p, path, isDir); bad != "" {
				t.Fatalf("rules %+v, path %q, dir %v: %s", rules, path, isDir, bad)
			}
		}
	}
}

// parent returns the directory above path, "." at the top.
func parent(path string) (dir, name string) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return ".", path
}

func TestAccessBelowIsAccess(t *testing.T) {
	eachCase(t, func(_ random, p *Policy, path string, isDir bool) string {
		dir, name := parent(path)
		want, got := p.Access(path, isDir), p.AccessBelow(dir, p.Access(dir, true), name, isDir)
		if got != want {
			return fmt.Sprintf("Access %v, AccessBelow %v", want, got)
		}
		return ""
	})
}

func TestExplainIsAccess(t *testing.T) {
	eachCase(t, func(_ random, p *Policy, path string, isDir bool) string {
		v := p.Explain(path, isDir)
		if want := p.Access(path, isDir); v.Access != want {
			return fmt.Sprintf("Access %v, Explain %+v", want, v)
		}
		if v.Access != Writable && (v.Rule == Rule{} || v.At != path && !strings.HasPrefix(path, v.At+"/")) {
			return fmt.Sprintf("Explain %+v gives no reason", v)
		}
		return ""
	})
}

func TestNothingBelowIsMoreOpenThanItsDirectory(t *testing.T) {
	eachCase(t, func(_ random, p *Policy, path string, isDir bool) string {
		dir, _ := parent(path)
		above, here := p.Access(dir, true), p.Access(path, isDir)
		if here > above {
			return fmt.Sprintf("%v below %v", here, above)
		}
		return ""
	})
}

func TestStricterIsTheMinimum(t *testing.T) {
	eachCase(t, func(r random, a *Policy, path string, isDir bool) string {
		b := newPolicy(t, r.rules())
		both := Stricter(a, b)
		want := min(a.Access(path, isDir), b.Access(path, isDir))
		dir, name := parent(path)
		if got, below := both.Access(path, isDir), both.AccessBelow(dir, both.Access(dir, true), name, isDir); got != want || below != want {
			return fmt.Sprintf("and rules %+v: Stricter %v, below %v, want %v", b.Rules(), got, below, want)
		}
		if got := newPolicy(t, both.Rules()).Access(path, isDir); got != want {
			return fmt.Sprintf("and rules %+v: made anew from Rules %v, want %v", b.Rules(), got, want)
		}
		return ""
	})
}

func TestMoreExcludesNeverOpen(t *testing.T) {
	eachCase(t, func(r random, p *Policy, path string, isDir bool) string {
		rules := p.Rules()
		rules.Excludes = append(rules.Excludes[:len(rules.Excludes):len(rules.Excludes)], r.patterns("--exclude", false)...)
		if before, after := p.Access(path, isDir), newPolicy(t, rules).Access(path, isDir); after > before {
			return fmt.Sprintf("excludes %+v: %v became %v", rules.Excludes, before, after)
		}
		return ""
	})
}

func TestFoldingNeverOpens(t *testing.T) {
	eachCase(t, func(_ random, p *Policy, path string, isDir bool) string {
		plain, fold := p.Rules(), p.Rules()
		plain.FoldCase, fold.FoldCase = false, true
		if a, b := newPolicy(t, plain).Access(path, isDir), newPolicy(t, fold).Access(path, isDir); b > a {
			return fmt.Sprintf("%v, folding %v", a, b)
		}
		return ""
	})
}

func TestPolicyFilesAndGitNeverCrossBack(t *testing.T) {
	eachCase(t, func(_ random, p *Policy, path string, isDir bool) string {
		access := p.Access(path, isDir)
		for name := range strings.SplitSeq(path, "/") {
			switch strings.ToLower(name) {
			case ".git", ".agentignore", ".alca.toml", ".x.agentreadonly":
				if access == Writable {
					return "writable"
				}
			}
		}
		return ""
	})
}

func TestRulesSurviveJSON(t *testing.T) {
	r := newRandom(t)
	for range 200 {
		rules := Stricter(newPolicy(t, r.rules()), newPolicy(t, r.rules())).Rules()
		data, err := json.Marshal(rules)
		if err != nil {
			t.Fatal(err)
		}
		var back Rules
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, rules) {
			t.Fatalf("%+v became %+v through %s", rules, back, data)
		}
	}
	if data, _ := json.Marshal(Rules{}); string(data) != "{}" {
		t.Errorf("no rules are %s", data)
	}
	if !reflect.DeepEqual(newPolicy(t, hide("a")).Rules(), hide("a")) {
		t.Error("Rules does not return what the policy was made of")
	}
}
