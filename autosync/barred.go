package autosync

import (
	"context"
	"errors"

	"github.com/alca-mount/alca-mount/mirror"
)

// KeepBarred moves out of a mirror that is about to go what lies in it and may never cross, as the end of a launch does:
// what the agent made at hidden paths to the project's orphans, refused versions and repositories with commits of its own
// to folders of the session. It carries nothing to either side; edits and held changes stay where they are. What was moved
// is told in Changes.Orphans and Changes.Refused with its place, what could not be in Changes.Failed.
// The caller has the session's lock.
func KeepBarred(ctx context.Context, m *mirror.Mirror) (Changes, error) {
	e, err := openEngine(m, Options{OnlyToProject: true})
	if err != nil {
		return Changes{}, err
	}
	err = errors.Join(e.keepBarred(ctx), e.close())
	return e.result(), err
}

// keepBarred keeps what may not cross, whatever the user says of the rest.
func (e *engine) keepBarred(ctx context.Context) error {
	if _, err := e.look(ctx); err != nil {
		return err
	}
	e.changes.Failed = nil // what can't be compared is no matter of what may not be
	e.changes.sort()
	refused := e.setAside(e.stillLeft(), refusedFolder)
	e.changes.Refused = nil
	for _, n := range refused {
		e.noteRefused(n.Path, n.Why, n.Kept)
	}
	left, err := e.m.CommitsLeft()
	if len(left) > 0 {
		e.keepRepository(repository, whyCommitsStay)
	}
	e.keepNestedRepositories()
	e.changes.Orphans = e.setAsideOrphans()
	e.changes.Held, e.changes.PendingDelete = nil, nil
	return err
}

// HasChanged reports whether a session changed anything in its project that [Undo] could still take back. Where that
// can't be told it may have.
func HasChanged(ctx context.Context, state *mirror.StateDir, s *mirror.Session) bool {
	records, err := readRecords(s)
	if err != nil {
		return true
	}
	if changes, _ := changesIn(records); len(changes) == 0 {
		return false
	}
	u, err := Undo(ctx, state, s, UndoOptions{DryRun: true})
	return err != nil || len(u.Restored)+len(u.Removed)+len(u.Left)+len(u.Failed) > 0
}
