package gitignore

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	sabhiram "github.com/sabhiram/go-gitignore"
)

var (
	casesFlag = flag.Int("cases", 4000, "how many (rules, tree) cases the conformance test compares with git")
	seedFlag  = flag.Uint64("seed", 0, "seed of the conformance test; 0: from the clock")
)

// entry is one path of a test tree.
type entry struct {
	path  string
	isDir bool
}

// repo is a git repository of which each top directory is a tree with a .gitignore of its own.
type repo struct {
	dir   string
	env   []string
	trees [][]entry
}

func newRepo(t *testing.T) *repo {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git binary, which is the oracle:", err)
	}
	dir := t.TempDir()
	r := &repo{dir: dir, env: append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull)}
	r.git(t, nil, "init", "-q")
	return r
}

func (r *repo) git(t *testing.T, stdin []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env, cmd.Stdin = r.dir, r.env, bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); ok && exit.ExitCode() == 1 && stderr.Len() == 0 {
		err = nil // no path is ignored
	}
	if err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, stderr.String())
	}
	return out
}

func (r *repo) tree(i int) string { return filepath.Join(r.dir, strconv.Itoa(i)) }

// plant makes a tree of paths, a trailing slash for directories, and remembers what really is there.
func (r *repo) plant(t *testing.T, paths []string) {
	t.Helper()
	top := r.tree(len(r.trees))
	for _, p := range append([]string{".gitignore"}, paths...) {
		full := filepath.Join(top, p)
		if strings.HasSuffix(p, "/") {
			os.MkdirAll(full, 0o755) // a file may be in the way already: the walk below tells
			continue
		}
		os.MkdirAll(filepath.Dir(full), 0o755)
		if f, err := os.OpenFile(full, os.O_CREATE|os.O_WRONLY, 0o644); err == nil {
			f.Close()
		}
	}
	var entries []entry
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err == nil && p != top {
			entries = append(entries, entry{filepath.ToSlash(p[len(top)+1:]), d.IsDir()})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r.trees = append(r.trees, entries)
}

// verdict is what an oracle, or this package, says of a path: the line that decides (0: none) and the pattern.
type verdict struct {
	line    int
	pattern string
}

// ask writes one pattern file into each tree named and returns git's verdicts, by tree and entry.
func (r *repo) ask(t *testing.T, trees []int, files []string, fold bool) [][]verdict {
	t.Helper()
	var in bytes.Buffer
	for i, tree := range trees {
		if err := os.WriteFile(filepath.Join(r.tree(tree), ".gitignore"), []byte(files[i]), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, e := range r.trees[tree] {
			fmt.Fprintf(&in, "%d/%s\x00", tree, e.path)
		}
	}
	out := r.git(t, in.Bytes(), "-c", "core.ignorecase="+strconv.FormatBool(fold), "check-ignore", "--no-index", "--stdin", "-z", "-v", "-n")
	fields := strings.Split(string(out), "\x00")
	verdicts := make([][]verdict, len(trees))
	for i, tree := range trees {
		for range r.trees[tree] {
			line, _ := strconv.Atoi(fields[1])
			verdicts[i] = append(verdicts[i], verdict{line, fields[2]})
			fields = fields[4:]
		}
	}
	return verdicts
}

func parseAll(file string, fold bool) (List, []string) {
	lines := Lines(file)
	list := make(List, len(lines))
	for i, line := range lines {
		list[i], _ = Parse(line, fold)
	}
	return list, lines
}

func ours(list List, lines []string, e entry) verdict {
	i, _ := list.Decide(e.path, e.isDir)
	if i == None {
		return verdict{}
	}
	return verdict{i + 1, Trim(lines[i])}
}

// mismatches compares one case and returns a line for each path on which git and this package differ.
func mismatches(file string, entries []entry, want []verdict, fold bool) []string {
	list, lines := parseAll(file, fold)
	var bad []string
	for i, e := range entries {
		if got := ours(list, lines, e); got != want[i] {
			bad = append(bad, fmt.Sprintf("%q (dir %v): git %d %q, here %d %q", e.path, e.isDir, want[i].line, want[i].pattern, got.line, got.pattern))
		}
	}
	return bad
}

// shrink takes lines out of file as long as the case still fails.
func (r *repo) shrink(t *testing.T, tree int, file string, fold bool) (string, []string) {
	fails := func(file string) []string {
		return mismatches(file, r.trees[tree], r.ask(t, []int{tree}, []string{file}, fold)[0], fold)
	}
	lines := strings.SplitAfter(file, "\n")
	for i := 0; i < len(lines); {
		less := slices.Delete(slices.Clone(lines), i, i+1)
		if fails(strings.Join(less, "")) == nil {
			i++
			continue
		}
		lines = less
	}
	file = strings.Join(lines, "")
	return file, fails(file)
}

func newGenerator(t *testing.T) *generator {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d (rerun with -seed)", seed)
	return &generator{rand.New(rand.NewPCG(seed, 1))}
}

// treesPerCall cases are asked in one git process.
const treesPerCall = 50

func TestAgreesWithGitOnRandomListsAndTrees(t *testing.T) {
	g := newGenerator(t)
	r := newRepo(t)
	for range treesPerCall {
		r.plant(t, g.tree())
	}
	var all []int
	for i := range r.trees {
		all = append(all, i)
	}
	var second tally
	hits, paths := 0, 0
	for done := 0; done < *casesFlag; done += treesPerCall {
		files := make([]string, treesPerCall)
		for i := range files {
			files[i] = g.file()
		}
		want := r.ask(t, all, files, false)
		for i, file := range files {
			if bad := mismatches(file, r.trees[i], want[i], false); bad != nil {
				small, bad := r.shrink(t, i, file, false)
				t.Fatalf("list %q differs from git:\n%s", small, strings.Join(bad, "\n"))
			}
			for _, v := range want[i] {
				paths++
				if v.line > 0 {
					hits++
				}
			}
			if i == 0 {
				second.count(file, r.trees[i], want[i])
			}
		}
	}
	t.Logf("%d cases, %d paths, %d of them matched by a pattern", *casesFlag, paths, hits)
	t.Logf("sabhiram/go-gitignore on a sample: %s", &second)
	if hits < paths/10 {
		t.Error("the generator makes patterns that hardly match anything")
	}
}

// tally counts how the second reader of patterns does on the same cases.
type tally struct{ lists, wrongLists, ignored, leaked int }

func (c *tally) count(file string, entries []entry, want []verdict) {
	second := sabhiram.CompileIgnoreLines(strings.Split(file, "\n")...)
	wrong := false
	for i, e := range entries {
		path := e.path
		if e.isDir {
			path += "/"
		}
		ignored := want[i].line > 0 && !strings.HasPrefix(want[i].pattern, "!")
		got := second.MatchesPath(path)
		wrong = wrong || got != ignored
		if ignored {
			c.ignored++
			if !got {
				c.leaked++
			}
		}
	}
	c.lists++
	if wrong {
		c.wrongLists++
	}
}

func (c *tally) String() string {
	return fmt.Sprintf("%d of %d lists read differently, %d of %d ignored paths shown", c.wrongLists, c.lists, c.leaked, c.ignored)
}
