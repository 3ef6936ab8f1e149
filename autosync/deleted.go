package autosync

import (
	"slices"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
	"github.com/zeebo/xxh3"
)

// deletions knows which of the files that the session started with the agent's deletions took, over all passes: a mass
// delete may come one by one. A file that is there again, or was moved, is not gone.
type deletions struct {
	start pathHashes
	paths map[safety.RelPath]bool
}

func newDeletions(base *mirror.Base) *deletions {
	d := &deletions{paths: map[safety.RelPath]bool{}}
	for p, e := range base.Unsorted() {
		if e.State.Kind == safety.File {
			d.start = append(d.start, hashPath(p))
		}
	}
	slices.Sort(d.start)
	d.start = slices.Clip(d.start)
	return d
}

// pathHashes is a sorted set of paths by their hashes: of a million paths, eight megabytes. Two of one hash are taken for
// one path, which of a million happens once in tens of millions of sessions, and makes a count wrong by one.
type pathHashes []uint64

func hashPath(p safety.RelPath) uint64 { return xxh3.HashString(string(p)) }

func (h pathHashes) has(p safety.RelPath) bool {
	_, ok := slices.BinarySearch(h, hashPath(p))
	return ok
}

// limit brings the deletions so far into the limits of a pass over looks. Those of files that were made in the session
// don't count: what the pass will count for them is taken off beforehand.
func (d *deletions) limit(looks []look, l *limits) {
	l.startFiles, l.gone = len(d.start), len(d.paths)
	for _, lk := range looks {
		own := lk.base.Kind == safety.File && lk.movedTo == "" && !d.start.has(lk.path)
		if own && Decide(lk.access, lk.base, lk.project, lk.mirrored) == DeleteInProject {
			l.gone--
		}
	}
}

// note takes in what a pass did: its deletions, and what it put where something had been deleted.
func (d *deletions) note(base *mirror.Base, v *view, pl plan) {
	moved := map[safety.RelPath]bool{}
	for _, lk := range v.looks {
		if lk.movedTo != "" {
			moved[lk.path] = true
		}
	}
	for _, steps := range [...][]step{pl.clear, pl.remove} {
		for _, s := range steps {
			gone := base.Get(s.path).State.Absent()
			if s.side == mirror.ProjectSide && d.start.has(s.path) && gone && !moved[s.path] {
				d.paths[s.path] = true
			}
		}
	}
	for _, s := range pl.put {
		if !base.Get(s.path).State.Absent() {
			delete(d.paths, s.path)
		}
	}
	for _, p := range pl.adopt {
		delete(d.paths, p)
	}
}

// trace finds deleted files that an earlier pass carried under their new names: the deletions of a move come after it.
// It looks through the base only for as many deletions as might be held.
func (d *deletions) trace(base *mirror.Base, v *view) {
	lost := map[moved]*look{}
	for i := range v.looks {
		lk := &v.looks[i]
		if lk.base.Kind == safety.File && lk.mirrored.Absent() && lk.movedTo == "" {
			s := base.Get(lk.path).Mirror
			lost[moved{fileID{s.Dev, s.Ino}, s.Size, s.Mtime}] = lk
		}
	}
	if len(d.paths)+len(lost) <= massDeleteFloor {
		return
	}
	for p, e := range base.All() {
		s := e.Mirror
		lk := lost[moved{fileID{s.Dev, s.Ino}, s.Size, s.Mtime}]
		if lk != nil && lk.path != p && e.State.Kind == safety.File {
			lk.movedTo = p
		}
	}
}
