package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/alca-mount/alca-mount/launcher/internal/docker"
)

// Settings are a container's, whatever runs in it.
type Settings struct {
	Image   string
	User    Identity
	Network string
	Memory  int64
	CPUs    float64
	CapAdd  []string
	CapDrop []string
	Binds   []docker.Bind
	Labels  map[string]string
}

// Spec is one command in a container of its own.
type Spec struct {
	Settings
	Command               []string // behind the image's entrypoint
	Entrypoint            []string // nil: the image's
	Env                   []string
	Dir                   string
	Stdin, Stdout, Stderr *os.File
	Grace                 time.Duration
	Signals               <-chan os.Signal
}

// Exit is how it ended.
type Exit struct {
	Code   int
	Killed bool // the grace period passed
}

// ErrMayRun means that it is not known whether the container still runs: whoever has its files must not take them away.
var ErrMayRun = errors.New("the container may still be running")

// Run makes a container, runs the command in it as `docker run` would, and removes it. An error with a zero Exit means
// that the command did not start.
func Run(ctx context.Context, e *Engine, s Spec) (exit Exit, err error) {
	console, err := openConsole(s.Stdin, s.Stdout, s.Stderr)
	if err != nil {
		return Exit{}, err
	}
	defer console.close()
	id, err := e.make(ctx, s, &console)
	if err != nil {
		return Exit{}, err
	}
	defer func() {
		// Its own context: what ended ours must not leave a container behind.
		if rerr := e.removeSurely(context.WithoutCancel(ctx), id); rerr != nil {
			err = errors.Join(err, fmt.Errorf("%w: %w", ErrMayRun, rerr))
		}
	}()
	stream, err := e.Attach(ctx, id, console.tty(), true)
	if err != nil {
		return startFailure(err), err // Podman sets the container up for it
	}
	if err := e.Start(ctx, id); err != nil {
		stream.Close()
		return startFailure(err), err
	}
	p := &process{console: console, stream: stream, grace: s.Grace, signals: s.Signals}
	p.signal = func(ctx context.Context, sig syscall.Signal) error { return e.Signal(ctx, id, strconv.Itoa(int(sig))) }
	p.resize = func(ctx context.Context, rows, cols uint) error { return e.Resize(ctx, id, rows, cols) }
	p.ended = func(ctx context.Context) <-chan docker.Ending { return e.Wait(ctx, id, docker.NotRunning) }
	p.look = func(ctx context.Context) (docker.Ending, bool) {
		c, err := e.Look(ctx, id)
		return docker.Ending{Code: c.Code}, err == nil && c.Exited
	}
	return p.toEnd(ctx)
}

// make creates the container; with an init process where the engine has one.
func (e *Engine) make(ctx context.Context, s Spec, c *console) (string, error) {
	rows, cols, _ := c.size()
	spec := docker.Spec{
		Image: s.Image, Cmd: s.Command, Entrypoint: s.Entrypoint, Env: s.Env, Dir: s.Dir, TTY: c.tty(), Rows: rows, Cols: cols, Stdin: true,
		User: s.User.User, UserNS: s.User.NS, Labels: s.Labels, Binds: s.Binds, Init: true, Network: networkOf(e.Kind, e.Facts, s.Network),
		Memory: s.Memory, NanoCPUs: int64(s.CPUs * 1e9), CapAdd: s.CapAdd, CapDrop: s.CapDrop,
	}
	if e.Facts.SELinux {
		spec.SecurityOpt = []string{"label=disable"} // the mirror has no container's label
	}
	id, _, err := e.Create(ctx, spec)
	if err != nil && noInit(err) {
		spec.Init = false
		id, _, err = e.Create(ctx, spec)
	}
	return id, err
}

// noInit recognises an engine without an init program: Podman where catatonit is not installed.
func noInit(err error) bool {
	text := err.Error()
	return strings.Contains(text, "catatonit") || strings.Contains(text, "container-init binary") || strings.Contains(text, "init binary")
}

// startFailure is the exit code that `docker run` gives to a command that could not be started; without an init process
// the engine itself starts it and says why it can't.
func startFailure(err error) Exit {
	_, text, isExec := strings.Cut(err.Error(), "exec: ")
	switch {
	case !isExec:
	case strings.Contains(text, "executable file not found"), strings.Contains(text, "no such file or directory"):
		return Exit{Code: 127}
	case strings.Contains(text, "permission denied"):
		return Exit{Code: 126}
	}
	return Exit{}
}

// removeTries bounds how often a removal is tried.
const removeTries = 3

func (e *Engine) removeSurely(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var err error
	for range removeTries {
		if err = e.Remove(ctx, id); err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
	return err
}

// process is a command in a container that runs, and we with it.
type process struct {
	console console
	stream  *docker.Stream
	grace   time.Duration
	signals <-chan os.Signal
	signal  func(context.Context, syscall.Signal) error
	resize  func(context.Context, uint, uint) error
	ended   func(context.Context) <-chan docker.Ending
	look    func(context.Context) (end docker.Ending, over bool)

	ending <-chan time.Time // the grace period's end, once it has begun
	killed bool
}

// outputTime is how long output may come after the command's end is known.
const outputTime = 5 * time.Second

// toEnd carries streams, signals and size until the command has ended and its output is out.
func (p *process) toEnd(ctx context.Context) (Exit, error) {
	defer p.console.close()
	defer p.stream.Close()
	calls := context.WithoutCancel(ctx)
	ended := p.ended(calls)
	out := p.console.carry(p.stream)
	soon := p.endSoon(calls, out)
	p.fit(calls)
	done := ctx.Done()
	for {
		select {
		case end := <-soon:
			return Exit{Code: end.Code, Killed: p.killed}, nil
		case end := <-ended:
			select {
			case <-out:
			case <-time.After(outputTime):
			}
			if end.Err != nil {
				return Exit{Code: 125}, fmt.Errorf("%w: %w", ErrMayRun, end.Err)
			}
			return Exit{Code: end.Code, Killed: p.killed}, nil
		case <-done:
			done = nil
			p.pass(calls, syscall.SIGTERM)
		case sig, open := <-p.signals:
			if !open {
				p.signals = nil
			} else if s, ok := sig.(syscall.Signal); ok {
				p.pass(calls, s)
			}
		case <-p.console.resized():
			p.fit(calls)
		case <-p.console.gone():
			p.pass(calls, syscall.SIGHUP)
		case <-p.ending:
			p.killed, p.ending = true, nil
			_ = p.signal(calls, syscall.SIGKILL)
		}
	}
}

// endSoon looks for the end once there is no more output: Podman's own word for it comes a quarter of a second late. A command
// that has closed its streams and goes on is waited for as ever.
func (p *process) endSoon(ctx context.Context, out <-chan struct{}) <-chan docker.Ending {
	found := make(chan docker.Ending, 1)
	go func() {
		<-out
		for range 10 {
			if end, over := p.look(ctx); over {
				found <- end
				return
			}
			time.Sleep(15 * time.Millisecond)
		}
	}()
	return found
}

// fit gives the terminal inside the size of ours. At first it may not be there yet; and the command may have ended: then it
// has no size to be given.
func (p *process) fit(ctx context.Context) {
	rows, cols, ok := p.console.size()
	for range fitTries {
		if !ok || p.resize(ctx, rows, cols) == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

const fitTries = 5

// pass sends a signal on. The first that asks the command to end begins the grace period.
func (p *process) pass(ctx context.Context, s syscall.Signal) {
	if !passedOn(s) {
		return
	}
	_ = p.signal(ctx, s) // it may have ended: then there is nobody to be told
	if (s == syscall.SIGTERM || s == syscall.SIGHUP) && p.ending == nil && !p.killed {
		p.ending = time.After(p.grace)
	}
}
