package patch

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What is printed of text files applies with git apply, whatever the names and contents.
func TestTextAppliesWithGit(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git")
	}
	r := rand.New(rand.NewPCG(1, 2))
	names := []string{"plain", "with space", "new\nline", `quo"te\`, "ünïcode", "\xff\xfe", "-dash", "tab\there", "dir/file"}
	var files []File
	for i, name := range names {
		for k := range 8 {
			f := File{OldPath: fmt.Sprintf("%s%d-%d", name, i, k), OldMode: Regular, NewMode: Regular, Old: randomText(r), New: randomText(r)}
			f.NewPath = f.OldPath
			switch k {
			case 0:
				f.OldMode, f.Old, f.NewMode = 0, nil, Executable
			case 1:
				f.NewMode, f.New = 0, nil
			case 2:
				f.NewMode, f.New = Executable, f.Old
			case 3:
				f.NewMode, f.New = Link, []byte("target")
			case 4:
				f.NewPath, f.New = "moved/"+f.NewPath, f.Old
			case 5:
				f.New = edited(r, f.Old)
			}
			files = append(files, f)
		}
	}
	apply(t, files)
}

func randomText(r *rand.Rand) []byte {
	var b strings.Builder
	for range r.IntN(30) {
		fmt.Fprintf(&b, "line %d\n", r.IntN(9))
	}
	if r.IntN(2) == 0 {
		b.WriteString("no newline here")
	}
	return []byte(b.String())
}

func edited(r *rand.Rand, text []byte) []byte {
	all := strings.SplitAfter(string(text), "\n")
	all[r.IntN(len(all))] += "in between\n"
	return []byte(strings.Join(all, ""))
}

func apply(t *testing.T, files []File) {
	t.Helper()
	dir := t.TempDir()
	var text strings.Builder
	for _, f := range files {
		if f.OldMode != 0 {
			write(t, filepath.Join(dir, f.OldPath), f.Old)
		}
		text.WriteString(f.Text())
	}
	git := exec.Command("git", "apply", "--whitespace=nowarn", "-")
	git.Dir, git.Env = dir, append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	git.Stdin = strings.NewReader(text.String())
	if out, err := git.CombinedOutput(); err != nil {
		t.Fatalf("git apply: %v\n%s", err, out)
	}
	for _, f := range files {
		check(t, dir, f)
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	_ = os.MkdirAll(filepath.Dir(path), 0o755)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, dir string, f File) {
	t.Helper()
	path := filepath.Join(dir, f.NewPath)
	info, err := os.Lstat(path)
	switch {
	case f.NewMode == 0:
		if err == nil {
			t.Errorf("%q is still there", f.NewPath)
		}
		return
	case err != nil:
		t.Errorf("%q: %v", f.NewPath, err)
		return
	case f.NewMode == Link:
		if got, _ := os.Readlink(path); got != string(f.New) {
			t.Errorf("%q leads to %q", f.NewPath, got)
		}
		return
	}
	if got, _ := os.ReadFile(path); string(got) != string(f.New) {
		t.Errorf("%q is\n%s\nwant\n%s\nby\n%s", f.NewPath, got, f.New, f.Text())
	}
	if info.Mode()&0o100 != 0 != (f.NewMode == Executable) {
		t.Errorf("%q has mode %v", f.NewPath, info.Mode())
	}
}

func TestBinaryIsNoted(t *testing.T) {
	f := File{OldPath: "x", NewPath: "x", OldMode: Regular, NewMode: Regular, Old: []byte("a\x00"), New: []byte("b")}
	want := "diff --git a/x b/x\nBinary files a/x and b/x differ\n"
	if got := f.Text(); got != want {
		t.Errorf("%q", got)
	}
}

func TestColourIsByKind(t *testing.T) {
	f := File{OldPath: "x", NewPath: "x", OldMode: Regular, NewMode: Regular, Old: []byte("-- a\n"), New: []byte("++ b\n")}
	got := Colour(f.Text())
	for _, want := range []string{"\x1b[1m--- a/x\x1b[m\n", "\x1b[31m--- a\x1b[m\n", "\x1b[32m+++ b\x1b[m\n", "\x1b[36m@@ -1 +1 @@\x1b[m\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
}

// What the agent wrote must not act on the terminal that it is shown on.
func TestVisibleLeavesNothingToActOnATerminal(t *testing.T) {
	got := Visible("+a\x1b[2Jb\tc\r\u202e\x9b\n")
	if want := "+a␛[2Jb    c␍<U+202E>\uFFFD\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
