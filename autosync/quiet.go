package autosync

import (
	"context"
	"slices"
	"time"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// maxQuietLooks bounds how long a full pass waits for deletions to come to rest.
const maxQuietLooks = 20

// lookWhenQuiet is look, again for as long as what is to be deleted in the project goes on changing: a mirror that
// somebody is removing right now looks like an agent that deletes, until its marker is gone too.
func (e *engine) lookWhenQuiet(ctx context.Context) (plan, error) {
	pl, err := e.look(ctx)
	for n := 0; err == nil; n++ {
		going := goingPaths(pl)
		if len(going) == 0 {
			return pl, nil
		}
		if n == maxQuietLooks {
			return e.withoutDeletions(pl, going), nil
		}
		if err := sleep(ctx, deleteQuiet); err != nil {
			return pl, err
		}
		if pl, err = e.look(ctx); err == nil && slices.Equal(goingPaths(pl), going) {
			return pl, nil
		}
	}
	return pl, err
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// goingPaths are the paths that a plan takes out of the project.
func goingPaths(pl plan) []safety.RelPath {
	var out []safety.RelPath
	for _, s := range slices.Concat(pl.clear, pl.remove) {
		if s.side == mirror.ProjectSide {
			out = append(out, s.path)
		}
	}
	slices.Sort(out)
	return out
}

// withoutDeletions leaves out what never came to rest: it failed, and the mirror stays.
func (e *engine) withoutDeletions(pl plan, going []safety.RelPath) plan {
	for _, p := range going {
		e.view.again = append(e.view.again, PathNote{Path: p, Why: "the mirror keeps losing files: nothing was deleted"})
	}
	inProject := func(s step) bool { return s.side == mirror.ProjectSide }
	pl.clear, pl.remove = slices.DeleteFunc(pl.clear, inProject), slices.DeleteFunc(pl.remove, inProject)
	return pl
}
