package docker

import (
	"context"
	"fmt"

	"github.com/docker/docker/api/types/container"
)

// ExecSpec is a further process in a container that runs.
type ExecSpec struct {
	Cmd   []string
	Env   []string
	Dir   string
	User  string
	TTY   bool
	Stdin bool
	Rows  uint // with TTY
	Cols  uint
}

// Exec makes a process and connects to it; it starts with the connection.
func (e *Engine) Exec(ctx context.Context, id string, s ExecSpec) (exec string, stream *Stream, err error) {
	opts := container.ExecOptions{
		Cmd: s.Cmd, Env: s.Env, WorkingDir: s.Dir, User: s.User, Tty: s.TTY,
		AttachStdin: s.Stdin, AttachStdout: true, AttachStderr: true, DetachKeys: execKeys,
	}
	start := container.ExecStartOptions{Tty: s.TTY}
	if s.TTY && s.Rows > 0 {
		start.ConsoleSize = &[2]uint{s.Rows, s.Cols}
	}
	made, err := e.api.ContainerExecCreate(ctx, id, opts)
	if err != nil {
		return "", nil, fmt.Errorf("make a process in the container: %w", gone(err))
	}
	h, err := e.api.ContainerExecAttach(ctx, made.ID, start)
	if err != nil {
		return "", nil, fmt.Errorf("start a process in the container: %w", gone(err))
	}
	return made.ID, newStream(h, s.TTY), nil
}

// ExecState is what became of a process.
type ExecState struct {
	Running bool
	Code    int
	Pid     int // as the engine's host counts
}

// ExecState asks.
func (e *Engine) ExecState(ctx context.Context, exec string) (ExecState, error) {
	got, err := e.api.ContainerExecInspect(ctx, exec)
	if err != nil {
		return ExecState{}, fmt.Errorf("ask for a process in the container: %w", gone(err))
	}
	return ExecState{Running: got.Running, Code: got.ExitCode, Pid: got.Pid}, nil
}

// ExecResize gives a process's terminal its size.
func (e *Engine) ExecResize(ctx context.Context, exec string, rows, cols uint) error {
	return e.api.ContainerExecResize(ctx, exec, container.ResizeOptions{Height: rows, Width: cols})
}
