package mirror

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Find returns the session that spec names: an id, a name (the project's own first), a unique prefix of an id, or a
// mirror's path. Nothing found is an error that wraps ErrNoSession; several are an *AmbiguousError; a session whose
// record cannot be used is an error that wraps ErrDamagedSession.
func (s *StateDir) Find(spec, project string) (*Session, error) {
	all, err := s.List("")
	if err != nil {
		return nil, err
	}
	fits := match(all, spec, project)
	switch {
	case len(fits) == 0:
		return nil, fmt.Errorf("%q: %w", spec, ErrNoSession)
	case len(fits) > 1:
		return nil, &AmbiguousError{Spec: spec, Candidates: fits}
	}
	return fits[0], fits[0].Damaged
}

// match returns the sessions that spec means, by the first reading under which there are any.
// Of several with one name the ones that still have a claim on it come before those that ended.
func match(all []*Session, spec, project string) []*Session {
	path := realPath(spec)
	readings := []func(*Session) bool{
		func(s *Session) bool { return s.ID == spec },
		func(s *Session) bool { return s.Name == spec && s.Project == project && s.taken() },
		func(s *Session) bool { return s.Name == spec && s.Project == project },
		func(s *Session) bool { return s.Name == spec && s.taken() },
		func(s *Session) bool { return s.Name == spec },
		func(s *Session) bool { return strings.HasPrefix(s.ID, spec) },
		func(s *Session) bool { return s.Mirror != "" && realPath(s.Mirror) == path },
	}
	if spec == "" {
		return nil
	}
	for _, reads := range readings {
		var fits []*Session
		for _, s := range all {
			if reads(s) {
				fits = append(fits, s)
			}
		}
		if len(fits) > 0 {
			return fits
		}
	}
	return nil
}

// realPath is path, absolute and with its links resolved as far as it exists.
func realPath(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return filepath.Clean(path)
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real
	}
	dir, name := filepath.Split(abs)
	if dir == abs || name == "" {
		return abs
	}
	return filepath.Join(realPath(filepath.Clean(dir)), name)
}
