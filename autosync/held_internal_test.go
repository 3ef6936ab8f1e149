package autosync

import (
	"path/filepath"
	"strings"
	"testing"
)

// Only of a version that is known to be gone the note is dropped for a newer one.
func TestHeldVersionThatCannotBeLookedForIsKept(t *testing.T) {
	dir := t.TempDir()
	now := []HeldChange{{Path: "a"}}
	for _, c := range []struct {
		name, kept string
		in         bool
	}{
		{"a deletion", "", true},
		{"there", dir, false},
		{"gone", filepath.Join(dir, "absent"), true},
		{"unknown", filepath.Join(dir, strings.Repeat("x", 300)), false},
	} {
		if got := (HeldChange{Path: "a", Kept: c.kept}).isIn(now); got != c.in {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
