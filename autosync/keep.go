package autosync

import (
	"context"
	"errors"
	"fmt"
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
	discardedFolder = "discarded"
)

// settleDisplaced decides where a version that a step took out of a side stays, and returns the place; "" when the same
// version is elsewhere already.
func (e *engine) settleDisplaced(s step, seq uint64, d safety.Displaced) string {
	if d.Slot == "" {
		return ""
	}
	switch {
	case s.side == mirror.ProjectSide && (!d.Expected || s.keep == keepConflict):
		kept := e.moveSlot(s.side, seq, conflictsFolder, s.path)
		e.noteConflict(s.path, d, kept)
		return kept
	case e.hasLateWriter(s, seq, d):
		return d.Slot
	case s.side == mirror.ProjectSide && e.isOurs(s.path):
		// Kept once: it is what this session placed there, and the version before that is kept.
	case s.side == mirror.ProjectSide:
		return d.Slot
	case !d.Expected:
		e.keepStray(s, seq, d)
		return ""
	case s.keep == keepRefused:
		return e.moveSlot(s.side, seq, e.refusedInto(s.path), s.path)
	}
	e.drops = append(e.drops, slot{s.side, seq})
	return ""
}

// isOurs reports whether the project's version, as it was seen, is the one that this session placed. The inode alone
// would not do: the user may have saved into it. Recovery has seen nothing yet: then it is not.
func (e *engine) isOurs(p safety.RelPath) bool {
	if e.view == nil {
		return false
	}
	placed := e.history.placed[p]
	return placed != mirror.Stamp{} && placed == mirror.StampOf(e.view.project.Get(p).Info)
}

// keepStray keeps what a call that failed took out and could not put back, since something newer was there already.
func (e *engine) keepStray(s step, seq uint64, d safety.Displaced) {
	if d.Slot == "" {
		return
	}
	if s.side == mirror.MirrorSide {
		e.noteRefused(s.path, "changed in the mirror while the project's version was brought in", e.moveSlot(s.side, seq, refusedFolder, s.path))
		return
	}
	d.Expected = false
	e.noteConflict(s.path, d, e.moveSlot(s.side, seq, conflictsFolder, s.path))
}

// moveSlot gives a kept version its own path below a folder of the session. Where that can't be had it stays in the slot.
func (e *engine) moveSlot(side mirror.Side, seq uint64, folder string, p safety.RelPath) string {
	dst, err := e.placeIn(folder, p)
	if err == nil {
		err = e.stores[side].MoveSlot(seq, e.keepRoot, dst)
	}
	if err != nil {
		return e.stores[side].SlotPath(seq)
	}
	if side == mirror.MirrorSide {
		e.aside = append(e.aside, dst)
	}
	return e.keptPath(dst)
}

// keepTree moves an entry of the mirror, whatever it is, to its own path below a folder of the session.
func (e *engine) keepTree(p safety.RelPath, folder string) (string, error) {
	dst, err := e.placeIn(folder, p)
	if err != nil {
		return "", err
	}
	e.unlock(mirror.MirrorSide, p.Dir())
	if err := e.m.Root.MoveOut(context.Background(), p, e.keepRoot, dst); err != nil {
		return "", err
	}
	e.aside = append(e.aside, dst)
	return e.keptPath(dst), nil
}

func (e *engine) keptPath(p safety.RelPath) string {
	return filepath.Join(e.keepRoot.Path(), filepath.FromSlash(string(p)))
}

// maxKeepFolders bounds how many versions of one path are kept under it in a session.
const maxKeepFolders = 10_000

// placeIn returns a free path for p below a folder of the session, whose directories it makes. Where the path is taken,
// or something that is kept already is in the way (a link or a file where p needs a directory), it takes the next
// folder: NAME~2 and so on. Everything happens below keepRoot, following nothing: what is kept is the agent's.
func (e *engine) placeIn(folder string, p safety.RelPath) (safety.RelPath, error) {
	if err := e.m.Session.Settle(); err != nil { // else a power cut would take what is kept with the session
		return "", fmt.Errorf("keep %s: %w", p, err)
	}
	taken := folder + "/" + string(p)
	for n := max(e.keptTimes[taken], 1); n < maxKeepFolders; n++ {
		top := e.folderPath(folder)
		if n > 1 {
			top += safety.RelPath("~" + strconv.Itoa(n))
		}
		dst := top + "/" + p
		err := e.keepRoot.MkdirAll(dst.Dir(), 0o700)
		if err == nil {
			var info safety.Info
			if info, err = e.keepRoot.Lstat(dst); err == nil && info.Kind == safety.Absent {
				e.keptTimes[taken] = n + 1 // not to look through all of them the next time
				return dst, nil
			}
		}
		if err != nil && !errors.Is(err, safety.ErrChanged) {
			return "", fmt.Errorf("keep %s: %w", p, err)
		}
	}
	return "", fmt.Errorf("keep %s: %d versions of it are kept already", p, maxKeepFolders)
}

// folderPath is where a folder of kept versions lies: orphans are the project's, all else the session's.
func (e *engine) folderPath(folder string) safety.RelPath {
	if folder == orphansFolder {
		return safety.RelPath(orphansFolder).Join(e.m.Session.ID)
	}
	return safety.RelPath("sessions").Join(e.m.Session.ID).Join(folder)
}

func (e *engine) noteConflict(p safety.RelPath, d safety.Displaced, kept string) {
	why := "changed on both sides"
	if !d.Expected {
		why = "changed in the project while the mirror's version was brought in"
	}
	if d.Expected && e.wroteByOtherName(p) {
		why = "written differently by another name of the same file"
	} else if by := e.others.writerOf(p, d.Info); by != "" {
		why += "; the project's version came from session " + by
	}
	e.changes.Conflicts = append(e.changes.Conflicts, PathNote{Path: p, Why: why, Kept: kept})
	e.emit(Conflict, p, ToProject, why, kept)
}

// refusedInto is the folder for a version of the agent's that gives way.
func (e *engine) refusedInto(p safety.RelPath) string {
	if e.discarded[p] {
		return discardedFolder
	}
	return refusedFolder
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
			why := "read-only: the project's version was put back"
			if e.discarded[s.path] {
				why = "discarded: the project's version was put back"
			}
			e.noteRefused(s.path, why, kept)
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
	if _, done := e.unlocked[dir]; done || e.looked[dir] {
		return
	}
	e.looked[dir] = true
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
	clear(e.looked)
	return errors.Join(errs...)
}
