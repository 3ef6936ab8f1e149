package autosync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// setAsideLeft moves out of a mirror that is about to go what lies in it and may not cross: refused and held versions to
// folders of the session, orphans to the project's. It changes the notes in place. What is held goes last: it may be a
// directory in which orphans, refused versions and repositories are.
func (e *engine) setAsideLeft(ctx context.Context) {
	for _, n := range e.setAside(e.stillLeft(), refusedFolder) {
		e.tellOnce(Refused, n)
	}
	if !e.opts.aside {
		e.setAsideCommits(ctx)
	}
	e.setAsideOrphans()
	e.holdAside()
	if err := e.syncAside(); err != nil {
		e.failNow("", err)
	}
	for _, n := range e.changes.Orphans {
		e.tellOnce(Orphan, n)
	}
	for _, n := range e.changes.Held {
		e.tellOnce(Held, n)
		e.end(record{Type: recordHeld, Path: []byte(n.Path), Why: n.Why, Kept: []byte(n.Kept)})
	}
}

// newOrphans leaves out those of earlier sessions that are as they were: they are kept already, and were told of.
func newOrphans(ctx context.Context, m *mirror.Mirror, notes []PathNote) []PathNote {
	return slices.DeleteFunc(notes, func(n PathNote) bool { return m.IsAsBrought(ctx, n.Path) })
}

// stillLeft are the refused versions that lie in the mirror; of the others the project's version is there again.
func (e *engine) stillLeft() []*PathNote {
	var out []*PathNote
	for i := range e.changes.Refused {
		if n := &e.changes.Refused[i]; n.Kept == "" && e.left[n.Path] {
			out = append(out, n)
		}
	}
	return out
}

func each(notes []PathNote) []*PathNote {
	out := make([]*PathNote, len(notes))
	for i := range notes {
		out[i] = &notes[i]
	}
	return out
}

// setAsideCommits keeps each repository of the mirror that the agent made or committed in: the commits are nowhere else.
func (e *engine) setAsideCommits(ctx context.Context) {
	moved, err := e.m.GitMoved()
	there, lerr := e.m.Root.Lstat(repository)
	switch err = errors.Join(err, lerr); {
	case lerr == nil && e.m.Session.GitRefs != "" && there.Kind != safety.Directory:
		e.tellRemoved(there.Kind)
	case err != nil:
		e.failNow(repository, fmt.Errorf("keep the commits made in the mirror: %w", err))
		return
	case moved && e.commitsDoubted():
		e.keepRepository(repository, whyCommitsDoubt+"; git fetch from where it is kept brings what is there")
	case moved && e.m.Options.Git == mirror.GitImport && e.m.Session.GitRefs != "":
		e.takeCommits(ctx)
	case moved:
		e.keepRepository(repository, whyCommitsStay)
	}
	e.keepNestedRepositories()
}

// keepNestedRepositories keeps the repositories that lie deeper: none is mirrored, so that one that is there is the agent's.
func (e *engine) keepNestedRepositories() {
	for p, found := range e.view.mirrored.All() {
		if found.Info.Kind != safety.Directory || !found.Access.Mirrored() {
			continue
		}
		if info, err := e.m.Root.Lstat(p.Join(repository)); err != nil || info.Kind != safety.Absent {
			e.keepRepository(p.Join(repository), whyCommitsStay)
		}
	}
}

const (
	repository     = ".git"
	whyCommitsStay = "commits stay in the mirror's repository; git fetch from where it is kept brings them"
)

// tellRemoved says that the agent took the mirror's repository away. That is its own to do, and no reason to keep the mirror.
// What a link or a file in its place leads to is not followed.
func (e *engine) tellRemoved(now safety.Kind) {
	if now == safety.Absent {
		e.noteRefused(repository, "the mirror's repository was removed there: no commits come home", "")
		return
	}
	kept, err := e.keepTree(repository, gitFolder)
	if err != nil {
		e.failNow(repository, fmt.Errorf("keep what stands for the mirror's repository: %w", err))
		return
	}
	e.noteRefused(repository, fmt.Sprintf("the mirror's repository was replaced by a %s: no commits come home", now), kept)
}

func (e *engine) keepRepository(p safety.RelPath, why string) {
	kept, err := e.keepTree(p, gitFolder)
	if errors.Is(err, fs.ErrNotExist) {
		return // its directory could not be searched until it was opened up
	}
	if err != nil {
		e.failNow(p, fmt.Errorf("keep the commits made in the mirror: %w", err))
		return
	}
	e.noteRefused(p, why, kept)
}

// setAside keeps the mirror's version of each noted path that is not kept yet, and returns those notes. Notes are sorted:
// what lies below a path that was moved went along with it.
//
// What is moved out, and what lies below it, leaves the base first, durably: in a mirror that stays after all, because
// of a crash or since it could not be removed, it would look deleted by the agent, and the next sync would delete it in
// the project.
func (e *engine) setAside(notes []*PathNote, folder string) []PathNote {
	if err := e.forget(notes); err != nil {
		for _, n := range notes {
			e.failNow(n.Path, err)
		}
		return nil
	}
	var now []PathNote
	moved := map[safety.RelPath]string{}
	for _, n := range notes {
		if n.Kept != "" {
			continue
		}
		if kept := movedAlong(moved, n.Path); kept != "" {
			if e.view.mirrored.Get(n.Path).Info.Kind != safety.Absent { // else its deletion is held, and a link or file went
				n.Kept = kept
				now = append(now, *n)
			}
			continue
		}
		info, err := e.m.Root.Lstat(n.Path)
		if err == nil && info.Kind == safety.Absent {
			continue // a held deletion: there is nothing to keep
		}
		if err == nil {
			n.Kept, err = e.keepTree(n.Path, folder)
		}
		if err != nil {
			e.failNow(n.Path, err)
			continue
		}
		moved[n.Path] = n.Kept
		now = append(now, *n)
	}
	return now
}

// forget takes the paths that are going to be moved out of the base.
func (e *engine) forget(notes []*PathNote) error {
	going := map[safety.RelPath]string{}
	for _, n := range notes {
		if n.Kept == "" && e.view.mirrored.Get(n.Path).Info.Kind != safety.Absent {
			going[n.Path] = "."
		}
	}
	if len(going) == 0 {
		return nil
	}
	for p := range e.m.Base.All() {
		if going[p] != "" || movedAlong(going, p) != "" {
			e.setBase(p, mirror.Entry{})
		}
	}
	return e.flush()
}

func movedAlong(moved map[safety.RelPath]string, p safety.RelPath) string {
	for _, dir := range p.Parents() {
		if kept, ok := moved[dir]; ok {
			return kept + strings.TrimPrefix(string(p), string(dir))
		}
	}
	return ""
}
