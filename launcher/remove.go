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
	Whole    string           // with force: where the mirror is kept as it was, since that could not be told from the rest
	Why      error            // of Whole
	Stays    bool             // the session is there still, for what it keeps
}

// Remove removes a session's mirror, and what lies in it and was not brought home: whether that may be lost is for the
// caller to ask. What may never cross is set aside first, as at a launch's end. The session itself stays, as one that
// ended, while it keeps versions or its changes can be undone; else it goes. Force goes on where the mirror can't be
// looked into, and keeps it as it is in the session's folder. The caller has the session's lock.
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
		if err != nil {
			res.Why, there = err, false
			if res.Whole, err = keepWhole(ctx, s); err != nil {
				return res, errors.Join(res.Why, err)
			}
		}
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

// keepWhole moves a mirror that can't be compared with its project into the session's folder, among what was discarded. One
// that lies elsewhere has to be known by its marker.
func keepWhole(ctx context.Context, s *mirror.Session) (string, error) {
	if s.Mirror != filepath.Join(s.Dir(), "mirror") {
		if err := carriesMarker(s); err != nil {
			return "", fmt.Errorf("%w; it lies outside of the session's folder: remove it by hand", err)
		}
	}
	from, err := safety.OpenRoot(filepath.Dir(s.Mirror))
	if err != nil {
		return "", err
	}
	defer from.Close()
	to, err := safety.OpenRoot(s.Dir())
	if err != nil {
		return "", err
	}
	defer to.Close()
	for n := 1; ; n++ {
		name := safety.RelPath(fmt.Sprintf("discarded~mirror%d", n))
		err := from.MoveOut(ctx, safety.RelPath(filepath.Base(s.Mirror)), to, name)
		if err == nil {
			return filepath.Join(s.Dir(), string(name)), errors.Join(from.Sync(safety.Top), to.Sync(safety.Top))
		}
		if !errors.Is(err, fs.ErrExist) || n > 100 {
			return "", err
		}
	}
}

func carriesMarker(s *mirror.Session) error {
	root, err := safety.OpenRoot(s.Mirror)
	if err != nil {
		return err
	}
	defer root.Close()
	id, err := safety.ReadMarker(root)
	if err == nil && id != s.ID {
		err = fmt.Errorf("%s is the mirror of session %s", s.Mirror, id)
	}
	return err
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
