package container

import (
	"context"
	"reflect"

	"github.com/alca-mount/alca-mount/launcher/internal/docker"
)

// Prepared is a container that is made and connected to, and whose command has not started. What it binds may still be
// being filled.
type Prepared struct {
	engine *Engine
	id     string
	spec   docker.Spec
	stream *docker.Stream
}

// Prepare makes the container that Run is going to be asked for.
func Prepare(ctx context.Context, e *Engine, s Spec) (*Prepared, error) {
	console := lookConsole(s.Stdin, s.Stdout, s.Stderr)
	p, _, err := e.prepare(ctx, e.specOf(s, &console))
	return p, err
}

// Discard removes it.
func (p *Prepared) Discard(ctx context.Context) error {
	if p == nil {
		return nil
	}
	p.stream.Close()
	return p.engine.removeSurely(context.WithoutCancel(ctx), p.id)
}

// fits reports whether it is what spec asks of e, but for the terminal's size: that is given again.
func (p *Prepared) fits(e *Engine, spec docker.Spec) bool {
	if p == nil || p.engine.Engine != e.Engine {
		return false
	}
	was := p.spec
	was.Rows, was.Cols, spec.Rows, spec.Cols = 0, 0, 0, 0
	return reflect.DeepEqual(was, spec)
}

// prepare makes a container and connects to it; the Exit is what a failure is to the command.
func (e *Engine) prepare(ctx context.Context, spec docker.Spec) (*Prepared, Exit, error) {
	id, err := e.make(ctx, spec)
	if err != nil {
		return nil, Exit{}, err
	}
	p := &Prepared{engine: e, id: id, spec: spec}
	if p.stream, err = e.Attach(ctx, id, spec.TTY, true); err != nil {
		return nil, startFailure(err), e.alsoRemove(ctx, id, err) // Podman sets the container up for it
	}
	return p, Exit{}, nil
}

// specOf is the container for a command.
func (e *Engine) specOf(s Spec, c *console) docker.Spec {
	rows, cols, _ := c.size()
	spec := docker.Spec{
		Image: s.Image, Cmd: s.Command, Env: s.Env, Dir: s.Dir, TTY: c.tty(), Rows: rows, Cols: cols, Stdin: true,
		User: s.User.User, UserNS: s.User.NS, Labels: s.Labels, Binds: s.Binds, Network: networkOf(e.Kind, e.Facts, s.Network),
		Memory: s.Memory, NanoCPUs: int64(s.CPUs * 1e9), CapAdd: s.CapAdd, CapDrop: s.CapDrop,
	}
	if e.Facts.SELinux {
		spec.SecurityOpt = []string{"label=disable"} // the mirror has no container's label
	}
	return spec
}

// make creates the container; with an init process where the engine has one.
func (e *Engine) make(ctx context.Context, spec docker.Spec) (string, error) {
	spec.Init = !e.noInit
	id, _, err := e.Create(ctx, spec)
	if err != nil && spec.Init && noInit(err) {
		spec.Init, e.noInit = false, true
		id, _, err = e.Create(ctx, spec)
	}
	return id, err
}
