package main

import (
	"context"
	"fmt"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/mirror"
)

// refuseWaiting keeps changes that wait for the user's word from coming home by a command that gives none.
func refuseWaiting(ctx context.Context, m *mirror.Mirror, guard *dotfiles.Guard) error {
	s := m.Session
	if !launcher.NeedsWord(s) {
		return nil
	}
	left, err := autosync.Propose(ctx, m, guard, nil)
	if err != nil {
		return err
	}
	defer left.Close()
	if len(left.List)+len(left.Trouble) == 0 {
		return nil
	}
	return fmt.Errorf("session %s: %s: alca-mount diff %[1]s, then alca-mount apply %[1]s or alca-mount discard %[1]s", s.ID, launcher.WhyReview)
}

// stricterGuard guards what the session was launched with, too: a configuration that is looser now frees nothing.
func stricterGuard(s *mirror.Session, now *dotfiles.Guard) (*dotfiles.Guard, error) {
	if s.Guarded == nil {
		return now, nil
	}
	then, err := dotfiles.NewGuard(s.Guarded)
	if err == nil && now == nil {
		now, err = dotfiles.NewGuard(dotfiles.GuardedDefault())
	}
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	return dotfiles.StricterGuard(then, now), nil
}
