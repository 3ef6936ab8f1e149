package autosync

import (
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// displacedFile is a version in a store that somebody had open for writing when it was displaced. What is written there
// later is seen at no path of either side, so it stays in the store.
type displacedFile struct {
	step step
	seq  uint64
	info safety.Info // when it was displaced
}

// hasLateWriter reports whether a displaced version is still open for writing, and sees to it that what it gets is
// reported. A store into a mapped page can't be told later by time or size: such a version is never dropped.
func (e *engine) hasLateWriter(s step, seq uint64, d safety.Displaced) bool {
	if !d.Open {
		return false
	}
	e.displaced = append(e.displaced, displacedFile{s, seq, d.Info})
	return true
}

func (e *engine) slotIsWritten(side mirror.Side, seq uint64) bool {
	return e.stores[side].Writing(seq)
}

// settleLateWriters reports displaced versions that were written to after all, when their writers are gone; at the end
// whatever there is.
func (e *engine) settleLateWriters(end bool) {
	left := e.displaced[:0]
	for _, d := range e.displaced {
		if !end && e.slotIsWritten(d.step.side, d.seq) {
			left = append(left, d)
			continue
		}
		now, err := e.stores[d.step.side].Slot(d.seq)
		if err != nil || now.Size == d.info.Size && now.Mtime == d.info.Mtime {
			continue
		}
		if d.step.side == mirror.MirrorSide {
			e.noteRefused(d.step.path, "written in the mirror after the project's version had replaced it", e.moveSlot(d.step.side, d.seq, refusedFolder, d.step.path))
			continue
		}
		kept := e.moveSlot(d.step.side, d.seq, conflictsFolder, d.step.path)
		const why = "written in the project after the mirror's version had replaced it"
		e.changes.Conflicts = append(e.changes.Conflicts, PathNote{Path: d.step.path, Why: why, Kept: kept})
		e.emit(Conflict, d.step.path, ToProject, why, kept)
	}
	e.displaced = left
}
