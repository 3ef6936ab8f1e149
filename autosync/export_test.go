package autosync

import (
	"context"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// Seen gives the options a function that sees every file-system call of the undo.
func (o UndoOptions) Seen(before safety.Before) UndoOptions {
	o.before = before
	return o
}

// ApplyHeldSeen is ApplyHeld with a function that sees every file-system call.
func ApplyHeldSeen(ctx context.Context, state *mirror.StateDir, s *mirror.Session, before safety.Before) (string, Changes, error) {
	return applyHeld(ctx, state, s, nil, before)
}

// PassSize is how many paths one pass takes at most.
const PassSize = passSize
