package autosync

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// The waits of live sync.
const (
	// deleteQuiet is how long a deletion has to stand: editors delete and write anew, git checkout too.
	deleteQuiet = 250 * time.Millisecond
	// deleteMost bounds how long others put a deletion off: all of one rm are decided on together.
	deleteMost = 5 * time.Second
	// besideHidden is how long a new name beside a hidden file has to stand: sed -i and editors write the hidden content
	// under a temporary name first.
	besideHidden = 500 * time.Millisecond
	// writerQuiet is how long a file that is still open for writing has to be quiet before it is carried.
	writerQuiet = time.Second
	// retryDelay is the first wait of a path that changed under our hands; it doubles up to retryMax.
	retryDelay, retryMax = 20 * time.Millisecond, 2 * time.Second
)

// passSize is how many paths one pass takes at most: those that come meanwhile need not wait for a storm's end.
const passSize = 2048

// delayOf says how long after its last hint an action may be done at a path.
func delayOf(lk look, action Action, besideHiddenFile bool) time.Duration {
	switch action {
	case DeleteInProject, DeleteInMirror:
		return deleteQuiet
	case CarryToMirror, RecreateInMirror:
		if lk.base.Absent() && lk.project.Kind == safety.File && besideHiddenFile {
			return besideHidden
		}
	}
	return 0
}

// work does what is due, pass by pass.
func (s *Syncer) work(ctx context.Context) {
	for passes := 0; ; passes++ {
		due := s.queue.take(time.Now(), passSize)
		if len(due) == 0 || s.halted != nil {
			if passes > 0 {
				s.endCalls() // together, for those of a storm change names in the same directories; see also endIfDue
			}
			return
		}
		if err := s.pass(ctx, due); err != nil {
			s.halt(err)
			return
		}
	}
}

// pass looks at hinted paths and acts. What has to wait goes back to the queue.
func (s *Syncer) pass(ctx context.Context, due []waiting) error {
	if err := s.e.verify(); err != nil {
		return err
	}
	hinted := make([]safety.RelPath, len(due))
	waits := make(map[safety.RelPath]waiting, len(due))
	for i, w := range due {
		hinted[i] = w.path
		waits[w.path] = w
	}
	v, err := glance(ctx, s.m, s.e.guard, hinted, s.whereMovedTo(due))
	if err != nil {
		return err
	}
	s.noteGuarded(v)
	s.hidden.note(s.m, hinted)
	s.e.view = v
	s.e.takeBackFollowers()
	s.deleted.see(waits, v.looks)
	s.postpone(v, waits)
	l := limitsFor(s.e.opts, 0)
	s.remember(v, &l)
	pl := makePlan(v.looks, l)
	if err := s.checkEmptied(pl); err != nil {
		return err
	}
	pl.orphans = newOrphans(ctx, s.m, pl.orphans)
	s.tell(v, pl)
	failed := s.tryAgain(v)
	err = s.e.run(ctx, pl)
	s.e.learns(v, pl)
	s.distrustWriters(slices.Concat(pl.adopt, s.e.rewritten))
	s.e.rewritten = nil
	s.retry(s.e.again, waits, retryMax)
	s.retry(s.e.changes.Failed[failed:], waits, s.failedMost())
	s.tellFailed(v, s.e.changes.Failed[failed:])
	s.e.settleLateWriters(false)
	if err := s.e.relock(); err != nil { // of a directory that went meanwhile, say
		s.e.tellFailing(PathNote{Why: err.Error()})
	}
	return err
}

// retry puts paths back that could not be carried, each time for twice as long.
func (s *Syncer) retry(notes []PathNote, waits map[safety.RelPath]waiting, most time.Duration) {
	now := time.Now()
	for _, n := range notes {
		w, ok := waits[n.Path]
		if !ok {
			w = waiting{path: n.Path, first: now, since: now}
		}
		delay := min(retryDelay<<min(w.tries, 20), most)
		w.tries++
		s.queue.back(w, now.Add(delay))
	}
}

// remember brings into a pass what is known from before it: what was hidden under other names, and what was deleted.
func (s *Syncer) remember(v *view, l *limits) {
	s.tellBarred(s.hidden.bar(s.m, v))
	s.deleted.trace(s.m.Base, v)
	s.deleted.limit(v.looks, l)
}

// checkEmptied refuses to carry deletions from a side of which nothing is left: see view.checkEmptied.
func (s *Syncer) checkEmptied(pl plan) error {
	if len(pl.remove) == 0 || !visible(s.m) {
		return nil
	}
	for side, root := range [...]*safety.Root{s.m.Project, s.m.Root} {
		if mirror.Side(side) == mirror.MirrorSide && s.e.opts.AllowMassDelete || !s.isEmpty(root) {
			continue
		}
		return [...]error{mirror.ProjectSide: ErrProjectEmptied, mirror.MirrorSide: ErrMirrorEmptied}[side]
	}
	return nil
}

// isEmpty reports whether a side holds nothing that would be mirrored.
func (s *Syncer) isEmpty(root *safety.Root) bool {
	d, err := root.OpenDir(safety.Top)
	if err != nil {
		return true
	}
	defer d.Close()
	names, err := d.ReadDir()
	return err != nil || !slices.ContainsFunc(names, func(n safety.Dirent) bool {
		return n.Name != mirror.ReadmeName && n.Name != safety.MarkerName &&
			s.m.Policy.Access(n.Name, n.Kind == safety.Directory).Mirrored()
	})
}

// distrustWriters makes files that were adopted, or rewritten in place, while somebody has them open for writing count
// as not looked at: a store into a mapped page moves no time of the file. What was copied is known from then: see
// pending.open. What was placed is a new inode, and a mapping that is made after moves its times with the first store.
func (s *Syncer) distrustWriters(adopted []safety.RelPath) {
	for _, p := range adopted {
		entry := s.m.Base.Get(p)
		if entry.State.Kind != safety.File {
			continue
		}
		wasOpen := false
		for side, root := range [...]*safety.Root{s.m.Project, s.m.Root} {
			if root.Writing(p) {
				*stampAt(&entry, mirror.Side(side)) = mirror.Stamp{}
				wasOpen = true
			}
		}
		if wasOpen {
			s.e.setBase(p, entry)
		}
	}
}

// postpone takes looks out that have to wait, and puts their paths back.
func (s *Syncer) postpone(v *view, waits map[safety.RelPath]waiting) {
	now := time.Now()
	hides := map[safety.RelPath]bool{}
	above := map[safety.RelPath]time.Time{} // directories of which something waits, and until when
	later := map[safety.RelPath]time.Time{} // what waits itself: what is below waits with it
	var kept []look
	for _, lk := range slices.Backward(v.looks) { // what is in a directory comes before the directory
		w, ok := waits[lk.path]
		if !ok {
			w = s.queue.get(lk.path, now)
		}
		dir := lk.path.Dir()
		if _, known := hides[dir]; !known && lk.base.Absent() && !lk.project.Absent() {
			hides[dir] = s.holdsHidden(dir)
		}
		action := Decide(lk.access, lk.base, lk.project, lk.mirrored)
		due := w.since.Add(delayOf(lk, action, hides[dir]))
		if quiet := s.deleted.quiet(w.first); action == DeleteInProject && quiet.After(due) {
			due = quiet
		}
		if busy := s.busyUntil(v, lk, now.Sub(w.first)); busy.After(due) {
			due = busy
		}
		if lk.base.Absent() && !lk.project.Absent() && !s.hidden.walked() {
			due = now.Add(retryDelay) // what is hidden is not known yet
		}
		if lk.endsDirectory() && above[lk.path].After(due) {
			due = above[lk.path]
		}
		if !due.After(now) {
			kept = append(kept, lk)
			continue
		}
		s.queue.back(w, due)
		later[lk.path] = due
		for _, dir := range lk.path.Parents() {
			if due.After(above[dir]) {
				above[dir] = due
			}
		}
	}
	slices.Reverse(kept)
	v.looks = slices.DeleteFunc(kept, func(lk look) bool {
		for _, dir := range lk.path.Parents() {
			due, isLater := later[dir]
			if isLater {
				w, ok := waits[lk.path]
				if !ok {
					w = s.queue.get(lk.path, now)
				}
				s.queue.back(w, due)
				return true
			}
		}
		return false
	})
}

// endsDirectory reports whether the path is a directory on one side, and gone or something else on the other: planning
// has to see all that is in it at the same time.
func (lk look) endsDirectory() bool {
	return lk.base.Kind == safety.Directory && (lk.project.Kind != safety.Directory || lk.mirrored.Kind != safety.Directory)
}

// holdsHidden reports whether a directory of the project holds something that a rule hides.
func (s *Syncer) holdsHidden(dir safety.RelPath) bool {
	d, err := s.m.Project.OpenDir(dir)
	if err != nil {
		return true
	}
	defer d.Close()
	names, err := d.ReadDir()
	return err != nil || slices.ContainsFunc(names, func(n safety.Dirent) bool {
		return s.m.Policy.Access(string(dir.Join(n.Name)), n.Kind == safety.Directory) == dotfiles.Hidden
	})
}

// busyUntil is when a file that somebody has open for writing, on the side that it is carried from or to, has been
// quiet for long enough. The side that it is carried to is waited for no longer than busyMost: what is written to a
// file that was displaced is kept.
func (s *Syncer) busyUntil(v *view, lk look, waited time.Duration) time.Time {
	var until time.Time
	if lk.project == lk.mirrored {
		return until
	}
	toProject := decideLook(lk).winner == mirror.MirrorSide
	for side, root := range [...]*safety.Root{s.m.Project, s.m.Root} {
		info := [...]*mirror.Tree{v.project, v.mirrored}[side].Get(lk.path).Info
		quiet := time.Unix(0, info.Mtime).Add(writerQuiet)
		isTarget := (mirror.Side(side) == mirror.ProjectSide) == toProject
		if info.Kind != safety.File || quiet.Before(time.Now()) || isTarget && waited > busyMost {
			continue
		}
		if quiet.After(until) && root.Writing(lk.path) {
			until = quiet
		}
	}
	return until
}

// noteGuarded remembers guarded entries that the agent makes: files may be moved to or below them.
func (s *Syncer) noteGuarded(v *view) {
	for _, lk := range v.looks {
		if lk.guarded != "" && !lk.mirrored.Absent() {
			s.guarded[lk.path] = true
		}
	}
}

// whereMovedTo lists the guarded, hidden and excluded entries of the mirror below which files may be that are gone
// elsewhere. To walk through all that was installed costs, so it is done only where something left for a place that is
// not watched, or nobody can tell.
func (s *Syncer) whereMovedTo(due []waiting) []safety.RelPath {
	left := func(w waiting) bool {
		return s.away[w.path] || slices.ContainsFunc(w.path.Parents(), func(dir safety.RelPath) bool { return s.away[dir] })
	}
	guarded := slices.Sorted(maps.Keys(s.guarded))
	switch {
	case !s.healthy() || slices.ContainsFunc(due, func(w waiting) bool { return w.scanned }):
		return append(guarded, safety.Top)
	case slices.ContainsFunc(due, left):
		return append(guarded, s.rules.unseenInMirror()...)
	}
	return guarded
}

// tell reports what a plan only notes. What is left of it at the end is reported by the last pass, if not told by then.
func (s *Syncer) tell(v *view, pl plan) {
	for _, lk := range v.looks {
		for _, standing := range s.standing {
			delete(standing, lk.path)
		}
	}
	for t, notes := range map[EventType][]PathNote{Refused: pl.refused, Held: pl.held, Orphan: pl.orphans} {
		for _, n := range notes {
			s.standing[t][n.Path] = n
			s.e.tellOnce(t, n)
		}
	}
}

// tellBarred reports, once each, what stays hidden.
func (s *Syncer) tellBarred(paths []safety.RelPath) {
	const why = "it was hidden under another name: the mirror does not get it in this session"
	for _, p := range paths {
		if _, told := s.barred[p]; !told {
			s.barred[p] = PathNote{Path: p, Why: why, Hold: HoldRenamed}
			s.e.emit(Held, p, ToMirror, why, "")
		}
	}
}

// halt stops acting for good: a root is gone, or the store can't be written.
func (s *Syncer) halt(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	s.halted = s.e.halt(err)
	if s.e.changes.Halted == "" {
		s.e.changes.Halted = err.Error()
		s.e.emit(Halted, "", 0, err.Error(), "")
	}
	close(s.stuck)
}
