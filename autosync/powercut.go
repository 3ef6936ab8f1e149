package autosync

import (
	"errors"
	"time"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// After a power cut the project and the store are as the journal says. The mirror is not synced to the disk while a
// session runs: what was written there last may be torn, older than it was, or missing. None of that is an edit.

// ErrInterrupted is wrapped by what refuses to work on in a mirror that a power cut left in doubt.
var ErrInterrupted = errors.New("the machine went down while it was in use, and changes in its mirror wait for your word")

// writtenOut is how long after its last change a file's content is on the disk for certain. Linux begins to write it
// after 30 s, in the laptop mode of some systems after 10 minutes.
const writtenOut = 15 * time.Minute

// trust is what an entry of the mirror that differs from what both sides agreed on is worth after a power cut.
type trust uint8

const (
	trusted    trust = iota // somebody's change, and whole
	mirrorLost              // the mirror fell behind what both sides had agreed on: nobody's change
	doubted                 // a change, or what is left of one: it waits for the user's word
)

// survivor is an entry of the mirror as a power cut left it, at a path where it differs from the base.
type survivor struct {
	then  mirror.Stamp // when both sides agreed last
	now   safety.Info
	moved bool      // what was there is elsewhere in the mirror now
	alive time.Time // when the machine ran last, as far as is known
}

// judgeSurvivor decides what an entry is worth. It is a pure function of what the stamps say.
//
// Nothing is concluded from what is missing but by the user. What is there and older than what both sides agreed on is
// no edit. What is newer is one, and whole if its content was written out long before.
func judgeSurvivor(s survivor) trust {
	switch {
	case s.now.Kind == safety.Absent:
		return judgeMissing(s)
	case s.now.Kind == safety.Directory && (s.then.Kind == safety.Absent || s.then.Kind == safety.Directory):
		return trusted // it holds nothing by itself
	case s.then.Kind == s.now.Kind && s.fellBehind():
		return mirrorLost
	case s.now.Kind == safety.File && s.now.Size == 0 && s.then.Size > 0:
		return doubted // what a truncation leaves until the new content is written out
	case s.wasWrittenOut(s.now.Ctime):
		return trusted
	}
	return doubted
}

// judgeMissing: an empty directory that comes back harms nobody, and neither does a file that was so new that its name
// may never have come to the disk.
func judgeMissing(s survivor) trust {
	switch {
	case s.moved:
		return doubted
	case s.then.Kind == safety.Directory, !s.then.Proven(), !s.wasWrittenOut(s.then.Ctime):
		return mirrorLost
	}
	return doubted
}

// fellBehind reports whether the entry is no newer than what both sides agreed on: its change time only goes forward.
// Where that is not known, its own time tells.
func (s survivor) fellBehind() bool {
	if s.then.Proven() {
		return s.now.Ctime <= s.then.Ctime
	}
	return s.now.Mtime <= s.then.Mtime
}

func (s survivor) wasWrittenOut(changed int64) bool {
	return changed <= s.alive.Add(-writtenOut).UnixNano()
}

// whyDoubted is what the user is told of a change that waits.
func whyDoubted(s survivor) string {
	if s.now.Kind == safety.Absent {
		return "missing after a power cut: deleted, or lost by the mirror"
	}
	return "changed shortly before the power went: it may be torn"
}

// lastAlive is when the machine ran last before this boot, as far as the mirror's entries show; zero where none does. It
// is noted in the session's record by the first pass: what is written later must not count.
func lastAlive(s *mirror.Session, mirrored *mirror.Tree, boot safety.Boot) time.Time {
	if !s.LastAlive.IsZero() {
		return s.LastAlive
	}
	newest, limit := int64(0), boot.Began.UnixNano()
	for _, f := range mirrored.All() {
		if f.Info.Ctime < limit {
			newest = max(newest, f.Info.Ctime)
		}
	}
	return time.Unix(0, newest)
}

// afterPowerCut finds out whether the mirror went through a power cut, and till when the machine ran.
func (v *view) afterPowerCut(m *mirror.Mirror) {
	boot, err := safety.ThisBoot()
	if err == nil && m.Session.Interrupted() {
		v.alive = lastAlive(m.Session, v.mirrored, boot)
		v.interrupted = true
	}
}

// weigh marks what of the mirror can't be trusted.
func (l *looker) weigh() {
	if !l.interrupted {
		return
	}
	for i := range l.looks {
		lk := &l.looks[i]
		if lk.mirrored == lk.base || lk.mirrored == lk.project || !lk.access.Mirrored() {
			continue
		}
		s := survivor{then: l.m.Base.Get(lk.path).Mirror, now: l.mirrored.Get(lk.path).Info, moved: lk.movedTo != "", alive: l.alive}
		switch judgeSurvivor(s) {
		case mirrorLost:
			lk.lost = true
		case doubted:
			lk.doubt = whyDoubted(s)
		}
	}
}

// noteAlive keeps, before anything is done, when the machine ran last: what is done now must not count as a sign of life.
func (e *engine) noteAlive() error {
	s := e.m.Session
	if !e.view.interrupted || !s.LastAlive.IsZero() {
		return nil
	}
	s.LastAlive = e.view.alive
	return s.Save()
}

// mended notes that nothing is left of a power cut, when a pass over everything left nothing that it concerns.
func (e *engine) mended() error {
	if e.view == nil || !e.view.interrupted || len(e.opts.Paths) > 0 || len(e.changes.Failed) > 0 {
		return nil
	}
	if e.commitsDoubted() {
		return nil
	}
	for _, n := range e.changes.Held {
		if n.Hold == HoldPowerCut {
			return nil
		}
	}
	return e.m.Session.Mended()
}
