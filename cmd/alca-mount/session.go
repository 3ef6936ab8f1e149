package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// sessionAndPaths are the arguments of commands on a session. Where none is given, the latest are named.
func (a *app) sessionAndPaths() cobra.PositionalArgs {
	check := args(1, -1, "a session, and paths")
	return func(c *cobra.Command, given []string) error {
		err := check(c, given)
		if latest := a.latestSessions(); err != nil && latest != "" {
			return fmt.Errorf("%w; the latest of this project: %s", err, latest)
		}
		return err
	}
}

// latestSessions names the last three sessions of the project, newest first; "" where there are none to be found.
func (a *app) latestSessions() string {
	where, err := findPlace(a.project)
	if err != nil {
		return ""
	}
	state, err := mirror.DefaultStateDir()
	if err != nil {
		return ""
	}
	all, err := state.List(where.project)
	if err != nil {
		return ""
	}
	slices.SortStableFunc(all, func(x, y *mirror.Session) int { return y.Created.Compare(x.Created) })
	var names []string
	for _, s := range all[:min(len(all), 3)] {
		names = append(names, fmt.Sprintf("%s (%s ago)", s.ID, age(s.Created, time.Now())))
	}
	return strings.Join(names, ", ")
}

// findSession returns the session that spec names and tells what to do where there is none.
func (a *app) findSession(spec string) (*mirror.Session, error) {
	state, err := mirror.DefaultStateDir()
	if err != nil {
		return nil, err
	}
	project := ""
	if where, err := findPlace(a.project); err == nil {
		project = where.project // only decides between sessions of one name
	} else if a.project != "" {
		return nil, err
	}
	s, err := state.Find(spec, project)
	if errors.Is(err, mirror.ErrNoSession) {
		return nil, fmt.Errorf("%w; alca-mount ls lists the sessions", err)
	}
	return s, err
}

// takeSession finds a session and takes it for us.
func (a *app) takeSession(ctx context.Context, spec string) (*mirror.Session, error) {
	s, err := a.findSession(spec)
	if err != nil {
		return nil, err
	}
	if err := refuseAlive(s); err != nil {
		return nil, err
	}
	if err := s.Lock(); err != nil {
		var held *safety.LockedError
		if errors.As(err, &held) && held.Holder.PID != 0 {
			return nil, fmt.Errorf("session %s is in use by process %d: wait for its end", s.ID, held.Holder.PID)
		}
		return nil, err
	}
	if err := a.endContainers(ctx, s); err != nil {
		return nil, errors.Join(err, s.Unlock())
	}
	return s, nil
}

// attachSettled is attach under the configuration of now, too, with the guard that it says.
func (a *app) attachSettled(ctx context.Context, s *mirror.Session) (*mirror.Mirror, *dotfiles.Guard, error) {
	if err := lacksProject(s); err != nil {
		return nil, nil, err
	}
	tellInterrupted(a.out(), s)
	conf, err := a.loadConfig(s.Project)
	if err != nil {
		return nil, nil, err
	}
	guard, err := configuredGuard(conf)
	if err != nil {
		return nil, nil, err
	}
	if guard, err = stricterGuard(s, guard); err != nil {
		return nil, nil, err
	}
	policy, err := sessionPolicy(s, conf)
	if err != nil {
		return nil, nil, fmt.Errorf("rules: %w", err)
	}
	m, err := attach(ctx, s, policy)
	return m, guard, err
}

// endContainers ends what still runs of a session whose process died: it writes to the mirror.
func (a *app) endContainers(ctx context.Context, s *mirror.Session) error {
	state, err := mirror.DefaultStateDir()
	if err != nil {
		return err
	}
	n, err := launcher.EndContainers(ctx, state, s)
	if n > 0 {
		a.out().say("ended the container of session %s, whose process had died", s.ID)
	}
	return err
}

// attach opens a session's mirror; without a policy, under the stricter of the rules that it was made with and of the
// rule files of now.
func attach(ctx context.Context, s *mirror.Session, policy *dotfiles.Policy) (*mirror.Mirror, error) {
	if err := lacksProject(s); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(s.Mirror); err != nil {
		return nil, fmt.Errorf("session %s: its mirror %s: %w", s.ID, show(s.Mirror), bareErr(err))
	}
	return mirror.Attach(ctx, s.Project, s.Mirror, mirror.Options{Agent: s.Agent, Session: s, Policy: policy})
}

// lacksProject is an error while the session's project is not where it was: nothing can be held against it.
func lacksProject(s *mirror.Session) error {
	if _, err := os.Lstat(s.Project); err != nil {
		return fmt.Errorf("session %s: its project %s: %w; the session goes on when it is there again", s.ID, show(s.Project), bareErr(err))
	}
	return nil
}
