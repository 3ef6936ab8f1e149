//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A configuration that hides more acts while CMD runs, whichever of its files says so and however it is saved.
func TestConfigurationThatHidesMoreActsLive(t *testing.T) {
	const included, extended = "includes = [\"conf/more.toml\"]\n", "extends = [\"node_modules/base.toml\"]\n"
	for _, c := range []struct{ name, before, file, after string }{
		{"the project's file", "", ".alca.toml", "exclude = [\"key\"]\n"},
		{"one made in mid-session", "-", ".alca.toml", "exclude = [\"key\"]\n"},
		{"an included file", included, "conf/more.toml", "exclude = [\"key\"]\n"},
		{"an extended file that is not mirrored", extended, "node_modules/base.toml", "exclude = [\"key\"]\n"},
		{"the user's file", "", "../home/.config/alca-mount/config.toml", "isolation = \"none\"\nexclude = [\"key\"]\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "key=seen before", "conf/more.toml=", "node_modules/base.toml=", "other=o")
			if c.before != "-" {
				write(t, filepath.Join(w.project, ".alca.toml"), c.before)
			}
			g, gate := w.gated()
			events := filepath.Join(w.dir, "events")
			p := w.start("--isolation", "none", "--events", events, "--", "sh", "-c", gate+"; echo mine > key; ls > \"$TOOLS/names\"")
			mirror := g.arrived()
			saved := filepath.Join(w.project, c.file)
			write(t, saved+".new", c.after)
			must(t, os.Rename(saved+".new", saved))
			w.until("key to go", func() bool { _, err := os.Lstat(filepath.Join(mirror, "key")); return os.IsNotExist(err) })
			g.open()
			r := p.wait()
			if r.code != 0 || !strings.Contains(r.stderr, "orphans: 1;") || read(t, filepath.Join(w.project, "key")) != "seen before\n" {
				t.Errorf("the project's key is %q: %v", read(t, filepath.Join(w.project, "key")), r)
			}
			if n := strings.Count(read(t, events), `"event":"rules"`); n == 0 {
				t.Errorf("no event tells of the rules: %s", read(t, events))
			}
		})
	}
}
