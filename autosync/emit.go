package autosync

import (
	"slices"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// emit lists the steps that bring both sides to the outcomes, in an order in which each can be done.
func emit(outcomes []outcome, index map[safety.RelPath]*outcome, l limits) plan {
	e := emitter{index: index, limits: l, wanted: wantedDirs(outcomes, l)}
	for i := range outcomes {
		if o := &outcomes[i]; l.selected == nil || l.selected(o.path) && !e.buriedByUnselected(o) || e.wanted[o.path] {
			e.add(o)
		}
	}
	slices.Reverse(e.plan.clear)
	slices.Reverse(e.plan.remove)
	return e.plan
}

// buriedByUnselected reports whether o goes because of a directory above it that is not asked for, and so stays.
func (e *emitter) buriedByUnselected(o *outcome) bool {
	leaf := e.leafAbove(o)
	return o.buried && leaf != nil && !e.limits.selected(leaf.path)
}

type emitter struct {
	plan   plan
	index  map[safety.RelPath]*outcome
	limits limits
	wanted map[safety.RelPath]bool
}

// wantedDirs are the directories above selected paths that will be there: they have to be made for them.
func wantedDirs(outcomes []outcome, l limits) map[safety.RelPath]bool {
	wanted := map[safety.RelPath]bool{}
	if l.selected == nil {
		return wanted
	}
	for i := range outcomes {
		if o := &outcomes[i]; l.selected(o.path) && !o.final.Absent() {
			for _, dir := range o.path.Parents() {
				wanted[dir] = true
			}
		}
	}
	return wanted
}

func (e *emitter) add(o *outcome) {
	if o.fixed != "" {
		e.note(o)
		return
	}
	if o.lost && !o.project.Absent() {
		e.plan.lost = append(e.plan.lost, o.path)
	}
	switch o.action {
	case Nothing:
		if !o.base.Absent() && o.project.Absent() && o.mirrored.Absent() || !o.access.Mirrored() && !o.base.Absent() {
			e.plan.forget = append(e.plan.forget, o.path)
		}
	case Adopt:
		e.adopt(o)
	case FreezeGit:
		if o.mirrored != o.base {
			e.plan.refused = append(e.plan.refused, PathNote{Path: o.path, Why: "written below .git: it no longer follows the project"})
		}
	case SetAside:
		if !o.base.Absent() { // the agent's version of a file of the project's: an orphan comes back with the next mirror
			e.plan.refused = append(e.plan.refused, PathNote{Path: o.path, Why: "hidden by now"})
			return
		}
		e.plan.orphans = append(e.plan.orphans, PathNote{Path: o.path, Why: "the path is hidden"})
	case Withdraw:
		e.step(o, mirror.MirrorSide)
	default:
		e.bothSides(o)
	}
}

// note reports a path at which nothing is done.
func (e *emitter) note(o *outcome) {
	n := PathNote{Path: o.path, Why: o.fixed, Hold: o.held}
	switch {
	case o.mirrored == o.base: // nothing of the agent's: the user's side is special
	case o.as == standPending:
		e.plan.pending = append(e.plan.pending, n)
	case o.as == standHeld:
		e.plan.held = append(e.plan.held, n)
	case o.base.Absent() && o.mirrored.Kind == safety.Special: // a socket or FIFO that a program made: nothing to bring home
	case o.mirrored.Absent(): // below a refused entry, which is reported
	default:
		e.plan.refused = append(e.plan.refused, n)
	}
}

func (e *emitter) adopt(o *outcome) {
	if o.final.Absent() {
		e.plan.forget = append(e.plan.forget, o.path)
		return
	}
	e.plan.adopt = append(e.plan.adopt, o.path)
}

func (e *emitter) bothSides(o *outcome) {
	moved := false
	if o.project != o.final && o.access == dotfiles.Writable {
		moved = true
		e.step(o, mirror.ProjectSide)
	}
	if o.mirrored != o.final {
		moved = true
		e.step(o, mirror.MirrorSide)
	}
	if !moved {
		e.adopt(o)
	}
}

func (e *emitter) step(o *outcome, side mirror.Side) {
	s := step{path: o.path, action: o.action, side: side, to: o.final, base: o.base, keep: keepFor(o, side)}
	s.from = o.project
	if side == mirror.MirrorSide {
		s.from = o.mirrored
		if !e.limits.toMirror && !o.lost {
			e.refuseUnrestored(o)
			return
		}
	}
	gone := s.to.Absent()
	isDir, wasDir := s.to.Kind == safety.Directory, s.from.Kind == safety.Directory
	switch {
	case gone && (e.leafAbove(o) != nil || e.makesRoom(o)):
		e.plan.clear = append(e.plan.clear, s)
	case gone:
		e.plan.remove = append(e.plan.remove, s)
	case !s.from.Absent() && isDir != wasDir:
		clear := s
		clear.to = mirror.State{}
		e.plan.clear = append(e.plan.clear, clear)
		s.from = mirror.State{}
		fallthrough
	default:
		e.plan.put = append(e.plan.put, s)
	}
}

// refuseUnrestored reports what the agent made of a path that it may not change, where the mirror is left as it is: the
// mirror alone has that version. A deletion leaves no version.
func (e *emitter) refuseUnrestored(o *outcome) {
	if o.access == dotfiles.ReadOnly && o.mirrored != o.base && !o.mirrored.Absent() {
		e.plan.refused = append(e.plan.refused, PathNote{Path: o.path, Why: "read-only"})
	}
}

// leafAbove is the path above o that becomes a file, so that o makes room for it; nil: none does.
func (e *emitter) leafAbove(o *outcome) *outcome {
	for _, dir := range o.path.Parents() {
		if d := e.index[dir]; d != nil && !d.final.Absent() && d.final.Kind != safety.Directory {
			return d
		}
	}
	return nil
}

func keepFor(o *outcome, side mirror.Side) keep {
	switch {
	case side == mirror.ProjectSide && o.action == ResolveConflict:
		return keepConflict
	case side == mirror.ProjectSide:
		return keepHistory
	case o.mirrored != o.base && !o.mirrored.Absent() && o.action != Withdraw && !o.lost:
		return keepRefused
	}
	return keepNothing
}
