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
