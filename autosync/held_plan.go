package autosync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// heldPlan plans what is held as a pass would whose mirror is there: by the same planner, so that a change comes home
// whole or stays whole. The mirror's side of each look is what was noted when it was set aside.
type heldPlan struct {
	*undoing
	base  *mirror.Base
	held  map[safety.RelPath]HeldChange
	looks map[safety.RelPath]*look
	now   map[safety.RelPath]safety.Info // in the project
	modes map[safety.RelPath]uint32      // of directories that are kept
	bad   map[safety.RelPath]error       // why what is held can't be brought
	hold  map[safety.RelPath]HoldKind    // why what was asked for stays
}

// planHeld looks at all that is held, and at what of the project's lies in its way, and notes the steps for the paths
// that are asked for (nil: all). It changes nothing.
func (u *undoing) planHeld(ctx context.Context, held []HeldChange, paths []safety.RelPath) (*heldPlan, error) {
	h := &heldPlan{undoing: u, held: map[safety.RelPath]HeldChange{}, looks: map[safety.RelPath]*look{}, now: map[safety.RelPath]safety.Info{},
		modes: map[safety.RelPath]uint32{}, bad: map[safety.RelPath]error{}, hold: map[safety.RelPath]HoldKind{}}
	var err error
	if h.base, err = baseOf(u.of); err != nil {
		return nil, err
	}
	for _, c := range held {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h.held[c.Path] = c
		h.lookAtHeld(ctx, c)
	}
	for _, c := range held {
		h.lookAbove(ctx, c.Path)
		h.lookBelow(ctx, c)
	}
	looks := make([]look, 0, len(h.looks))
	for _, p := range slices.Sorted(maps.Keys(h.looks)) {
		looks = append(looks, *h.looks[p])
	}
	l := limitsFor(Options{Deletes: true, OnlyToProject: true, Approved: true, Paths: paths}, 0)
	pl := makePlan(looks, l)
	h.noteSteps(pl)
	for _, c := range held {
		if l.selected == nil || l.selected(c.Path) {
			h.settleWithout(c, pl)
		}
	}
	return h, nil
}

// lookAtHeld looks at the path of a change, and whether what is kept of it is still what was noted.
func (h *heldPlan) lookAtHeld(ctx context.Context, c HeldChange) {
	lk := &look{path: c.Path, base: c.Base, project: c.Base, mirrored: c.Version}
	h.looks[c.Path] = lk
	now, err := h.undoing.lookAt(c.Path)
	h.now[c.Path] = now
	lk.access = h.access(c.Path, now.Kind, c.Base.Kind, c.Version.Kind)
	if err == nil {
		err = h.lookAtProject(ctx, lk, now)
	}
	if err == nil && !c.Version.Absent() {
		err = h.lookAtKept(ctx, lk, c)
	}
	if err != nil {
		h.bad[c.Path], lk.barred = err, err.Error()
	}
}

// access is the strictest of what the session's rules say of a path as any of the kinds.
func (h *heldPlan) access(p safety.RelPath, kinds ...safety.Kind) dotfiles.Access {
	access := dotfiles.Writable
	for _, kind := range kinds {
		if kind != safety.Absent {
			access = min(access, h.policy.Access(string(p), kind == safety.Directory))
		}
	}
	return access
}

// lookAtProject finds the state of the project's entry. It is the base's where the user did not change it since.
func (h *heldPlan) lookAtProject(ctx context.Context, lk *look, now safety.Info) error {
	lk.project = mirror.State{Kind: now.Kind}
	switch now.Kind {
	case safety.Symlink:
		target, err := h.project.Readlink(lk.path)
		if lk.project.Target = target; err == nil {
			lk.lookAtLink(h.project, h.policy, h.of.Links, target)
		}
		return err
	case safety.File:
		was := changed{path: lk.path, after: mirror.Entry{State: lk.base, Project: h.base.Get(lk.path).Project}}
		if same, err := isAsLeft(ctx, h.project, was, now); same || err != nil {
			lk.project = lk.base
			return err
		}
		content, _, err := mirror.Hash(ctx, h.project, lk.path)
		lk.project.Exec, lk.project.Content = now.Exec(), content
		return err
	}
	return nil
}

// lookAtKept compares what is kept of a change with what was noted of it: a power cut, or somebody, may have changed it.
func (h *heldPlan) lookAtKept(ctx context.Context, lk *look, c HeldChange) error {
	at := h.places.in(h.of, c.Kept)
	switch {
	case at.root == nil && at.err != nil:
		return at.err
	case at.root == nil && h.isHome(ctx, c.Path):
		lk.mirrored = lk.project // by an apply that was cut short, and then settled
		return nil
	case at.root == nil:
		return fmt.Errorf("it is not kept any more: %s", c.Kept)
	}
	info, err := at.root.Lstat(at.path)
	if err != nil {
		return err
	}
	if info.Kind == safety.Directory {
		h.modes[c.Path] = info.Mode
	}
	is := mirror.State{Kind: info.Kind, Exec: c.Version.Exec}
	switch {
	case info.Kind != c.Version.Kind:
	case info.Kind == safety.Symlink:
		is.Target, err = at.root.Readlink(at.path)
	case info.Kind == safety.File && info.Size == c.Version.Content.Size:
		is.Content, _, err = mirror.Hash(ctx, at.root, at.path)
		if errors.Is(err, fs.ErrPermission) && !c.Version.Content.Known() { // the agent took the bit: it is moved, and not read
			is.Content, err = mirror.Content{Size: info.Size, Sum: [16]byte{1}}, nil // no other's
		}
	case info.Kind == safety.File:
		is.Content.Size = info.Size
	}
	if err == nil && !isAsNoted(is, c.Version) {
		err = fmt.Errorf("what is kept is not what was set aside (%s, it was %s), and the project's stays: %s", describe(is), describe(c.Version), c.Kept)
	}
	lk.mirrored = is
	return err
}

// isAsNoted reports whether two states are of one version, where noted need not have been hashed.
func isAsNoted(is, noted mirror.State) bool {
	if noted.Kind == safety.File && !noted.Content.Known() {
		return is.Kind == safety.File && is.Content.Size == noted.Content.Size
	}
	return is == noted
}

func describe(s mirror.State) string {
	switch {
	case s.Kind == safety.File && s.Content.Known():
		return fmt.Sprintf("%d bytes, sum %x", s.Content.Size, s.Content.Sum[:4])
	case s.Kind == safety.File:
		return fmt.Sprintf("%d bytes", s.Content.Size)
	case s.Kind == safety.Symlink:
		return fmt.Sprintf("a link to %q", s.Target)
	}
	return fmt.Sprintf("a %v", s.Kind)
}

// isHome reports whether the project has what the latest undo or apply brought to the path.
func (h *heldPlan) isHome(ctx context.Context, p safety.RelPath) bool {
	last, ok := h.places.latest(p)
	if !ok || h.now[p].Kind == safety.Absent {
		return false
	}
	home, err := isAsLeft(ctx, h.project, last, h.now[p])
	return home && err == nil
}

// lookAbove looks at the directories above what is held. In the mirror they were directories, as something lay in them.
func (h *heldPlan) lookAbove(ctx context.Context, p safety.RelPath) {
	for _, dir := range p.Parents() {
		if dir == safety.Top || h.looks[dir] != nil {
			continue
		}
		h.lookAtOther(ctx, dir, mirror.State{Kind: safety.Directory})
	}
}

// lookAtOther looks at a path at which nothing is held.
func (h *heldPlan) lookAtOther(ctx context.Context, p safety.RelPath, mirrored mirror.State) {
	now, err := h.undoing.lookAt(p)
	lk := &look{path: p, base: h.base.Get(p).State, mirrored: mirrored}
	lk.access = h.access(p, now.Kind, lk.base.Kind)
	if err == nil {
		err = h.lookAtProject(ctx, lk, now)
	}
	if err != nil {
		lk.barred = err.Error()
	}
	h.looks[p], h.now[p] = lk, now
}

// errHidden ends a walk.
var errHidden = errors.New("something that the mirror did not show")

// lookBelow looks at what the project has below a directory that is to go or to become something else: what the user made
// there since, and whether there is anything that the mirror did not show.
func (h *heldPlan) lookBelow(ctx context.Context, c HeldChange) {
	lk := h.looks[c.Path]
	if h.now[c.Path].Kind != safety.Directory || c.Version.Kind == safety.Directory || h.bad[c.Path] != nil {
		return
	}
	err := h.project.Walk(c.Path, func(p safety.RelPath, info safety.Info) error {
		if !h.shows(p, info) {
			return errHidden
		}
		if h.looks[p] == nil {
			h.lookAtOther(ctx, p, mirror.State{})
		}
		return ctx.Err()
	})
	lk.hiddenBelow = err != nil // what can't be looked at counts as hidden
}

// shows reports whether a mirror would show an entry of the project's.
func (h *heldPlan) shows(p safety.RelPath, info safety.Info) bool {
	if info.Kind == safety.Special || !h.access(p, info.Kind).Mirrored() {
		return false
	}
	if h.of.Population == mirror.Git && h.base.Get(p).State.Absent() && h.held[p].Base.Absent() && info.Kind != safety.Directory {
		return false // git may ignore it: the safe side
	}
	if info.Kind != safety.Symlink {
		return true
	}
	target, err := h.project.Readlink(p)
	v := mirror.DecideLink(h.project, h.policy, h.of.Links, h.project.Path(), p, target)
	return err == nil && v.Action == mirror.KeepLink
}

// noteSteps turns a plan into steps of an undo: what is held is what comes back, what is there is what goes.
func (h *heldPlan) noteSteps(pl plan) {
	to := map[safety.RelPath]mirror.State{}
	for _, s := range slices.Concat(pl.clear, pl.put, pl.remove) {
		if s.side == mirror.ProjectSide {
			to[s.path] = s.to // of a path that is cleared for something else: what is put there
		}
	}
	for _, p := range slices.Sorted(maps.Keys(to)) {
		if to[p].Absent() && h.staysAbove(p, to) {
			continue
		}
		h.steps = append(h.steps, h.step(p, to[p].Kind))
	}
}

// staysAbove reports whether p is below a directory that a held file or link is to replace and does not: what lies in it
// is not deleted for that.
func (h *heldPlan) staysAbove(p safety.RelPath, to map[safety.RelPath]mirror.State) bool {
	for _, dir := range p.Parents() {
		v := h.held[dir].Version
		if _, goes := to[dir]; !goes && !v.Absent() && v.Kind != safety.Directory && h.now[dir].Kind == safety.Directory {
			return true
		}
	}
	return false
}

func (h *heldPlan) step(p safety.RelPath, to safety.Kind) undoStep {
	now, lk := h.now[p], h.looks[p]
	c := changed{path: p, before: former{stamp: mirror.Stamp{Kind: to}}, after: mirror.Entry{State: lk.project, Project: mirror.StampOf(now)}}
	switch to {
	case safety.Absent:
	case safety.Directory: // made, and not moved: what lies in the kept one may not all come home
		c.before.stamp.Mode = cmp.Or(h.modes[p], 0o755)
	default:
		c.before.kept = h.held[p].Kept
	}
	s := undoStep{changed: c, now: now, gone: now.Kind == safety.Absent, fate: fateSwap}
	s.user = !s.gone && now.Kind != safety.Directory && lk.project != lk.base
	switch {
	case to == safety.Absent:
		s.fate = fateTake
	case s.gone:
		s.fate = fateBring
	}
	return s
}

// settleWithout notes what becomes of a change for which there is no step.
func (h *heldPlan) settleWithout(c HeldChange, pl plan) {
	lk := h.looks[c.Path]
	note := func(list []PathNote) (PathNote, bool) {
		i := slices.IndexFunc(list, func(n PathNote) bool { return n.Path == c.Path })
		if i < 0 {
			return PathNote{}, false
		}
		return list[i], true
	}
	if slices.ContainsFunc(h.steps, func(s undoStep) bool { return s.path == c.Path }) {
		return
	}
	held, isHeld := note(pl.held)
	refused, isRefused := note(pl.refused)
	switch {
	case h.bad[c.Path] != nil:
		h.fail(c.Path, h.bad[c.Path])
	case lk.access != dotfiles.Writable:
		h.fail(c.Path, errors.New("it is not the agent's to write: left alone"))
	case isHeld:
		h.hold[c.Path] = held.Hold
		h.leave(c.Path, held.Why)
	case isRefused:
		h.leave(c.Path, refused.Why)
	case lk.project == lk.mirrored && lk.mirrored.Absent():
		h.out.Removed = append(h.out.Removed, c.Path) // by the user meanwhile
	case lk.project == lk.mirrored:
		h.noteDone(undoStep{changed: changed{path: c.Path}, fate: fateBring})
	default:
		h.leave(c.Path, h.whyLeft(lk))
	}
}

// whyLeft says why nothing is done at a path at which both sides differ.
func (h *heldPlan) whyLeft(lk *look) string {
	for _, dir := range lk.path.Parents() {
		if c, ok := h.held[dir]; ok && c.Version.Kind != safety.Directory && h.now[dir].Kind == safety.Directory {
			return "it goes with " + dir.String() + ", which stays"
		}
	}
	switch {
	case lk.mirrored.Absent() && lk.project.Kind == safety.Directory:
		return "it holds what the session did not make"
	case lk.mirrored.Absent():
		return "changed since: not deleted"
	}
	return "something that stays is in its way"
}

// isDir reports whether a change at a path only makes or removes a directory, which goes without a word.
func (h *heldPlan) isDir(p safety.RelPath) bool {
	if c, ok := h.held[p]; ok {
		return c.Version.Kind == safety.Directory || c.Version.Absent() && c.Base.Kind == safety.Directory
	}
	i := slices.IndexFunc(h.steps, func(s undoStep) bool { return s.path == p })
	return i >= 0 && (h.steps[i].before.stamp.Kind == safety.Directory || h.steps[i].fate == fateTake && h.looks[p].project.Kind == safety.Directory)
}
