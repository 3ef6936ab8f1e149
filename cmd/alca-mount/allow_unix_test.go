//go:build linux

package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// On a terminal the user is asked; what does not say yes is a no, and under a session nobody is asked.
func TestAllowIsAskedOnATerminal(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		answer, session string
		code            int
		asked           bool
	}{
		{"\n", "", 125, true}, {"no\n", "", 125, true}, {"\x04", "", 125, true}, {"y\n", "", 0, true}, {"YES\n", "", 0, true}, {"y\n", "x", 125, false},
	} {
		dir := t.TempDir()
		link := filepath.Join(dir, "bin", "alca-mount") // testscript's main goes by the name
		project := filepath.Join(dir, "p")
		for _, d := range []string{project, filepath.Dir(link)} {
			if err := os.MkdirAll(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(exe, link); err != nil {
			t.Fatal(err)
		}
		writeAll(t, project, map[string]string{".alca.toml": "env.A = 'x'\n"})
		cmd := exec.Command(link, "-C", project, "--", "true")
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_STATE_HOME="+dir+"/state", "XDG_CONFIG_HOME=", "ALCA_MOUNT_SESSION="+c.session)
		told, code := atTerminal(t, cmd, c.answer)
		if code != c.code || strings.Contains(told, "[y/N]") != c.asked {
			t.Errorf("%q: exit code %d, told %s", c.answer, code, told)
		}
		cmd = exec.Command(link, "-C", project, "--", "true")
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_STATE_HOME="+dir+"/state", "XDG_CONFIG_HOME=", "ALCA_MOUNT_SESSION=")
		if err := cmd.Run(); (err == nil) != (c.code == 0) {
			t.Errorf("%q: afterwards without a terminal: %v", c.answer, err)
		}
	}
}

// atTerminal runs cmd at a terminal, answers what it asks, and returns what it wrote and its exit code.
func atTerminal(t *testing.T, cmd *exec.Cmd, answer string) (string, int) {
	t.Helper()
	f, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	stop := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer stop.Stop()
	var told strings.Builder
	for in := bufio.NewReader(f); ; {
		b, err := in.ReadByte()
		if err != nil {
			break // the end of a terminal is EIO
		}
		told.WriteByte(b)
		if strings.HasSuffix(told.String(), "[y/N] ") {
			f.WriteString(answer)
		}
	}
	cmd.Wait()
	return told.String(), cmd.ProcessState.ExitCode()
}
