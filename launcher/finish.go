package launcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/launcher/internal/plain"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// Running lists the processes of a session's command that are still there, by pid: after a launch that was killed, say.
// An error that wraps errors.ErrUnsupported means that it can't be told here.
func Running(session string) ([]int, error) { return plain.Marked("ALCA_MOUNT_SESSION=" + session) }

// Finish ends a session whose launch died, as the launch itself would have: it settles what was cut short, syncs for the
// last time, sets aside what may not cross, and removes the mirror, or keeps it: that was asked for, or had to be, or
// changes wait in it for the user's word, since the launch was one that brings nothing home unasked. Of the options State,
// Events, AfterSync, Guarded and the Allow… count. The caller has the session's lock, which is given up with the mirror.
func Finish(ctx context.Context, m *mirror.Mirror, opts Options) (Result, error) {
	opts.Sync, opts.ShutdownContext, opts.Keep = SyncExit, ctx, m.Session.Keep
	l := &launch{opts: opts, state: opts.State, project: m.Session.Project, session: m.Session, mirror: m}
	err := takeOverlaysOut(ctx, m)
	if NeedsWord(m.Session) {
		l.opts.Sync = SyncReview
		settled, serr := autosync.Settle(m, l.syncOptions())
		l.res.Changes.Recovered, l.res.Changes.Failed = settled.Recovered, settled.Failed
		err = errors.Join(err, serr)
	}
	err = errors.Join(err, l.end())
	return l.result(0), err
}

// NeedsWord reports whether nothing of a session's mirror comes home but by the user's word: it waits already, or its
// launch, under SyncReview or SyncOff, died.
func NeedsWord(s *mirror.Session) bool {
	return s.Waiting || s.EndedBadly() && (s.Sync == string(SyncReview) || s.Sync == string(SyncOff))
}

// guardRules are the patterns of a guard, as a session's record keeps them.
func guardRules(g *dotfiles.Guard) []dotfiles.Rule {
	if g == nil {
		return dotfiles.GuardedDefault()
	}
	return g.Rules()
}

// Abandon ends a session whose launch died and brings nothing home: calls that were cut short in the project are
// settled, what may never cross is set aside as at any end, then the mirror goes with all that is in it. Versions that
// were kept stay, and so does what undo needs of changes that came home before. What can't be settled or set aside keeps
// the mirror. The caller has the session's lock, which is given up with the mirror.
func Abandon(m *mirror.Mirror, opts Options) (Result, error) {
	l := &launch{opts: opts, state: opts.State, project: m.Session.Project, session: m.Session, mirror: m}
	var err error
	l.res.Changes, err = autosync.Settle(m, l.syncOptions())
	if err = errors.Join(err, l.res.Changes.Err()); err == nil {
		err = l.keepBarred()
	}
	if err != nil {
		return l.result(ownFailure), errors.Join(fmt.Errorf("nothing was removed: %w", err), m.Close(), m.Session.Unlock())
	}
	err = errors.Join(takeOverlaysOut(context.Background(), m), l.cleanUp())
	return l.result(0), err
}

func (l *launch) keepBarred() error {
	barred, err := autosync.KeepBarred(context.Background(), l.mirror)
	l.res.Changes.Orphans, l.res.Changes.Refused = barred.Orphans, barred.Refused
	return errors.Join(err, barred.Err())
}

// FinishRemoval ends a session whose mirror was being removed, or was never complete: all is synced, or there never was
// any work. Versions that were kept stay, and so does what undo needs. The caller has the session's lock, which is given up.
func FinishRemoval(ctx context.Context, state *mirror.StateDir, s *mirror.Session) error {
	err := removeRest(ctx, s)
	if err != nil && !(s.State == mirror.SessionBuilding && errors.Is(err, safety.ErrNoMarker)) { // not ours, or in our folder
		return errors.Join(err, s.Unlock())
	}
	if s.State == mirror.SessionBuilding || !s.KeepsVersions() && !autosync.HasChanged(ctx, state, s) {
		return errors.Join(s.Remove(), s.Unlock())
	}
	s.Ended, s.State, s.Kept = time.Now(), mirror.SessionEnded, false
	return errors.Join(s.Save(), s.Unlock())
}

func removeRest(ctx context.Context, s *mirror.Session) error {
	root, err := safety.OpenRoot(s.Mirror)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	err = safety.RemoveMirror(ctx, root, s.ID)
	if errors.Is(err, safety.ErrNoMarker) && os.Remove(s.Mirror) == nil { // the marker goes last but for the directory
		return nil
	}
	return err
}
