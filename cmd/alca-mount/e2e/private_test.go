//go:build linux

package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What was private in the project, and what the program made, may not be had by other users in any copy that is kept,
// whatever the umask.
func TestNoKeptCopyCanBeReadByOthers(t *testing.T) {
	defer unix.Umask(unix.Umask(0))
	w := newWorld(t, "replaced!666=SECRET", "deleted!666=SECRET", "both!666=SECRET", "ro!666=SECRET", ".envrc!666=SECRET",
		".agentignore=hidden", ".agentreadonly=ro", "wide/f!666=SECRET")
	must(t, os.Chmod(filepath.Join(w.project, "wide"), 0o777))
	work := `set -e; echo SECRET2 > replaced; rm deleted; echo SECRET2 > both; echo SECRET3 > "$ALCA_MOUNT_PROJECT/both"
		chmod 666 ro; echo SECRET2 > ro; echo SECRET2 > .envrc; mkdir -m 777 hidden; echo SECRET2 > hidden/x; chmod 666 hidden/x
		ln -s /etc/passwd out; rm -r wide; echo SECRET2 > new`
	w.expect(0, "--", "sh", "-c", work)
	w.expect(0, "--sync", "live", "--", "sh", "-c", `echo SECRET4 > replaced; echo SECRET4 > .envrc; echo SECRET4 > hidden/x`)
	mirror := w.create("--name", "kept")
	write(t, filepath.Join(mirror, "replaced"), "SECRET5")
	w.expect(0, "sync", "kept")
	w.expect(0, "orphans", "ls")
	w.expect(0, "status")
	secrets, own := 0, 0
	for _, top := range append(w.stores(), filepath.Join(w.state, "alca-mount")) {
		must(t, filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			if strings.Contains(read(t, path), "SECRET") {
				secrets++
				if !closed(t, top, path) {
					t.Errorf("others can read %s (%v)", path, info.Mode())
				}
			}
			if filepath.Base(filepath.Dir(filepath.Dir(path))) == "sessions" { // a file of the session's own
				own++
				if info.Mode().Perm()&0o077 != 0 {
					t.Errorf("%s has mode %v", path, info.Mode())
				}
			}
			return nil
		}))
	}
	if secrets < 8 || own < 6 {
		t.Errorf("only %d copies and %d files of sessions were found: there is nothing to look at", secrets, own)
	}
	for _, glob := range []string{"", "/*", "/*/sessions", "/*/sessions/*", "/*/sessions/*/held", "/*/sessions/*/store", "/*/orphans", "/*/orphans/*"} {
		dirs, _ := filepath.Glob(w.state + "/alca-mount" + glob)
		if len(dirs) == 0 {
			t.Errorf("there is no alca-mount%s", glob)
		}
		for _, dir := range dirs {
			if info, err := os.Lstat(dir); err == nil && info.IsDir() && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", dir, info.Mode())
			}
		}
	}
}

// closed reports whether a directory from top to path keeps others out.
func closed(t *testing.T, top, path string) bool {
	t.Helper()
	for dir := filepath.Dir(path); len(dir) >= len(top); dir = filepath.Dir(dir) {
		info, err := os.Lstat(dir)
		must(t, err)
		if info.Mode().Perm()&0o077 == 0 {
			return true
		}
	}
	return false
}

// A state directory that a link leads to is covered under every path that shows it.
func TestLinkedStateDirectoryIsCoveredUnderItsOtherNames(t *testing.T) {
	w := confined(t, "a=1")
	for _, d := range []string{"there", "alias"} {
		must(t, os.Mkdir(filepath.Join(w.dir, d), 0o755))
	}
	must(t, os.Symlink("there", filepath.Join(w.dir, "link")))
	w.env = append(w.env, "XDG_STATE_HOME="+filepath.Join(w.dir, "link"))
	how := "-m"
	if os.Getuid() != 0 {
		how = "-Urm"
	}
	w.prefix = []string{"unshare", how, "sh", "-c", "cd '" + w.dir + "' && mount --bind there alias && cd project && exec \"$@\"", "sh"}
	r := w.expect(0, "-q", "--isolation", "namespace", "--", "sh", "-c", "ls -A ../link/alca-mount ../there/alca-mount ../alias/alca-mount | grep -v :; true")
	if strings.TrimSpace(r.stdout) != "" {
		t.Errorf("%s", r)
	}
}
