package autosync

import (
	"slices"
	"time"

	"github.com/alca-mount/alca-mount/safety"
)

// The longest waits of a path that could not be carried: where a disk is full, somebody makes room soon or never.
const failedMax, roomMax = time.Minute, 5 * time.Second

// ofJournal stands for the journal among the paths that fail.
const ofJournal safety.RelPath = ""

// tryAgain forgets that the paths of a pass failed before it, and returns where its own failures begin. Those at which
// the look itself failed are the first: no hint may come of them any more.
func (s *Syncer) tryAgain(v *view) int {
	s.e.again, s.e.noRoom = slices.Clone(v.again), false
	if len(s.e.changes.Failed) > 0 {
		looked := lookedAt(v)
		for _, n := range v.trouble {
			looked[n.Path] = true
		}
		s.e.changes.Failed = slices.DeleteFunc(s.e.changes.Failed, func(n PathNote) bool { return looked[n.Path] })
	}
	failed := len(s.e.changes.Failed)
	s.e.changes.Failed = append(s.e.changes.Failed, v.trouble...)
	return failed
}

func lookedAt(v *view) map[safety.RelPath]bool {
	looked := make(map[safety.RelPath]bool, len(v.looks))
	for _, lk := range v.looks {
		looked[lk.path] = true
	}
	return looked
}

func (s *Syncer) failedMost() time.Duration {
	if s.e.noRoom {
		return roomMax
	}
	return failedMax
}

// tellFailed reports what could not be carried: once, until it was carried or fails for another reason.
func (s *Syncer) tellFailed(v *view, notes []PathNote) {
	if len(s.e.failing) == 0 && len(notes) == 0 {
		return
	}
	still := make(map[safety.RelPath]bool, len(notes))
	for _, n := range notes {
		still[n.Path] = true
		s.e.tellFailing(n)
	}
	for p := range lookedAt(v) {
		if !still[p] {
			delete(s.e.failing, p)
		}
	}
}

// endCalls writes what became of a pass's calls. What can't be written now, on a full disk, say, is tried again also
// when nothing else happens: until then a crash would leave it to recovery.
func (s *Syncer) endCalls() {
	if err := s.e.endCalls(); err != nil {
		s.e.tellFailing(PathNote{Path: ofJournal, Why: err.Error()})
		s.endsDue = time.Now().Add(retryMax)
		return
	}
	delete(s.e.failing, ofJournal)
	s.endsDue = time.Time{}
}

// endAgain does so where it failed before.
func (s *Syncer) endAgain() {
	if !s.endsDue.IsZero() && !time.Now().Before(s.endsDue) {
		s.endCalls()
	}
}
