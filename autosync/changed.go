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
	runs := newRuns()
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
			runs.note(intents[r.Seq], r)
		}
	}
	out := make([]changed, 0, len(runs.paths))
	for _, p := range slices.Sorted(maps.Keys(runs.paths)) {
		if c := runs.paths[p]; c.before.stamp != (mirror.Stamp{}) || !c.after.State.Absent() {
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

// runs are the changes that a journal tells of, as far as it was read. A file that is rewritten in place changes under all
// of its names, so that it has a run of its own.
type runs struct {
	paths map[safety.RelPath]*changed
	files map[fileID]*changed         // of those that were rewritten
	names map[fileID][]safety.RelPath // which a session changed; those that are others' by now are among them
}

func newRuns() *runs {
	return &runs{paths: map[safety.RelPath]*changed{}, files: map[fileID]*changed{}, names: map[fileID][]safety.RelPath{}}
}

// note takes in a call that was made.
func (rs *runs) note(intent, done record) {
	p := safety.RelPath(done.Path)
	var expect mirror.Stamp
	if intent.Expect != nil {
		expect = *intent.Expect
	}
	call := change{expect: expect, after: done.entry(), done: done}
	c, file := rs.paths[p], rs.files[idOf(expect)]
	rewritten := call.rewrites()
	switch {
	case c != nil && call.follows(c):
		c.extend(done)
	case rewritten && file != nil && call.follows(file):
		c = &changed{path: p, before: file.before} // the session wrote there by another name
		c.extend(done)
	default:
		c = call.begin(p)
	}
	rs.paths[p] = c
	if rewritten {
		rs.rewrite(call, file)
	}
	if id := idOf(call.after.Project); call.after.State.Kind == safety.File && idOf(c.after.Project) != id {
		rs.names[id] = append(rs.names[id], p)
	}
	c.after = call.after
}

// rewrite takes in that a file changed in place: so did what its other names were left as.
func (rs *runs) rewrite(call change, file *changed) {
	id := idOf(call.expect)
	if file != nil && call.follows(file) {
		file.extend(call.done)
	} else {
		file = call.begin("")
		rs.files[id] = file
	}
	file.after = call.after
	for _, q := range rs.names[id] {
		if c := rs.paths[q]; c.after.State.Kind == safety.File && sameEntry(call.expect, c.after.Project) {
			c.extend(call.done)
			c.after = call.after
		}
	}
}

// change is a call that was made: what it was to find, and what it left.
type change struct {
	expect mirror.Stamp
	after  mirror.Entry
	done   record
}

// rewrites reports whether the call left the inode that it found.
func (c change) rewrites() bool {
	return c.expect.Kind == safety.File && c.after.State.Kind == safety.File && idOf(c.expect) == idOf(c.after.Project)
}

// begin is a run of which the call is the first.
func (c change) begin(p safety.RelPath) *changed {
	run := &changed{path: p, before: former{stamp: c.expect, seq: c.done.Seq, kept: string(c.done.Kept)}}
	if c.done.Op == opChmod {
		run.before.mode = c.expect.Mode
	}
	return run
}

// follows reports whether the call found what the session itself had left.
func (c change) follows(run *changed) bool {
	if c.expect == (mirror.Stamp{}) {
		return run.after.State.Absent()
	}
	if kept := string(c.done.Kept); kept != "" && !isSlotOf(kept, c.done.Seq) && !c.rewrites() {
		return false // a conflict's loser: it was another version than was expected; what is rewritten was looked at by its descriptor
	}
	return sameEntry(c.expect, run.after.Project)
}

// extend takes in a call that goes on.
func (c *changed) extend(done record) {
	if c.before.kept == "" && c.before.mode != 0 && done.Op != opChmod {
		c.before.seq, c.before.kept = done.Seq, string(done.Kept) // displaced with the mode that we gave it
	}
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
