package launcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// Removal is what Remove did.
type Removal struct {
	SetAside autosync.Changes // what the mirror held and may not cross, and where that is kept now
	Lost     error            // with force: why that could not be looked for
	Stays    bool             // the session is there still, for what it keeps
}

// Remove removes a session's mirror, and what lies in it and was not brought home: whether that may be lost is for the
// caller to ask. What may never cross is set aside first, as at a launch's end. The session itself stays, as one that
// ended, while it keeps versions or its changes can be undone; else it goes. Force goes on where the mirror can't be
// looked into. The caller has the session's lock.
func Remove(ctx context.Context, state *mirror.StateDir, s *mirror.Session, force bool) (Removal, error) {
	var res Removal
	_, err := os.Lstat(s.Mirror)
	there := s.Mirror != "" && !errors.Is(err, fs.ErrNotExist)
	workedIn := s.State != mirror.SessionBuilding && s.State != mirror.SessionRemoving
	if there && workedIn {
		res.SetAside, err = setAside(ctx, s)
		if err != nil && !force {
			return res, err
		}
		res.Lost = err
	}
	if there {
		if err := s.BeginRemoval(); err != nil {
			return res, err
		}
		if err := removeMirror(ctx, s, force); err != nil {
			return res, err
		}
	}
	if s.State == mirror.SessionBuilding || !s.KeepsVersions() && !autosync.HasChanged(ctx, state, s) {
		return res, s.Remove()
	}
	res.Stays = true
	s.Ended, s.State, s.Kept, s.Waiting, s.Untold = time.Now(), mirror.SessionEnded, false, false, false
	return res, s.Save()
}

// setAside keeps what may not cross. What can't be kept keeps the mirror.
func setAside(ctx context.Context, s *mirror.Session) (autosync.Changes, error) {
	m, err := mirror.Attach(ctx, s.Project, s.Mirror, mirror.Options{Agent: s.Agent, Session: s})
	if err != nil {
		return autosync.Changes{}, err
	}
	changes, err := autosync.KeepBarred(ctx, m)
	return changes, errors.Join(err, changes.Err(), takeOverlaysOut(ctx, m), m.Close())
}

// removeMirror removes the mirror's directory. One that lost its marker goes only when the user said so and it lies in the
// session's folder, or when nobody was ever given it.
func removeMirror(ctx context.Context, s *mirror.Session, force bool) error {
	err := removeRest(ctx, s)
	if err == nil || !errors.Is(err, safety.ErrNoMarker) || !force && s.State != mirror.SessionBuilding {
		return err
	}
	if s.Mirror != filepath.Join(s.Dir(), "mirror") {
		return fmt.Errorf("%w; it lies outside of the session's folder: remove it by hand", err)
	}
	return s.RemoveOwnMirror()
}
