package autosync

import (
	"context"
	"errors"
	"path/filepath"
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
	for {
		due := s.queue.take(time.Now(), passSize)
		if len(due) == 0 || s.halted != nil {
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
	v, err := glance(ctx, s.m, hinted, s.unseenList())
	if err != nil {
		return err
	}
	s.noteUnseen(v)
	v.startFiles = s.startFiles
	s.e.view = v
	s.postpone(v, waits)
	l := limitsFor(s.e.opts, v.startFiles)
	l.gone = s.gone()
	pl := makePlan(v.looks, l)
	s.tell(pl)
	s.e.again = nil
	err = s.e.run(ctx, pl)
	for _, n := range s.e.again {
		w := waits[n.Path]
		w.path = n.Path
		s.queue.back(w, time.Now().Add(min(retryDelay<<min(w.tries, 10), retryMax)))
	}
	return errors.Join(err, s.e.relock(), s.e.syncDirs())
}

// postpone takes looks out that have to wait, and puts their paths back.
func (s *Syncer) postpone(v *view, waits map[safety.RelPath]waiting) {
	now := time.Now()
	hides := map[safety.RelPath]bool{}
	v.looks = slices.DeleteFunc(v.looks, func(lk look) bool {
		w, ok := waits[lk.path]
		if !ok {
			w = waiting{path: lk.path, since: now}
		}
		dir := lk.path.Dir()
		if _, known := hides[dir]; !known && lk.base.Absent() && !lk.project.Absent() {
			hides[dir] = s.holdsHidden(dir)
		}
		due := w.since.Add(delayOf(lk, Decide(lk.access, lk.base, lk.project, lk.mirrored), hides[dir]))
		if busy := s.busyUntil(v, lk); busy.After(due) {
			due = busy
		}
		if !due.After(now) {
			return false
		}
		s.queue.back(w, due)
		return true
	})
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
// quiet for long enough.
func (s *Syncer) busyUntil(v *view, lk look) time.Time {
	var until time.Time
	if lk.project == lk.mirrored {
		return until
	}
	for side, root := range [...]*safety.Root{s.m.Project, s.m.Root} {
		info := [...]*mirror.Tree{v.project, v.mirrored}[side].Get(lk.path).Info
		quiet := time.Unix(0, info.Mtime).Add(writerQuiet)
		if info.Kind != safety.File || quiet.Before(time.Now()) {
			continue
		}
		f, _, err := root.Open(lk.path)
		if err != nil {
			continue
		}
		if safety.Writing(f) == safety.Writes && quiet.After(until) {
			until = quiet
		}
		f.Close()
	}
	return until
}

// noteUnseen remembers hidden and excluded entries that the agent makes: files may be moved below them.
func (s *Syncer) noteUnseen(v *view) {
	for _, lk := range v.looks {
		if !lk.access.Mirrored() && !lk.mirrored.Absent() {
			s.unseen[lk.path] = true
		}
	}
}

func (s *Syncer) unseenList() []safety.RelPath {
	out := make([]safety.RelPath, 0, len(s.unseen))
	for p := range s.unseen {
		out = append(out, p)
	}
	return out
}

// gone counts the project's files that the agent's deletions took so far.
func (s *Syncer) gone() int { return len(s.e.changes.Deleted) }

// tell reports, once each, what a plan only notes. The last pass reports all that is left, with where it is kept.
func (s *Syncer) tell(pl plan) {
	for t, notes := range map[EventType][]PathNote{Refused: pl.refused, Held: pl.held, Orphan: pl.orphans} {
		for _, n := range notes {
			key := string(t) + filepath.Join("/", string(n.Path))
			if !s.told[key] {
				s.told[key] = true
				s.e.emit(t, n.Path, ToProject, n.Why, "")
			}
		}
	}
}

// halt stops acting for good: a root is gone, or the store can't be written.
func (s *Syncer) halt(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	s.halted = s.e.halt(err)
	close(s.stuck)
	if s.e.changes.Halted == "" {
		s.e.emit(Halted, "", 0, err.Error(), "")
	}
}
