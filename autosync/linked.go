package autosync

import (
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// addLinked adds the other names, as far as the base knows them, of files that have several: what is written by one name
// is written to all, and raises no event at the others.
func addLinked(m *mirror.Mirror, v *view, paths map[safety.RelPath]bool) (added bool, err error) {
	wanted := [...]map[fileID]bool{mirror.ProjectSide: unmet(v.project), mirror.MirrorSide: unmet(v.mirrored)}
	if len(wanted[mirror.ProjectSide])+len(wanted[mirror.MirrorSide]) == 0 {
		return false, nil
	}
	for p, e := range m.Base.Unsorted() {
		if e.State.Kind != safety.File || paths[p] {
			continue
		}
		if wanted[mirror.ProjectSide][idOf(e.Project)] || wanted[mirror.MirrorSide][idOf(e.Mirror)] {
			addWithParents(paths, p)
			added = true
		}
	}
	return added, nil
}

// unmet are the files of a tree that have names which are not in it.
func unmet(t *mirror.Tree) map[fileID]bool {
	left := map[fileID]int64{}
	for _, f := range t.All() {
		if f.Info.Kind != safety.File || f.Info.Nlink < 2 {
			continue
		}
		id := fileOf(f.Info)
		if _, met := left[id]; !met {
			left[id] = int64(f.Info.Nlink)
		}
		left[id]--
	}
	out := map[fileID]bool{}
	for id, n := range left {
		if n > 0 {
			out[id] = true
		}
	}
	return out
}

// wroteByOtherName reports whether the project's file at p, as it was seen, is what this session wrote there by another of
// the file's names since both sides agreed on p last: nobody else changed it.
func (e *engine) wroteByOtherName(p safety.RelPath) bool {
	if e.view == nil {
		return false
	}
	now := mirror.StampOf(e.view.project.Get(p).Info)
	left, wrote := e.history.written[idOf(now)]
	return wrote && left == now && e.history.placed[p] != now && idOf(e.m.Base.Get(p).Project) == idOf(now)
}

// takeBackFollowers makes paths that the agent deleted count as unchanged in the project where they only followed what was
// written by another name: the deletion is carried.
func (e *engine) takeBackFollowers() {
	for i := range e.view.looks {
		lk := &e.view.looks[i]
		if lk.mirrored.Absent() && lk.base.Kind == safety.File && lk.project.Kind == safety.File && e.wroteByOtherName(lk.path) {
			lk.project = lk.base
		}
	}
}
