package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
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
	Env                   []string
	Dir                   string
	Stdin, Stdout, Stderr *os.File
	Grace                 time.Duration
	Signals               <-chan os.Signal

	Meanwhile func(context.Context) error // called while the container starts; its error ends that. nil: nothing is
}

// Exit is how it ended.
type Exit struct {
	Code   int
	Killed bool // the grace period passed
}

// ErrMayRun means that it is not known whether the container still runs: whoever has its files must not take them away.
var ErrMayRun = errors.New("the container may still be running")

// Run runs the command in a container as `docker run` would, and removes that: in the one that was prepared for it, or, where
// that is not what is asked for now, in another. An error with a zero Exit means that the command did not start.
// gone waits for the removal; where it is nil, that is done.
func Run(ctx context.Context, e *Engine, s Spec, early *Prepared) (exit Exit, gone func() error, err error) {
	console := lookConsole(s.Stdin, s.Stdout, s.Stderr)
	if err := console.take(); err != nil {
		return Exit{}, nil, errors.Join(err, early.Discard(ctx))
	}
	defer console.close()
	p := early
	if spec := e.specOf(s, &console); !early.fits(e, spec) {
		if err := early.Discard(ctx); err != nil {
			return Exit{}, nil, err
		}
		if p, exit, err = e.prepare(ctx, spec); err != nil {
			return exit, nil, err
		}
	}
	out := console.hear(p.stream) // the engine's word that it is started comes after the command's first
	if err := e.start(ctx, p.id, s.Meanwhile); err != nil {
		p.stream.Close()
		<-out
		return startFailure(err), nil, e.alsoRemove(ctx, p.id, err)
	}
	exit, err = e.process(p, console, s).toEnd(ctx, out)
	if err != nil {
		return exit, nil, e.alsoRemove(ctx, p.id, err)
	}
	removed := make(chan error, 1)
	go func() { removed <- e.removeSurely(context.WithoutCancel(ctx), p.id) }()
	return exit, sync.OnceValue(func() error { return <-removed }), nil
}

// start starts a container and does something else meanwhile; it returns when both are done.
func (e *Engine) start(ctx context.Context, id string, meanwhile func(context.Context) error) error {
	var other error
	var done sync.WaitGroup
	if meanwhile != nil {
		done.Go(func() { other = meanwhile(ctx) })
	}
	err := e.Start(ctx, id)
	done.Wait()
	return errors.Join(err, other)
}

// process is the command of a container that was started.
func (e *Engine) process(c *Prepared, console console, s Spec) *process {
	p := &process{console: console, stream: c.stream, grace: s.Grace, signals: s.Signals}
	p.signal = func(ctx context.Context, sig syscall.Signal) error {
		return e.Signal(ctx, c.id, strconv.Itoa(int(sig)))
	}
	p.resize = func(ctx context.Context, rows, cols uint) error { return e.Resize(ctx, c.id, rows, cols) }
	p.ended = func(ctx context.Context) <-chan docker.Ending { return e.Wait(ctx, c.id, docker.NotRunning) }
	p.look = func(ctx context.Context) (docker.Ending, bool) {
		c, err := e.Look(ctx, c.id)
		return docker.Ending{Code: c.Code}, err == nil && c.Exited
	}
	return p
}

// alsoRemove removes a container after an error. Its own context: what ended ours must not leave a container behind.
func (e *Engine) alsoRemove(ctx context.Context, id string, err error) error {
	if rerr := e.removeSurely(context.WithoutCancel(ctx), id); rerr != nil {
		return errors.Join(err, fmt.Errorf("%w: %w", ErrMayRun, rerr))
	}
	return err
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

// toEnd carries stdin, signals and size until the command has ended and its output is out.
func (p *process) toEnd(ctx context.Context, out <-chan struct{}) (Exit, error) {
	defer p.console.close()
	defer p.stream.Close()
	calls := context.WithoutCancel(ctx)
	ended := p.ended(calls)
	p.console.speak(p.stream)
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
		case <-p.console.unheard():
			_ = p.signal(calls, syscall.SIGPIPE)
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
