package mirror

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/alca-mount/alca-mount/mirror/mirrortest"
	"github.com/google/go-cmp/cmp"
)

// What hides in a directory that is left out is hidden in a copy of it, too; all else comes along, links out of the
// project by whole paths as well, but none that leads to a hidden file.
func TestCopyOfALeftOutDirectoryHoldsNothingHidden(t *testing.T) {
	w := newWorld(t, "d/node_modules/p/f = x", "d/node_modules/p/.env = S", "d/node_modules/p/.env~ = S", "d/node_modules/p/node_modules/q/f = y",
		"d/node_modules/p/dist/o", "d/node_modules/p/.git/config", "d/node_modules/.bin/f -> ../p/f", "d/node_modules/ws -> ../lib", "d/lib/l",
		"d/node_modules/py -> /usr/bin/python3", "d/node_modules/leak -> ../../.env", ".env = S", "d/node_modules/ro 0644 = r")
	if err := os.Symlink(filepath.Join(w.project, ".env"), filepath.Join(w.project, "d/node_modules/leak2")); err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	if _, err := CopyExcluded(t.Context(), w.project, "d/node_modules", to, Options{Policy: policyOf(t, rules(".env", "ro"))}); err != nil {
		t.Fatal(err)
	}
	want := []string{"d/ 0700", "d/node_modules/", "d/node_modules/.bin/", "d/node_modules/.bin/f -> ../p/f", "d/node_modules/p/",
		"d/node_modules/p/dist/", "d/node_modules/p/dist/o", "d/node_modules/p/f = x", "d/node_modules/p/node_modules/", "d/node_modules/p/node_modules/q/",
		"d/node_modules/p/node_modules/q/f = y", "d/node_modules/py -> /usr/bin/python3", "d/node_modules/ro = r", "d/node_modules/ws -> ../lib"}
	if diff := cmp.Diff(want, mirrortest.List(t, to)); diff != "" {
		t.Error(diff)
	}
}
