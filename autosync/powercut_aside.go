package autosync

import (
	"errors"
	"slices"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// After a power cut, what a mirror has in a repository and at hidden paths is not compared with anything. It crosses to
// no project, but a torn orphan would take the place of the whole one that the mirror was built with, and branches that
// fell behind would come home as all that was committed.

const (
	whyTorn         = "the machine went down soon after it was changed: it may be torn"
	whyCommitsDoubt = "the machine went down while the mirror was in use: commits may be missing"
)

// setAsideOrphans keeps what was made at hidden paths. One that may be torn does not take the place of the version that
// it was made of.
func (e *engine) setAsideOrphans() []PathNote {
	torn := slices.DeleteFunc(slices.Clone(e.changes.Orphans), func(n PathNote) bool { return !e.mayBeTorn(n.Path) })
	for i, n := range e.changes.Orphans {
		if hasPath(torn, n.Path) {
			e.changes.Orphans[i].Why += "; " + whyTorn
		}
	}
	aside := slices.DeleteFunc(torn, func(n PathNote) bool { _, brought := e.m.Brought(n.Path); return !brought })
	e.changes.Orphans = slices.DeleteFunc(e.changes.Orphans, func(n PathNote) bool { return hasPath(aside, n.Path) })
	for _, n := range e.setAside(each(aside), refusedFolder) {
		e.noteRefused(n.Path, whyTorn+"; the orphan that it was made of stays", n.Kept)
	}
	kept := e.setAside(each(e.changes.Orphans), orphansFolder)
	for _, n := range e.changes.Orphans {
		if n.Kept != "" {
			_ = e.m.Supersede(n.Path) // else both are listed
		}
	}
	return kept
}

func hasPath(notes []PathNote, p safety.RelPath) bool {
	return slices.ContainsFunc(notes, func(n PathNote) bool { return n.Path == p })
}

// mayBeTorn reports whether an entry, or anything below it, changed so shortly before a power cut that its content need
// not have come to the disk. What can't be looked at may be.
func (e *engine) mayBeTorn(p safety.RelPath) bool {
	if !e.view.interrupted {
		return false
	}
	errTorn := errors.New("torn")
	look := func(_ safety.RelPath, info safety.Info) error {
		if s := (survivor{now: info, alive: e.view.alive}); !s.wasWrittenOut(info.Ctime) {
			return errTorn
		}
		return nil
	}
	info, err := e.m.Root.Lstat(p)
	if err == nil {
		err = look(p, info)
	}
	if err == nil && info.Kind == safety.Directory {
		err = e.m.Root.Walk(p, look)
	}
	return err != nil
}

// commitsDoubted reports whether commits wait for the user's word, since a power cut may have taken some of them.
func (e *engine) commitsDoubted() bool {
	if e.view == nil || !e.view.interrupted || e.opts.Approved || e.m.Options.Git != mirror.GitImport || e.m.Session.GitRefs == "" {
		return false
	}
	left, err := e.m.CommitsLeft()
	return err != nil || len(left) > 0
}
