package safety

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestWalkIsSortedFollowsNothingAndSkips(t *testing.T) {
	top := t.TempDir()
	for _, dir := range []string{"a/b", "skipped/in", "z"} {
		if err := os.MkdirAll(filepath.Join(top, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a/b/2", "a/b/1", "a/c", "skipped/in/f", "z/f"} {
		if err := os.WriteFile(filepath.Join(top, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../z", filepath.Join(top, "a/link")); err != nil {
		t.Skip("no links:", err)
	}
	root, err := OpenRoot(top)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var got []string
	visit := func(p RelPath, info Info) error {
		got = append(got, string(p)+" "+info.Kind.String())
		if p == "skipped" {
			return fs.SkipDir
		}
		return nil
	}
	if err := root.Walk(Top, visit); err != nil {
		t.Fatal(err)
	}
	want := []string{"a directory", "a/b directory", "a/b/1 file", "a/b/2 file", "a/c file", "a/link symlink", "skipped directory", "z directory", "z/f file"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if err := root.Walk("gone/deeper", visit); err != nil {
		t.Errorf("a directory that is not there: %v", err)
	}
	if err := root.Walk("a/link", visit); !errors.Is(err, ErrChanged) {
		t.Errorf("a link: %v, want ErrChanged", err)
	}
}

// A walk ends at the first error of visit's, and what goes while it is under way is not one.
func TestWalkEndsAtAnErrorAndNotAtWhatGoes(t *testing.T) {
	top := t.TempDir()
	for _, dir := range []string{"a", "b", "c"} {
		if err := os.Mkdir(filepath.Join(top, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root, err := OpenRoot(top)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	stop := errors.New("stop")
	var got []RelPath
	err = root.Walk(Top, func(p RelPath, _ Info) error {
		got = append(got, p)
		switch p {
		case "a":
			return os.RemoveAll(filepath.Join(top, "a"))
		case "b":
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || !slices.Equal(got, []RelPath{"a", "b"}) {
		t.Errorf("visited %q: %v", got, err)
	}
}
