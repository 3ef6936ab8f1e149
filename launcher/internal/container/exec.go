package container

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/alca-mount/alca-mount/launcher/internal/docker"
)

// ExecSpec is a further command in a container that runs.
type ExecSpec struct {
	Command               []string
	Env                   []string
	Dir                   string
	Stdin, Stdout, Stderr *os.File
	Signals               <-chan os.Signal
}

// markVariable tells a command, and all that it starts, from what else runs in the container: engines pass no signals on.
const markVariable = "ALCA_MOUNT_EXEC"

// Exec runs a command in a container and waits for its end.
func Exec(ctx context.Context, e *Engine, id string, s ExecSpec) (Exit, error) {
	console := lookConsole(s.Stdin, s.Stdout, s.Stderr)
	if err := console.take(); err != nil {
		return Exit{}, err
	}
	defer console.close()
	rows, cols, _ := console.size()
	mark := markVariable + "=" + rand.Text()
	exec, stream, err := e.Exec(ctx, id, docker.ExecSpec{
		Cmd: s.Command, Env: append(s.Env, mark), Dir: s.Dir, TTY: console.tty(), Stdin: true, Rows: rows, Cols: cols,
	})
	if err != nil {
		return startFailure(err), err
	}
	p := &process{console: console, stream: stream, signals: s.Signals}
	p.signal = func(ctx context.Context, sig syscall.Signal) error { return e.signalMarked(ctx, id, mark, sig) }
	p.resize = func(ctx context.Context, rows, cols uint) error { return e.ExecResize(ctx, exec, rows, cols) }
	p.look = func(ctx context.Context) (docker.Ending, bool) {
		state, err := e.ExecState(ctx, exec)
		return docker.Ending{Code: state.Code}, err == nil && !state.Running
	}
	p.ended = func(ctx context.Context) <-chan docker.Ending { return e.execEnd(ctx, exec) }
	p.grace = 365 * 24 * time.Hour // it is told, and never killed: the container goes on
	return p.toEnd(ctx, console.hear(stream))
}

// execTurn is how often the end of a command is looked for that has closed its streams: engines don't tell of it.
const execTurn = 200 * time.Millisecond

func (e *Engine) execEnd(ctx context.Context, exec string) <-chan docker.Ending {
	out := make(chan docker.Ending, 1)
	go func() {
		for {
			time.Sleep(execTurn)
			state, err := e.ExecState(ctx, exec)
			if err != nil || !state.Running {
				out <- docker.Ending{Code: state.Code, Err: err}
				return
			}
		}
	}()
	return out
}

// signalMarked sends a signal to all processes in a container that have a mark in their environment.
func (e *Engine) signalMarked(ctx context.Context, id, mark string, sig syscall.Signal) error {
	script := fmt.Sprintf(`for p in /proc/[0-9]*; do
	tr '\0' '\n' <"$p/environ" | grep -qx "$1" && kill -%d "${p#/proc/}"
done 2>/dev/null; true`, int(sig))
	_, stream, err := e.Exec(ctx, id, docker.ExecSpec{Cmd: []string{"sh", "-c", script, "sh", mark}, Env: []string{}})
	if err != nil {
		return err
	}
	defer stream.Close()
	return stream.CopyOut(io.Discard, &strings.Builder{})
}
