//go:build linux

package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var seed = flag.Int64("seed", 0, "the seed of the random rules and trees; 0 takes the clock")

// What git check-ignore --no-index says of random rules and trees is what explain says, and what the mirror that is
// built leaves out. Names that the program is stricter about than git by design (its built-in list, policy files,
// derivatives of hidden names) are not drawn.
func TestConformsToGit(t *testing.T) {
	s := *seed
	if s == 0 {
		s = time.Now().UnixNano()
	}
	t.Logf("-seed %d", s)
	cases, batch := count(100, 10500), 250
	for first := 0; first < cases; first += batch {
		conformBatch(t, rand.New(rand.NewSource(s+int64(first))), min(batch, cases-first))
		if t.Failed() {
			t.Fatalf("after %d cases", first+batch)
		}
	}
}

// A conformCase is one project.
type conformCase struct {
	dir   string
	rules string
	paths []string
}

func conformBatch(t *testing.T, r *rand.Rand, n int) {
	w := newWorld(t)
	all := filepath.Join(w.dir, "all")
	must(t, os.Mkdir(all, 0o755))
	w.gitIn(all, "init", "-q")
	cases := make([]conformCase, n)
	for i := range cases {
		cases[i] = w.drawCase(r, filepath.Join(all, fmt.Sprintf("case%d", i)))
	}
	ignored := w.ignoredByGit(all, cases)
	for i := range cases { // git has spoken: its rule files would be paths of their own
		must(t, os.Remove(filepath.Join(cases[i].dir, ".gitignore")))
		write(t, filepath.Join(cases[i].dir, ".agentignore"), cases[i].rules)
	}
	var wg sync.WaitGroup
	next := make(chan int)
	for range 2 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range next {
				w.judge(cases[i], ignored[i])
			}
		}()
	}
	for i := range cases {
		next <- i
	}
	close(next)
	wg.Wait()
	must(t, os.RemoveAll(all))
	must(t, os.RemoveAll(w.state))
}

var pieces = []string{"a", "b", "ab", "abc", "foo", "foo.txt", "bar", "x.c", "y.o", "A", "Foo", "a b", "[x]", "q?", "st*r", "-n", "é",
	"e\u0301", "#h", "!bang", "back\\s", " lead", "trail ", "tab\tx", "日本", ".dot", "a.b.c", "1", "0", "z9", "{a,b}", "\xff\xfe", "\"q\""}

var patternPieces = []string{"*", "?", "**", "a", "b", "ab", "abc", "foo", "foo.txt", "bar", "*.c", "*.o", "*.txt", "[ab]", "[!a]", "[a-c]*",
	"[^a-z]", "[[:alpha:]]", "[[:upper:]]*", "[]x]*", "[", "[a", "[z-a]", "\\a", "\\*", "\\[x\\]", "q\\?", "A", "Foo", "f*o", "*a*", "a b", "é", "e\u0301",
	"\\#h", "#h", "\\!bang", "back\\\\s", "back\\s", " lead", "trail\\ ", "trail ", "tab\t*", "日*", ".dot", ".*", "a.?.c", "[0-9]", "z[[:digit:]]",
	"{a,b}", "***", "a**", "**b", "\xff*", "*\xfe", "[\xff]*", "?b", "??", "[[:space:]]*", "st\\*r", "[a\\]", "[\\]]", "[!]a]", "x\\", "\\", "[--0]*", "[a-]"}

// drawCase makes a tree and the rules for it, as a .gitignore.
func (w *world) drawCase(r *rand.Rand, dir string) conformCase {
	c := conformCase{dir: dir, rules: drawRules(r)}
	must(w.t, os.Mkdir(dir, 0o755))
	for range 4 + r.Intn(10) {
		p := ""
		for range 1 + r.Intn(4) {
			p = filepath.Join(p, pieces[r.Intn(len(pieces))])
		}
		if os.MkdirAll(filepath.Join(dir, filepath.Dir(p)), 0o755) != nil {
			continue // a file is in the way
		}
		if r.Intn(5) == 0 {
			os.Mkdir(filepath.Join(dir, p), 0o755)
		} else if _, err := os.Lstat(filepath.Join(dir, p)); err != nil {
			os.WriteFile(filepath.Join(dir, p), []byte("x\n"), 0o644)
		}
	}
	must(w.t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && p != dir {
			rel, _ := filepath.Rel(dir, p)
			c.paths = append(c.paths, rel)
		}
		return err
	}))
	write(w.t, filepath.Join(dir, ".gitignore"), c.rules)
	return c
}

func drawRules(r *rand.Rand) string {
	var b strings.Builder
	if r.Intn(40) == 0 {
		b.WriteString("\ufeff")
	}
	for range 1 + r.Intn(6) {
		if r.Intn(4) == 0 {
			b.WriteString("!")
		}
		if r.Intn(4) == 0 {
			b.WriteString("/")
		}
		for i := range 1 + r.Intn(3) {
			if i > 0 {
				b.WriteString("/")
			}
			b.WriteString(patternPieces[r.Intn(len(patternPieces))])
			if r.Intn(6) == 0 {
				b.WriteString(patternPieces[r.Intn(len(patternPieces))])
			}
		}
		b.WriteString([]string{"", "", "", "/", "/", "/**", "/*", " ", "\\ ", "\t", "  "}[r.Intn(11)])
		b.WriteString([]string{"\n", "\n", "\n", "\n", "\n", "\r\n", "\n\n", "\n# x\n"}[r.Intn(8)])
	}
	return b.String()
}

// ignoredByGit asks git once for all cases.
func (w *world) ignoredByGit(all string, cases []conformCase) []map[string]bool {
	var in bytes.Buffer
	ignored := make([]map[string]bool, len(cases))
	index := map[string]int{}
	for i, c := range cases {
		ignored[i] = map[string]bool{}
		index[filepath.Base(c.dir)] = i
		for _, p := range c.paths {
			fmt.Fprintf(&in, "%s/%s\x00", filepath.Base(c.dir), p)
		}
	}
	git := exec.Command("git", "-C", all, "-c", "core.excludesFile=/dev/null", "check-ignore", "--no-index", "--stdin", "-z")
	git.Env, git.Stdin = w.env, &in
	out, err := git.Output()
	if err != nil && git.ProcessState.ExitCode() != 1 {
		w.t.Fatalf("git check-ignore: %v", err)
	}
	hits := 0
	for _, p := range strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if name, rel, ok := strings.Cut(p, "/"); ok {
			ignored[index[name]][rel] = true
			hits++
		}
	}
	if hits < len(cases)/10 {
		w.t.Fatalf("git ignores %d paths of %d cases: nothing is tested", hits, len(cases))
	}
	return ignored
}

// judge compares explain and the mirror with what git says.
func (w *world) judge(c conformCase, ignored map[string]bool) {
	var want []string
	for _, p := range c.paths {
		if !ignored[p] {
			want = append(want, p)
		}
	}
	slices.Sort(want)
	for name, got := range map[string][]string{"explain": w.explained(c), "the mirror": w.mirrored(c)} {
		slices.Sort(got)
		if !slices.Equal(got, want) {
			w.t.Errorf("%s: rules %q\npaths %q\ngit shows   %q\nit shows    %q", name, c.rules, c.paths, want, got)
		}
	}
}

// explained are the paths that explain calls visible.
func (w *world) explained(c conformCase) []string {
	cmd := exec.Command(binary, "explain", "--stdin", "-z", "--json")
	cmd.Dir, cmd.Env, cmd.Stdin = c.dir, w.env, strings.NewReader(strings.Join(c.paths, "\x00")+"\x00")
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState.ExitCode() != 1 {
		w.t.Errorf("explain: %v, rules %q", err, c.rules)
	}
	var visible []string
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var line struct {
			Path, Access string
			B64          string `json:"path_b64"`
		}
		if err := d.Decode(&line); err != nil {
			w.t.Errorf("explain --json: %v in %q", err, out)
			return nil
		}
		if line.B64 != "" {
			b, _ := base64.StdEncoding.DecodeString(line.B64)
			line.Path = string(b)
		}
		if line.Access != "hidden" && line.Access != "excluded" {
			visible = append(visible, line.Path)
		}
	}
	return visible
}

// mirrored are the paths of the mirror that create builds.
func (w *world) mirrored(c conformCase) []string {
	mirror := c.dir + ".mirror"
	cmd := exec.Command(binary, "create", "-q", "--mirror-dir", mirror)
	cmd.Dir, cmd.Env = c.dir, w.env
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Errorf("create: %v %s, rules %q", err, out, c.rules)
		return nil
	}
	var seen []string
	filepath.WalkDir(mirror, func(p string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(mirror, p)
		if err == nil && p != mirror && rel != ".alca-mount" && rel != "_MOUNT_README.md" {
			seen = append(seen, rel)
		}
		return err
	})
	return seen
}
