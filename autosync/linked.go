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
	names := map[fileID]uint64{}
	all := map[fileID]uint64{}
	for _, f := range t.All() {
		if f.Info.Kind == safety.File && f.Info.Nlink > 1 {
			id := fileID{f.Info.Dev, f.Info.Ino}
			names[id]++
			all[id] = f.Info.Nlink
		}
	}
	out := map[fileID]bool{}
	for id, n := range names {
		if n < all[id] {
			out[id] = true
		}
	}
	return out
}

func idOf(s mirror.Stamp) fileID { return fileID{s.Dev, s.Ino} }
