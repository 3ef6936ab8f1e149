package safety

import (
	"path/filepath"
	"strings"
	"testing"
)

// What can't be compared may be the same directory under another name: project and mirror must not hold each other.
func TestWhatCannotBeComparedCountsAsHeld(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		dir, path string
		want      bool
	}{
		{dir, filepath.Join(dir, "in"), true},
		{filepath.Join(dir, "absent"), dir, false},
		{filepath.Join(dir, strings.Repeat("x", 300)), dir, true},
		{dir, filepath.Join(filepath.Dir(dir), strings.Repeat("x", 300)), true},
	} {
		if got := holds(c.dir, c.path); got != c.want {
			t.Errorf("%q holds %q: %v", c.dir, c.path, got)
		}
	}
}
