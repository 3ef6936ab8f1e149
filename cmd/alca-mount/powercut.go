package main

import (
	"context"
	"fmt"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
)

// tellInterrupted says what the machine's end means for a session.
func tellInterrupted(o *output, s *mirror.Session) {
	if s.Interrupted() {
		o.warn("the machine went down while session %s was in use: what its mirror lost is not taken for deleted, and what may be torn waits for your word", s.ID)
	}
}

// settleDoubts does a pass over a mirror that went through a power cut, and refuses to go on where something waits.
func (a *app) settleDoubts(ctx context.Context, m *mirror.Mirror, opts autosync.Options) error {
	s := m.Session
	if !s.Interrupted() {
		return nil
	}
	changes, err := a.once(ctx, m, opts)
	if err == nil && s.Interrupted() {
		err = fmt.Errorf("session %s: %w (%s held): alca-mount diff %[1]s, then alca-mount apply %[1]s or alca-mount discard %[1]s",
			s.ID, autosync.ErrInterrupted, count(len(changes.Held), "path"))
	}
	return err
}
