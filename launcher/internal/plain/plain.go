// Package plain runs a command as the same user on the same machine: nothing is confined.
package plain

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// Spec is one command to run.
type Spec struct {
	Argv                  []string
	Dir                   string
	Env                   []string // complete; KEY=VALUE
	Stdin, Stdout, Stderr *os.File
	Grace                 time.Duration    // from the first TERM (or HUP, or ctx's end) to KILL
	Linger                time.Duration    // how long processes that outlive CMD are waited for before they are ended
	Signals               <-chan os.Signal // what our process got: INT, TERM, HUP, QUIT, WINCH, CONT are passed on
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
func Run(ctx context.Context, spec Spec) (Exit, error) { return Exit{}, errors.ErrUnsupported }
