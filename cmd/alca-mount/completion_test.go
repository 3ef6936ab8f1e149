//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// completed asks a shell what it would offer for a line, in a home with a kept session called mine. The shell has the
// program's own script, and nothing else.
func completed(t *testing.T, shell, script string) string {
	t.Helper()
	if _, err := exec.LookPath(shell); err != nil {
		t.Skipf("%s is not installed", shell)
	}
	program, err := exec.LookPath("alca-mount") // the test binary itself, by testscript
	if err != nil {
		t.Skip("alca-mount is not on the path")
	}
	sh := newShell(t)
	project := filepath.Join(sh.home, "project")
	writeAll(t, project, map[string]string{"file": "1"})
	dir := filepath.Dir(program)
	env := append(sh.env, "PATH="+dir+":"+os.Getenv("PATH"), "PROGRAM="+program)
	run := func(name string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Env = project, env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
		return string(bytes.TrimSpace(out))
	}
	run(program, "-q", "create", "--name", "mine")
	text := run(program, "completion", shell)
	if err := os.WriteFile(filepath.Join(sh.home, "completion"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return run(shell, "-c", script)
}

// Bash without the package that its scripts usually lean on: the words of the line are given by hand.
func TestBashCompletesSessionsAndFlags(t *testing.T) {
	const ask = `. ~/completion
_init_completion() { cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD; }
compopt() { :; }
offer() { COMP_WORDS=(alca-mount "$@") COMP_CWORD=$# COMP_LINE="alca-mount $*" COMP_TYPE=9 COMPREPLY=(); COMP_POINT=${#COMP_LINE}
 __start_alca-mount; printf '%s\n' "${COMPREPLY[@]}"; }
`
	for line, want := range map[string]string{"offer undo mi": "mine", "offer diff mi": "mine", "offer --exclu": "--exclude", "offer doct": "doctor", "offer run --sync ''": "review"} {
		if got := completed(t, "bash", ask+line); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %s", line, got, want)
		}
	}
}

func TestFishCompletesSessionsAndFlags(t *testing.T) {
	got := completed(t, "fish", `source ~/completion; complete -C 'alca-mount undo mi'; complete -C 'alca-mount --exclu'`)
	if !strings.Contains(got, "mine") || !strings.Contains(got, "--exclude") {
		t.Errorf("%q", got)
	}
}

// Zsh offers on a terminal only: what its function asks the program for is looked at, and that zsh reads it.
func TestZshReadsItsScript(t *testing.T) {
	got := completed(t, "zsh", `zsh -n ~/completion && "$PROGRAM" __complete undo mi`)
	if !strings.Contains(got, "mine") {
		t.Errorf("%q", got)
	}
}
