package autosync

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// former is what a path of the project was before a session changed it.
type former struct {
	stamp mirror.Stamp // zero: there was nothing
	seq   uint64       // the slot that it was displaced into
	kept  string       // where it was kept then; "": it is still at its path and only its mode was changed
	mode  uint32       // what its mode was, where that was changed before it was displaced; else 0
}

// changed is a path that a session changed in the project: what it was before, and what the session left there.
type changed struct {
	path   safety.RelPath
	before former
	after  mirror.Entry // zero: the session removed what was there
}

// dirTimes are the mtimes of a directory in which a session changed names: before the first change that nobody else's
// came after, and after the last.
type dirTimes struct{ before, after int64 }

// changesIn reads from a journal what its session changed in the project, sorted by path. It does no I/O.
//
// A path may change often in a session, by the user too. What counts is the last run of changes with none of the user's
// in between: before it there was the user's own latest version, and nothing of the user's is ever undone.
func changesIn(records []record) ([]changed, map[safety.RelPath]dirTimes) {
	intents := map[uint64]record{}
	paths := map[safety.RelPath]*changed{}
	dirs := map[safety.RelPath]dirTimes{}
	for _, r := range records {
		if r.Side != mirror.ProjectSide {
			continue
		}
		if r.Type == recordIntent {
			intents[r.Seq] = r
		}
		if r.Type != recordDone {
			continue
		}
		noteDir(dirs, r)
		if r.Op != opTimes {
			noteChange(paths, intents[r.Seq], r)
		}
	}
	out := make([]changed, 0, len(paths))
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		if c := paths[p]; c.before.stamp != (mirror.Stamp{}) || !c.after.State.Absent() {
			out = append(out, *c)
		}
	}
	return out, dirs
}

func noteDir(dirs map[safety.RelPath]dirTimes, done record) {
	if done.Dir == [2]int64{} {
		return
	}
	dir := safety.RelPath(done.Path)
	if done.Op != opTimes {
		dir = dir.Dir()
	}
	t := dirs[dir]
	if t.after != done.Dir[0] {
		t.before = done.Dir[0]
	}
	t.after = done.Dir[1]
	dirs[dir] = t
}

func noteChange(paths map[safety.RelPath]*changed, intent, done record) {
	p := safety.RelPath(done.Path)
	var expect mirror.Stamp
	if intent.Expect != nil {
		expect = *intent.Expect
	}
	c := paths[p]
	switch {
	case c == nil || !c.goesOn(expect, done):
		c = &changed{path: p, before: former{stamp: expect, seq: done.Seq, kept: string(done.Kept)}}
		if done.Op == opChmod {
			c.before.mode = expect.Mode
		}
		paths[p] = c
	case c.before.kept == "" && c.before.mode != 0 && done.Op != opChmod:
		c.before.seq, c.before.kept = done.Seq, string(done.Kept) // displaced with the mode that we gave it
	}
	c.after = mirror.Entry{}
	if done.Base != nil {
		c.after = *done.Base
		c.after.State.Target = string(done.Target)
	}
}

// goesOn reports whether a call found what the session itself had left at the path.
func (c *changed) goesOn(expect mirror.Stamp, done record) bool {
	if expect == (mirror.Stamp{}) {
		return c.after.State.Absent()
	}
	if kept := string(done.Kept); kept != "" && !isSlotOf(kept, done.Seq) {
		return false // a conflict's loser: it was another version than was expected
	}
	return sameEntry(expect, c.after.Project)
}

func isSlotOf(path string, seq uint64) bool { return filepath.Base(path) == fmt.Sprintf("%08d", seq) }

// sameEntry reports whether two stamps are of one version: a rename moves the ctime, and a chmod of ours the mode.
func sameEntry(a, b mirror.Stamp) bool {
	if a.Kind == safety.Directory {
		return b.Kind == safety.Directory
	}
	return a.Kind == b.Kind && a.Ino == b.Ino && a.Dev == b.Dev && a.Size == b.Size && a.Mtime == b.Mtime
}

// fate is what undo does at a path.
type fate uint8

const (
	fateBack    fate = iota // it is as it was already
	fateTake                // what the session made goes
	fateBring               // what was there comes back
	fateSwap                // what was there comes back in place of what the session made
	fateMode                // the mode alone comes back
	fateChanged             // the user changed it since: left
)

// fateOf decides what undo does at a path where info is found now; ours says whether that is what the session left.
// With force what the user made since counts as the session's. It does no I/O.
func fateOf(c changed, now safety.Info, ours, force bool) fate {
	was, is := c.before.stamp, mirror.StampOf(now)
	same := sameEntry(was, is)
	mode := c.before.mode
	if was.Kind == safety.Directory {
		mode = was.Mode
	}
	switch {
	case same && is != c.after.Project && (mode == 0 || now.Mode == mode):
		return fateBack
	case !ours && !force:
		return fateChanged
	case was == mirror.Stamp{}:
		return fateTake
	case same && (c.before.kept == "" || was.Kind == safety.Directory):
		return fateMode
	case now.Kind == safety.Absent:
		return fateBring
	}
	return fateSwap
}
