package container

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/alca-mount/alca-mount/launcher/internal/docker"
)

// probeTime bounds how long an engine may take to answer.
const probeTime = 20 * time.Second

// Engine is the engine that was chosen.
type Engine struct {
	*docker.Engine
	Kind  Kind
	Facts docker.Facts
	Why   string // what was found, and why this one

	// What the engine said of the image that was asked for together with it; docker.ErrNoImage: it has none.
	First    docker.Image
	FirstErr error

	service *service // of Podman, where we had to start it; else nil
	noInit  bool     // it has no init program
}

// Find looks for an engine: runtime is "auto", "docker" or "podman". What was chosen by name or by the environment and does
// not answer is an error; auto goes on to the next only where an engine is not there or not ours to use.
func Find(ctx context.Context, runtime string, env Env) (*Engine, error) {
	return Begin(runtime, "", env).Find(ctx)
}

// Search is a search for an engine, and for an image if one is named.
type Search struct {
	candidates []candidate
	image      string

	// Likely is called, from another goroutine, with an engine that has answered and has the image, as it is likely to be:
	// before it is known, which may take it a while, and may show that it is none. nil: not at all.
	Likely func(*Engine)
}

// Begin begins one: where a service of our own is asked first, its process has started. Find must be called.
func Begin(runtime, image string, env Env) *Search {
	s := &Search{candidates: candidates(runtime, env), image: image}
	if len(s.candidates) > 0 && s.candidates[0].start != nil {
		started, err := s.candidates[0].start()
		s.candidates[0].start = func() (*service, error) { return started, err }
	}
	return s
}

// Find comes to an end as the function Find does. The image is asked for meanwhile.
func (s *Search) Find(ctx context.Context) (*Engine, error) {
	var tried []string
	for _, c := range s.candidates {
		e, err := c.connect(ctx, s.image, s.Likely)
		if err == nil {
			e.Why = c.why
			if len(tried) > 0 {
				e.Why += " (" + strings.Join(tried, "; ") + ")"
			}
			return e, nil
		}
		if c.named || !errors.Is(err, errAbsent) {
			return nil, fmt.Errorf("%s: %w", c.why, err)
		}
		tried = append(tried, err.Error())
	}
	if len(tried) == 0 {
		tried = append(tried, "nothing to ask")
	}
	return nil, fmt.Errorf("no container engine (%s): install or start Docker or Podman, or use --isolation none", strings.Join(tried, "; "))
}

// At connects to an engine that was used before.
func At(ctx context.Context, host string) (*Engine, error) {
	return candidate{host: host, why: "used before", named: true}.connect(ctx, "", nil)
}

// errAbsent is an engine that is not there, or does not let us in: another may do.
var errAbsent = errors.New("not there")

// connect asks an engine what it is. One that answers and can't be told is an error, never skipped.
func (c candidate) connect(ctx context.Context, image string, likely func(*Engine)) (*Engine, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	out := &Engine{}
	host := c.host
	if c.start != nil {
		var err error
		if out.service, err = c.start(); err == nil {
			err = out.service.await(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("start Podman's service: %w", err)
		}
		host = out.service.host
	}
	if err := local(host); err != nil {
		return nil, errors.Join(err, out.service.stop())
	}
	var err error
	if out.Engine, err = docker.At(host); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", errAbsent, err), out.service.stop())
	}
	var asking sync.WaitGroup
	answered := make(chan struct{})
	asking.Go(func() {
		defer close(answered)
		if image != "" {
			out.First, out.FirstErr = out.Image(ctx, image)
		}
	})
	err = out.introduce(ctx, c.wants, func() {
		if guess := out.guess(); guess != nil && likely != nil {
			asking.Go(func() {
				<-answered
				if guess.First = out.First; out.FirstErr == nil {
					likely(guess)
				}
			})
		}
	})
	asking.Wait()
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

// introduce learns what engine it is. Once it answers at all, greeted is called.
func (e *Engine) introduce(ctx context.Context, wants string, greeted func()) error {
	if err := e.Greet(ctx); err != nil {
		return fmt.Errorf("%w: %w", errAbsent, err)
	}
	greeted()
	var err error
	if e.Facts, err = e.Engine.Facts(ctx); err == nil {
		e.Kind, err = kindOf(e.Facts)
	}
	if err == nil && wants != "" && e.Facts.Name != wants {
		err = fmt.Errorf("%s answers as %s, not as %s", e.Host(), e.Facts.Name, wants)
	}
	if err != nil {
		return fmt.Errorf("engine %s: %w", e.Host(), err)
	}
	return nil
}

// guess is the engine as it is likely to be, which is not what to start anything on; nil: there is nothing to go by, or no
// need to guess.
func (e *Engine) guess() *Engine {
	facts, ok := e.Engine.Likely()
	switch {
	case !ok:
		return nil
	case facts.Rootless:
		return &Engine{Engine: e.Engine, Kind: DockerRootless, Facts: facts}
	}
	return &Engine{Engine: e.Engine, Kind: DockerEngine, Facts: facts}
}

// local refuses an engine on another machine, which can't see the mirror.
func local(host string) error {
	if strings.HasPrefix(host, "unix://") || strings.HasPrefix(host, "npipe://") {
		return nil
	}
	return fmt.Errorf("engine %s: it may be on another machine, where the mirror is not; expected unix:///PATH", host)
}

// Close gives the engine back. A service that we started ends; containers go on.
func (e *Engine) Close() error {
	var err error
	if e.Engine != nil {
		err = e.Engine.Close()
	}
	return errors.Join(err, e.service.stop())
}

// service is a `podman system service` of our own.
type service struct {
	host  string
	await func(context.Context) error // until it answers; after an error it is ended
	end   func() error
}

func (s *service) stop() error {
	if s == nil {
		return nil
	}
	return s.end()
}

// Started reports whether the engine's service was started by us.
func (e *Engine) Started() bool { return e.service != nil }
