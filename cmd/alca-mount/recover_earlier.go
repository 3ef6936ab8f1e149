package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// broughtEarlier is what a session that ended badly had brought home until then. Where its journal can't be read that is
// for others to tell: nothing of it is settled then.
func broughtEarlier(s *mirror.Session) autosync.Changes {
	c, err := autosync.Brought(s)
	if err != nil {
		return autosync.Changes{}
	}
	return c
}

// withEarlier adds to what an end did what the session had brought home before: what came last at a path counts.
func withEarlier(earlier, end autosync.Changes) autosync.Changes {
	came, went := map[safety.RelPath]bool{}, map[safety.RelPath]bool{}
	for _, p := range end.ToProject {
		came[p] = true
	}
	for _, n := range end.Deleted {
		went[n.Path] = true
	}
	end.ToProject, end.Deleted = slices.Clone(end.ToProject), slices.Clone(end.Deleted)
	for _, p := range earlier.ToProject {
		if !came[p] && !went[p] {
			end.ToProject = append(end.ToProject, p)
		}
	}
	for _, n := range earlier.Deleted {
		if !came[n.Path] && !went[n.Path] {
			end.Deleted = append(end.Deleted, n)
		}
	}
	slices.Sort(end.ToProject)
	slices.SortFunc(end.Deleted, func(a, b autosync.PathNote) int { return cmp.Compare(a.Path, b.Path) })
	return end
}

// earlierLine says what became of changes that came home before a session ended badly.
func earlierLine(session string, n int) string {
	return fmt.Sprintf("brought home before it ended badly: %s, which stay: alca-mount ls %s lists them, alca-mount undo %[2]s takes all back", count(n, "path"), session)
}

// finishRemoval ends a session without work, and tells what stays of it.
func (a *app) finishRemoval(ctx context.Context, s *mirror.Session, did string) error {
	state, err := mirror.DefaultStateDir()
	if err != nil {
		return err
	}
	earlier := broughtEarlier(s)
	if err := launcher.FinishRemoval(ctx, state, s); err != nil {
		return err
	}
	a.out().say("session %s: %s", s.ID, did)
	if n := len(earlier.ToProject) + len(earlier.Deleted); n > 0 && !lacks(s.Dir(), "") {
		a.out().say("%s", earlierLine(s.ID, n))
	}
	if readChanges(s) == nil { // else the launch told its end
		storeChanges(state, launcher.Result{Session: s.ID, Changes: earlier})
	}
	return nil
}
