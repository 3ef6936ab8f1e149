package autosync

import (
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// finding is an intent that a crash cut short, and what there is now.
type finding struct {
	intent            record
	slot, stage, path safety.Info
	placed            bool           // path is the inode that was staged
	rewrite           safety.Rewrite // of a placement in place whose stage and slot are there
}

// verdict is what recovery concludes of a finding. After each of them the path is looked at anew by the next pass, so
// that a verdict need not know more than whether the call was made.
type verdict uint8

const (
	// notDone: it was not made, or nobody can tell and the path says nothing else. What was staged goes.
	notDone verdict = iota
	// wasDone: it was made; the base moves, and what came out is kept as it would have been.
	wasDone
	// wasDoneOver: it was made and took out a version that nobody had decided on: that is kept as a conflict's loser.
	wasDoneOver
	// wentBack: what came out has to go back to its path: another kind of entry, or the agent's newer version.
	wentBack
	// bringIn: the path is empty and the new version waits: it goes there.
	bringIn
	// overtaken: something newer is at the path; what came out is kept as a conflict's loser, what was staged goes.
	overtaken
	// redo: the path is half old and half new: it becomes new.
	redo
)

var verdictTexts = [...]string{
	"not done", "done", "done, over a version saved meanwhile", "put back", "brought in", "overtaken by a newer version", "finished",
}

func (v verdict) String() string { return verdictTexts[v] }

// The ways of safety.Placing, as intents name them.
var (
	opExchange   = safety.Exchange.String()
	opRenameAway = safety.RenameAway.String()
	opInPlace    = safety.InPlace.String()
	opNewName    = safety.NewName.String()
)

// judge decides, row by row of the table in docs/design.md, what became of a call.
//
// To take a call for done that was not is to take the old version for a newer one: done needs proof. To take it for not
// done costs a look: both sides are found equal, or in conflict, and nothing is lost.
func judge(f finding) verdict {
	switch f.intent.Op {
	case opExchange:
		return settleExchange(f)
	case opRenameAway:
		return settleRenameAway(f)
	case opInPlace:
		return settleInPlace(f)
	case opNewName:
		if f.placed {
			return wasDone
		}
	case opDelete:
		return settleDelete(f)
	}
	return notDone // mkdir, rmdir, chmod: the pass does again what is still to be done
}

// settleExchange: the slot held the staged file before and holds what came out since.
func settleExchange(f finding) verdict {
	switch {
	case f.slot.Kind == safety.Absent && f.placed: // what came out is moved to its place already
		return wasDone
	case f.slot.Kind == safety.Absent || isInode(f.slot, f.intent.Staged):
		return notDone
	}
	return f.displaced()
}

// displaced says what becomes of a version that a placement took out.
func (f finding) displaced() verdict {
	switch {
	case isVersion(f.slot, f.intent.Expect):
		return wasDone
	case f.slot.Kind != f.intent.Expect.Kind || f.intent.Side == mirror.MirrorSide:
		return wentBack
	}
	return wasDoneOver
}

// settleRenameAway: first the slot is filled, then the stage moves to the path.
func settleRenameAway(f finding) verdict {
	absent := f.path.Kind == safety.Absent
	switch {
	case f.slot.Kind == safety.Absent && f.placed:
		return wasDone
	case f.slot.Kind == safety.Absent:
		return notDone
	case f.placed:
		return f.displaced()
	case !absent:
		return overtaken
	case f.stage.Kind == safety.Absent || f.displaced() == wentBack:
		return wentBack
	}
	return bringIn
}

// settleInPlace: the slot holds a copy of the old version, the stage the new one until the rewrite is whole.
func settleInPlace(f finding) verdict {
	switch {
	case f.stage.Kind == safety.Absent && f.slot.Kind != safety.Absent && isInode(f.path, f.intent.Expect):
		return wasDone
	case f.stage.Kind != safety.Absent && f.rewrite == safety.RewriteBegun:
		return redo
	}
	return notDone
}

func settleDelete(f finding) verdict {
	switch {
	case f.slot.Kind == safety.Absent: // not made, or what came out is moved to its place already
		return notDone
	case isVersion(f.slot, f.intent.Expect):
		return wasDone
	}
	return wentBack
}

func isInode(now safety.Info, then *mirror.Stamp) bool {
	return then != nil && now.Kind == then.Kind && now.Ino == then.Ino && now.Dev == then.Dev
}

// isVersion leaves out ctime, which a rename moves.
func isVersion(now safety.Info, then *mirror.Stamp) bool {
	return isInode(now, then) && now.Size == then.Size && now.Mtime == then.Mtime && now.Mode == then.Mode
}

// wasPlaced reports whether what is at the path is the inode that was staged, and not a later one of its number: it is
// as it was staged, or was made when that was.
func wasPlaced(r record, now safety.Info, birth int64) bool {
	if !isInode(now, r.Staged) {
		return false
	}
	return isVersion(now, r.Staged) || birth != 0 && birth == r.Birth
}
