package autosync

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// The first name was gone again when its rename was told.
func TestRenamesOfHiddenFilesAreFollowedOverEachName(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"c", "z"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := safety.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	policy, err := dotfiles.New(dotfiles.Rules{Hidden: []dotfiles.Rule{{Pattern: ".env"}}})
	if err != nil {
		t.Fatal(err)
	}
	h := newHiddenInodes()
	h.renamed(root, policy, ".env", "a")
	h.renamed(root, policy, "a", "b")
	h.renamed(root, policy, "b", "c")
	h.renamed(root, policy, "y", "z")
	for name, want := range map[safety.RelPath]bool{"c": true, "z": false} {
		info, err := root.Lstat(name)
		if err != nil || h.has(root, name, info) != want {
			t.Errorf("%s hidden: %v, want %v (%v)", name, !want, want, err)
		}
	}
}

// FUSE and some network file systems tell no time of birth. What was hidden stays so under its new names, also when it
// is edited there; another file that gets its number does not.
func TestAHiddenInodeWithoutABirthStaysHiddenWhenItIsEdited(t *testing.T) {
	dir := t.TempDir()
	root, err := safety.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	policy, err := dotfiles.New(dotfiles.Rules{Hidden: []dotfiles.Rule{{Pattern: "hid"}}})
	if err != nil {
		t.Fatal(err)
	}
	h := newHiddenInodes()
	h.birth = func(*safety.Root, safety.RelPath, safety.Info) int64 { return 0 }
	has := func(p safety.RelPath) bool {
		info, err := root.Lstat(p)
		if err != nil {
			t.Fatal(err)
		}
		return h.has(root, p, info)
	}
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rename := func(from, to safety.RelPath) {
		if err := os.Rename(filepath.Join(dir, string(from)), filepath.Join(dir, string(to))); err != nil {
			t.Fatal(err)
		}
		h.renamed(root, policy, from, to)
	}
	write("hid", "secret")
	rename("hid", "shown")
	if !has("shown") {
		t.Error("under its new name it is not known")
	}
	write("shown", "more of the secret")
	if !has("shown") {
		t.Error("edited under its new name it is not known")
	}
	write("shown", "still more of the secret")
	rename("shown", "again")
	if !has("again") {
		t.Error("under a third name it is not known")
	}
	info, err := root.Lstat("again")
	if err != nil {
		t.Fatal(err)
	}
	info.Size++ // a new file of that number, elsewhere
	if h.has(root, "other", info) {
		t.Error("another file is taken for it")
	}
}
