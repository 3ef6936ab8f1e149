// Package plain runs a command as the same user on the same machine: nothing is confined.
// It behaves as if the command had been started by the shell itself, and it returns only when nothing of the command is left running.
//
// On a terminal (stdin and stdout are one, and it is ours to use) the command gets a pseudo-terminal of its own and leads a session there.
// Such a session has nobody outside it who could continue a stopped group, so the kernel drops the stop signals that a program
// with a handler raises for itself: a program that stops with SIGSTOP, or leaves the suspend key to the terminal, suspends; one
// that cleans up first and then raises SIGTSTP (vi, less) goes on instead.
//
// Otherwise the command has the streams as they are and a process group of its own, so that each signal reaches it exactly once:
// what the terminal sends to our group, or anybody to us, is passed on. When the command wants the terminal itself, the kernel stops it
// (SIGTTIN, SIGTTOU) and it is given the foreground then; until then a pager further down the pipeline keeps the keys.
//
// Processes that outlive the command come to us as their new parent (Linux only; see Leftovers), are given some time, and are ended.
// To tell them from other children of this program: children that were there before Run, and those in our own process group, as os/exec
// starts them, are never touched; for the others see Spec.Mark. A caller that waits for any child (wait4 with pid -1) would take them from us.
package plain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// Spec is one command to run.
type Spec struct {
	Argv                  []string
	Dir                   string           // "": ours
	Env                   []string         // complete; KEY=VALUE
	Stdin, Stdout, Stderr *os.File         // nil: the process's own
	Grace                 time.Duration    // from the first TERM (or HUP, or ctx's end) to KILL; 0: KILL at once
	Linger                time.Duration    // how long processes that outlive CMD are waited for before they are ended
	Signals               <-chan os.Signal // what our process got: all are passed on but TSTP, CONT and WINCH, which Run listens for itself

	// Mark is a KEY=VALUE of Env that no process outside this command carries. Where it is set, a process that outlives CMD is taken for
	// CMD's only with the mark in its environment, or in CMD's session or group. "": every new child of ours outside our group is CMD's,
	// which is surest where the program runs one command and starts nothing else.
	Mark string
}

// Exit is how CMD ended.
type Exit struct {
	Code   int            // its exit code; 128+N when signal N ended it
	Signal syscall.Signal // 0 when it exited by itself
	Killed bool           // the grace period passed and it was killed
	Left   int            // processes that outlived it and were ended
}

// Errors of Run, as the shell and docker run tell them apart.
var (
	ErrNotFound      = errors.New("command not found")      // exit code 127
	ErrNotExecutable = errors.New("command not executable") // exit code 126
)

// Run starts the command, passes signals and the terminal on, and returns when it and all its descendants are gone.
// An error with a zero Exit means that it was not started; with a filled one, that it ran but something of it could not be ended.
func Run(ctx context.Context, spec Spec) (Exit, error) {
	if len(spec.Argv) == 0 {
		return Exit{}, errors.New("run command: no command given")
	}
	if err := ctx.Err(); err != nil {
		return Exit{}, fmt.Errorf("run %s: %w", spec.Argv[0], err)
	}
	return runCommand(ctx, withStreams(spec))
}

// Find tells early what Run would say of a command that is not there: ErrNotFound or ErrNotExecutable. It is about names
// that are looked for in PATH; dir is where relative entries of it start.
func Find(name, dir string, env []string) error { return find(name, dir, env) }

func withStreams(spec Spec) Spec {
	if spec.Stdin == nil {
		spec.Stdin = os.Stdin
	}
	if spec.Stdout == nil {
		spec.Stdout = os.Stdout
	}
	if spec.Stderr == nil {
		spec.Stderr = os.Stderr
	}
	return spec
}
