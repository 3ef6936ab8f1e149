package autosync

import (
	"slices"
	"time"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
	"github.com/zeebo/xxh3"
)

// deletions knows which of the files that the session started with the agent's deletions took, over all passes: a mass
// delete may come one by one. A file that is there again, or was moved, is not gone.
type deletions struct {
	start  pathHashes
	paths  map[safety.RelPath]bool // carried
	meant  map[safety.RelPath]bool // seen, and not carried: they wait, or are held
	latest time.Time               // of the hints of those
}

func newDeletions(base *mirror.Base) *deletions {
	d := &deletions{paths: map[safety.RelPath]bool{}, meant: map[safety.RelPath]bool{}}
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

// see notes which deletions of files a pass has before it, of those that it puts off as well: of one rm, the first is not
// to be decided on as if it were all.
func (d *deletions) see(due map[safety.RelPath]waiting, looks []look) {
	for p := range due {
		delete(d.meant, p)
	}
	for _, lk := range looks {
		delete(d.meant, lk.path)
		if lk.base.Kind != safety.File || lk.movedTo != "" || !d.start.has(lk.path) || Decide(lk.access, lk.base, lk.project, lk.mirrored) != DeleteInProject {
			continue
		}
		d.meant[lk.path] = true
		if since := due[lk.path].since; since.After(d.latest) {
			d.latest = since
		}
	}
}

// quiet is when no more deletions may be on their way, for one that was first hinted at then.
func (d *deletions) quiet(first time.Time) time.Time {
	quiet, most := d.latest.Add(deleteQuiet), first.Add(deleteMost)
	if quiet.After(most) {
		return most
	}
	return quiet
}

// limit brings the deletions so far into the limits of a pass over looks. Those of files that were made in the session
// don't count: what the pass will count for them is taken off beforehand.
func (d *deletions) limit(looks []look, l *limits) {
	l.startFiles, l.gone = len(d.start), len(d.paths)+len(d.meant)
	for _, lk := range looks {
		if d.meant[lk.path] { // the pass counts its own
			l.gone--
		}
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
			if gone {
				delete(d.meant, s.path)
			}
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
// It looks through the base only for as many deletions as might be held, and only where the pass has some.
func (d *deletions) trace(base *mirror.Base, v *view) {
	lost := map[moved]*look{}
	for i := range v.looks {
		lk := &v.looks[i]
		if lk.base.Kind == safety.File && lk.mirrored.Absent() && lk.movedTo == "" {
			lost[traceOf(base.Get(lk.path).Mirror)] = lk
		}
	}
	if len(lost) == 0 || len(d.paths)+len(d.meant)+len(lost) <= massDeleteFloor {
		return
	}
	waiting := map[moved]safety.RelPath{}
	for p := range d.meant {
		waiting[traceOf(base.Get(p).Mirror)] = p
	}
	for p, e := range base.All() {
		if e.State.Kind != safety.File {
			continue
		}
		trace := traceOf(e.Mirror)
		if lk := lost[trace]; lk != nil && lk.path != p {
			lk.movedTo = p
		}
		if from, ok := waiting[trace]; ok && from != p {
			delete(d.meant, from)
		}
	}
}

// traceOf is by what a file is known under another name.
func traceOf(s mirror.Stamp) moved { return moved{idOf(s), s.Size, s.Mtime} }
