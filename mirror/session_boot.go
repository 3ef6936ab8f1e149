package mirror

import (
	"errors"
	"time"

	"github.com/alca-mount/alca-mount/safety"
)

// Interrupted reports whether the machine went down while the session's mirror was not known to be on the disk: what
// was written there last may be torn, and missing files need not have been deleted by anybody. Where it can't be told
// which boot this is, nothing is known against the mirror.
func (s *Session) Interrupted() bool {
	now, err := safety.ThisBoot()
	return err == nil && s.Boot != "" && s.Boot != now.ID
}

// BeginWriting notes, durably, that the mirror is written to from now on. That it was interrupted before stays noted.
func (s *Session) BeginWriting() error {
	if !s.NoteWriting() {
		return nil
	}
	return s.Save()
}

// NoteWriting is BeginWriting for a caller that saves the session anyway; false: there was nothing to note.
func (s *Session) NoteWriting() bool {
	now, err := safety.ThisBoot()
	if err != nil || s.Boot != "" {
		return false // a system that does not tell boots apart
	}
	s.Boot = now.ID
	return true
}

// Mended notes that all of what a power cut did to the mirror is settled: it counts as written to in this boot.
func (s *Session) Mended() error {
	s.Boot, s.LastAlive = "", time.Time{}
	return s.BeginWriting()
}

// SyncAll writes the mirror to the disk, so that a power cut takes nothing from it; after one that took something it does
// nothing. Where the system can't, the mirror counts as unwritten still. The caller saves the session.
func (m *Mirror) SyncAll() error {
	if m.Session.Boot == "" || m.Session.Interrupted() {
		return nil
	}
	err := m.Root.SyncAll()
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	if err == nil {
		m.Session.Boot = ""
	}
	return err
}
