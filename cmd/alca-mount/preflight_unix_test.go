//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// At a terminal the rules are offered before the first launch; what CMD then sees goes by the answer, and it is asked once.
func TestPreflightIsAskedOnATerminal(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		answer string
		flags  []string
		asked  bool
		hidden bool
	}{
		{"y\n", nil, true, true}, {"\n", nil, true, false}, {"", []string{"-y"}, false, true}, {"", []string{"--no-preflight"}, false, false},
	} {
		dir := t.TempDir()
		link, project := filepath.Join(dir, "bin", "alca-mount"), filepath.Join(dir, "p")
		for _, d := range []string{project, filepath.Dir(link)} {
			if err := os.MkdirAll(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(exe, link); err != nil {
			t.Fatal(err)
		}
		writeAll(t, project, map[string]string{".env": "KEY=42\n"})
		launch := func() (string, int) {
			cmd := exec.Command(link, append(c.flags, "-C", project, "--", "sh", "-c", "cat .env && exit 3; exit 4")...)
			cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_STATE_HOME="+dir+"/state", "XDG_CONFIG_HOME=", "ALCA_MOUNT_SESSION=")
			return atTerminal(t, cmd, c.answer)
		}
		want := map[bool]int{true: 4, false: 3}[c.hidden]
		told, code := launch()
		if code != want || strings.Contains(told, "[y/N]") != c.asked {
			t.Errorf("%q %q: exit code %d, want %d; told %s", c.answer, c.flags, code, want, told)
		}
		told, code = launch()
		if code != want || strings.Contains(told, "[y/N]") || strings.Contains(told, "looks like") {
			t.Errorf("%q %q, the second time: exit code %d, want %d; told %s", c.answer, c.flags, code, want, told)
		}
	}
}
