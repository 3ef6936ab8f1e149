package launcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/alca-mount/alca-mount/launcher/internal/container"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// enginePodman stands for a Podman whose service we start ourselves, on a socket that goes with it.
const enginePodman = "podman"

// engineHost is how a later command finds the engine again.
func (r *containerRuntime) engineHost() string {
	switch {
	case r == nil:
		return ""
	case r.engine.Started():
		return enginePodman
	}
	return r.engine.Host()
}

// EndContainers ends and removes the containers of a session that nobody runs any more. Until that is done its mirror may
// still be written to: whoever takes the session up calls it first. The session has to be locked by the caller, or dead.
// It returns how many there were.
func EndContainers(ctx context.Context, state *mirror.StateDir, s *mirror.Session) (int, error) {
	if s.Engine == "" || s.Damaged != nil || s.State == mirror.SessionEnded {
		return 0, nil
	}
	engine, err := connect(ctx, s.Engine)
	if err != nil {
		return 0, fmt.Errorf("session %s: its container can't be looked for: %w", s.ID, err)
	}
	n, err := endContainers(ctx, engine, state, cmp.Or(s.MountOf, s.ID))
	return n, errors.Join(err, engine.Close())
}

// stateLabel names a state directory, however it is reached.
func stateLabel(state *mirror.StateDir) string {
	if real, err := state.Real(); err == nil {
		return real
	}
	return state.Path()
}

func connect(ctx context.Context, host string) (*container.Engine, error) {
	if host == enginePodman {
		env := engineEnv()
		env.Getenv = func(string) string { return "" } // ours was started by us, whatever is set now
		return container.Find(ctx, string(RuntimePodman), env)
	}
	return container.At(ctx, host)
}

func endContainers(ctx context.Context, engine *container.Engine, state *mirror.StateDir, session string) (int, error) {
	found, err := engine.Find(ctx, labelSession+"="+session, labelState+"="+stateLabel(state))
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, c := range found {
		errs = append(errs, engine.Remove(ctx, c.ID))
	}
	return len(found), errors.Join(errs...)
}

// EndDeadContainers ends the containers of the sessions of a project ("": of all) whose process died, and names the
// sessions. A session that ended well has none: its containers are looked for only where the record says that it did not end.
func EndDeadContainers(ctx context.Context, state *mirror.StateDir, project string) ([]string, error) {
	sessions, err := state.List(project)
	if err != nil {
		return nil, err
	}
	var ended []string
	var errs []error
	for _, s := range sessions {
		if s.Engine == "" || s.Damaged != nil || s.State == mirror.SessionEnded {
			continue
		}
		err := s.Lock()
		var held *safety.LockedError
		if errors.As(err, &held) {
			continue // it lives
		}
		var n int
		if err == nil {
			n, err = EndContainers(ctx, state, s)
			err = errors.Join(err, s.Unlock())
		}
		if n > 0 {
			ended = append(ended, cmp.Or(s.MountOf, s.ID))
		}
		errs = append(errs, err)
	}
	return ended, errors.Join(errs...)
}
