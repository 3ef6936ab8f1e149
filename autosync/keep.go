package autosync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// The folders of a session in which versions lie under their own paths.
const (
	conflictsFolder = "conflicts"
	refusedFolder   = "refused"
	heldFolder      = "held"
	orphansFolder   = "orphans"
	gitFolder       = "git"
)

// settleDisplaced decides where a version that a step took out of a side stays, and returns the place; "" when the same
// version is elsewhere already.
func (e *engine) settleDisplaced(s step, seq uint64, d safety.Displaced) string {
	if d.Slot == "" {
		return ""
	}
	switch {
	case s.side == mirror.ProjectSide && (!d.Expected || s.keep == keepConflict):
		kept := e.moveSlot(d.Slot, conflictsFolder, s.path)
		e.noteConflict(s.path, d.Expected, kept)
		return kept
	case s.side == mirror.ProjectSide && e.history.placed[s.path] == fileID{d.Info.Dev, d.Info.Ino}:
		// Kept once: it is what this session placed there, and the version before that is kept.
	case s.side == mirror.ProjectSide:
		return d.Slot
	case s.keep == keepRefused || !d.Expected:
		return e.moveSlot(d.Slot, refusedFolder, s.path)
	}
	if err := e.stores[s.side].Drop(seq); err != nil {
		return d.Slot
	}
	return ""
}

// keepStray keeps what a call that failed took out and could not put back, since something newer was there already.
func (e *engine) keepStray(s step, d safety.Displaced) {
	if d.Slot == "" {
		return
	}
	if s.side == mirror.MirrorSide {
		e.noteRefused(s.path, "changed in the mirror while the project's version was brought in", e.moveSlot(d.Slot, refusedFolder, s.path))
		return
	}
	e.noteConflict(s.path, false, e.moveSlot(d.Slot, conflictsFolder, s.path))
}

// moveSlot gives a kept version its own path below a folder of the session. Where that can't be had it stays in the slot.
func (e *engine) moveSlot(slot, folder string, p safety.RelPath) string {
	dst, err := e.placeIn(folder, p)
	if err != nil {
		return slot
	}
	if err := os.Rename(slot, dst); err != nil {
		return slot
	}
	return dst
}

// keepTree moves an entry of the mirror, whatever it is, to its own path below a folder of the session.
func (e *engine) keepTree(p safety.RelPath, folder string) (string, error) {
	dst, err := e.placeIn(folder, p)
	if err != nil {
		return "", err
	}
	e.unlock(mirror.MirrorSide, p.Dir())
	if err := e.m.Root.MoveOut(context.Background(), p, dst); err != nil {
		return "", err
	}
	return dst, nil
}

// placeIn returns a free path for p below a folder of the session, whose directories it makes.
func (e *engine) placeIn(folder string, p safety.RelPath) (string, error) {
	dst := filepath.Join(e.m.Session.Dir(), folder, filepath.FromSlash(string(p)))
	if err := os.MkdirAll(filepath.Dir(dst), 0o700); err != nil {
		return "", fmt.Errorf("keep %s: %w", p, err)
	}
	free := dst
	for n := 2; ; n++ {
		_, err := os.Lstat(free)
		if errors.Is(err, fs.ErrNotExist) {
			return free, nil
		}
		if err != nil {
			return "", fmt.Errorf("keep %s: %w", p, err)
		}
		free = dst + "~" + strconv.Itoa(n)
	}
}

func (e *engine) noteConflict(p safety.RelPath, expected bool, kept string) {
	why := "changed on both sides"
	if !expected {
		why = "changed in the project while the mirror's version was brought in"
	}
	e.changes.Conflicts = append(e.changes.Conflicts, PathNote{Path: p, Why: why, Kept: kept})
	e.emit(Conflict, p, ToProject, why, kept)
}

func (e *engine) noteRefused(p safety.RelPath, why, kept string) {
	e.changes.Refused = append(e.changes.Refused, PathNote{Path: p, Why: why, Kept: kept})
	e.emit(Refused, p, 0, why, kept)
}

// report counts a step that was done and tells of it.
func (e *engine) report(s step, kept string) {
	if s.to.Kind == safety.Directory || s.to.Absent() && s.from.Kind == safety.Directory {
		return // directories come and go with what is in them
	}
	if s.side == mirror.MirrorSide {
		e.changes.ToMirror = append(e.changes.ToMirror, s.path)
		if s.action == RestoreMirror || s.keep == keepRefused {
			e.noteRefused(s.path, "read-only: the project's version was put back", kept)
			return
		}
		e.emit(Synced, s.path, ToMirror, s.action.String(), "")
		return
	}
	if s.to.Absent() {
		e.changes.Deleted = append(e.changes.Deleted, PathNote{Path: s.path, Why: s.action.String(), Kept: kept})
		e.emit(Deleted, s.path, ToProject, s.action.String(), kept)
		return
	}
	e.changes.ToProject = append(e.changes.ToProject, s.path)
	e.emit(Synced, s.path, ToProject, s.action.String(), kept)
}

func (e *engine) writable(p safety.RelPath, isDir bool) bool {
	return e.m.Policy.Access(string(p), isDir) == dotfiles.Writable
}

// unlock makes a directory of the mirror writable for us: read-only directories have no write bits there, and an
// ordinary user is bound by them. The bits go again in relock.
func (e *engine) unlock(side mirror.Side, dir safety.RelPath) {
	if side != mirror.MirrorSide {
		return
	}
	if _, done := e.unlocked[dir]; done {
		return
	}
	info, err := e.m.Root.Lstat(dir)
	if err != nil || info.Kind != safety.Directory || info.Mode&0o300 == 0o300 {
		return // the operation itself will say what is wrong
	}
	if e.m.Root.Chmod(dir, info, info.Mode|0o300) == nil {
		e.unlocked[dir] = info
	}
}

// relock gives directories the modes that they are to have.
func (e *engine) relock() error {
	var errs []error
	for _, f := range e.modes {
		info, err := e.root(f.side).Lstat(f.path)
		if err == nil && info.Kind == safety.Directory {
			err = e.root(f.side).Chmod(f.path, info, f.mode)
		}
		errs = append(errs, err)
	}
	e.modes = nil
	for dir, info := range e.unlocked {
		if err := e.m.Root.Chmod(dir, info, info.Mode); err != nil && !isAbsent(err) && !errors.Is(err, safety.ErrChanged) {
			errs = append(errs, err)
		}
	}
	clear(e.unlocked)
	return errors.Join(errs...)
}
