package mirror

import (
	"os"
	"path/filepath"
	"strings"
)

// EndedBadly reports whether the process that had the session died before its end: of a session that nobody holds.
// One that was made to be kept is as its last command left it.
func (s *Session) EndedBadly() bool {
	return s.Damaged == nil && (s.State == SessionRemoving || !s.Kept && s.State != SessionEnded)
}

// Crashed reports whether the session ended badly and is nobody's.
//
// RACE: it may have ended well, or gone, since its record was read. So the record is read again once nobody has it.
func (s *Session) Crashed() bool {
	if !s.EndedBadly() || s.held() {
		return false
	}
	now, err := readRecord(s.dir)
	return err == nil && (&Session{Record: now}).EndedBadly() && !s.held()
}

func (s *Session) held() bool {
	holder, err := s.Holder()
	return err == nil && holder.PID != 0
}

// KeepsVersions reports whether the session's folder, or its store elsewhere, holds a version that may be nowhere else:
// displaced, of a conflict, refused, held, discarded. What cannot be looked into may hold one.
func (s *Session) KeepsVersions() bool {
	if store := s.Stores[0]; store != "" && holdsAny(store) {
		return true
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return true
	}
	for _, e := range entries {
		name, _, _ := strings.Cut(e.Name(), "~")
		switch name {
		case "store", "conflicts", "refused", "held", "git", "discarded":
			if holdsAny(filepath.Join(s.dir, e.Name())) {
				return true
			}
		}
	}
	return false
}

// holdsAny reports whether something other than directories lies in or below dir.
func holdsAny(dir string) bool {
	found := false
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if !d.IsDir() {
			found = true
			return filepath.SkipAll
		}
		return nil
	})
	return found || err != nil
}
