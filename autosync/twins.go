package autosync

import (
	"maps"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// twins are, by side, the entry that the side's file system takes a path for though the path itself is not there: where
// case is folded, "readme" is in the way of "README". "": none.
type twins [2]safety.RelPath

// twinsOf looks for what is in the way of a path that is on one side only.
func twinsOf(m *mirror.Mirror, p safety.RelPath, onProject, onMirror bool) (t twins, err error) {
	if !m.Policy.Folds() || onProject == onMirror {
		return t, nil
	}
	side, root := mirror.ProjectSide, m.Project
	if onProject {
		side, root = mirror.MirrorSide, m.Root
	}
	t[side], err = mirror.Spelling(root, p)
	if t[side] == p { // it has come in this moment
		t[side] = ""
	}
	return t, err
}

// addTwins adds what is in the way of paths: it has to go for them.
func addTwins(m *mirror.Mirror, v *view, paths map[safety.RelPath]bool) (added bool, err error) {
	for p := range maps.Clone(paths) {
		t, err := twinsOf(m, p, v.project.Get(p).Info.Kind != safety.Absent, v.mirrored.Get(p).Info.Kind != safety.Absent)
		if err != nil {
			return false, err
		}
		for _, twin := range t {
			if twin != "" && !paths[twin] {
				paths[twin], added = true, true
			}
		}
	}
	return added, nil
}

// makeRoom lets what is in the way of another path go first, where it goes anyway, and refuses the other paths: two names
// that differ in case alone can't both be there. What was moved to a refused one is not deleted for that.
func makeRoom(outcomes []outcome, index map[safety.RelPath]*outcome, l limits) {
	for refused := true; refused; { // a deletion that is held may be of what is in the way of another
		refused = false
		for i := range outcomes {
			o := &outcomes[i]
			twin := o.twins[other(o.winner)]
			if twin == "" || o.final.Absent() || o.fixed != "" {
				continue
			}
			if t := index[twin]; t != nil && t.goes(outcomes) && (l.selected == nil || l.selected(twin)) {
				t.room = true
			} else if o.winner == mirror.MirrorSide {
				refused = true
				o.barred = "the project's file system takes it for " + twin.String()
				o.fix(o.barred, standRefused)
				holdMovedTo(o.path, outcomes)
			}
		}
	}
}

// goes reports whether nothing will be at the path, nor below it.
func (o *outcome) goes(outcomes []outcome) bool {
	if o.hiddenBelow {
		return false
	}
	for i := range outcomes {
		if q := &outcomes[i]; q.path.In(o.path) && (!q.final.Absent() || q.fixed != "") {
			return false
		}
	}
	return true
}

// holdMovedTo holds the deletions of what is at, or below, a path that does not cross by now.
func holdMovedTo(p safety.RelPath, outcomes []outcome) {
	for i := range outcomes {
		o := &outcomes[i]
		if o.action == DeleteInProject && o.fixed == "" && o.movedTo != "" && o.movedTo.In(p) {
			o.hold("moved to "+o.movedTo.String()+", which does not cross", HoldMoved)
		}
	}
}

// makesRoom reports whether o, or a directory above it, goes so that another name can come.
func (e *emitter) makesRoom(o *outcome) bool {
	if o.room {
		return true
	}
	for _, dir := range o.path.Parents() {
		if d := e.index[dir]; d != nil && d.room {
			return true
		}
	}
	return false
}
