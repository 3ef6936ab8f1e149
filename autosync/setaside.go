package autosync

import (
	"fmt"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
)

// setAsideLeft moves out of a mirror that is about to go what lies in it and may not cross: refused and held versions to
// folders of the session, orphans to the project's. It changes the notes in place.
func (e *engine) setAsideLeft() {
	for _, n := range e.setAside(e.stillLeft(), refusedFolder) {
		e.emit(Refused, n.Path, 0, n.Why, n.Kept)
	}
	e.setAside(each(e.changes.Held), heldFolder)
	e.setAsideCommits()
	e.setAside(each(e.changes.Orphans), orphansFolder)
	for _, n := range e.changes.Orphans {
		e.emit(Orphan, n.Path, 0, n.Why, n.Kept)
	}
	for _, n := range e.changes.Held {
		e.emit(Held, n.Path, ToProject, n.Why, n.Kept)
		e.append(record{Type: recordHeld, Path: []byte(n.Path), Why: n.Why, Kept: n.Kept})
	}
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

// setAsideCommits keeps the mirror's repository when the agent committed in it: the commits are nowhere else.
func (e *engine) setAsideCommits() {
	const repository = ".git"
	moved, err := e.m.GitMoved()
	if err == nil && !moved {
		return
	}
	var kept string
	if err == nil {
		kept, err = e.keepTree(repository, gitFolder)
	}
	if err != nil {
		e.fail(repository, fmt.Errorf("keep the commits made in the mirror: %w", err))
		return
	}
	e.noteRefused(repository, "commits stay in the mirror's repository; git fetch from where it is kept brings them", kept)
}

// setAside keeps the mirror's version of each noted path that is not kept yet, and returns those notes. Notes are sorted:
// what lies below a path that was moved went along with it.
func (e *engine) setAside(notes []*PathNote, folder string) []PathNote {
	var now []PathNote
	moved := map[safety.RelPath]string{}
	for _, n := range notes {
		if n.Kept != "" {
			continue
		}
		if n.Kept = movedAlong(moved, n.Path); n.Kept != "" {
			now = append(now, *n)
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
			e.fail(n.Path, err)
			continue
		}
		moved[n.Path] = n.Kept
		now = append(now, *n)
	}
	return now
}

func movedAlong(moved map[safety.RelPath]string, p safety.RelPath) string {
	for _, dir := range p.Parents() {
		if kept, ok := moved[dir]; ok {
			return kept + strings.TrimPrefix(string(p), string(dir))
		}
	}
	return ""
}
