package mirror

import (
	"fmt"
	"os"
	"path/filepath"
)

// MakeProjectDir makes the folder that holds all that is kept for a project (real path), the user's alone, and returns
// its real path.
func (s *StateDir) MakeProjectDir(project string) (string, error) {
	s, err := s.make()
	if err != nil {
		return "", err
	}
	sessions, err := s.makeSessions(project)
	return filepath.Dir(sessions), err
}

// PrivateProjectDir returns the folder of a project (real path) after a look that it is the user's alone; it need not be
// there.
func (s *StateDir) PrivateProjectDir(project string) (string, error) {
	dir := s.ProjectDir(project)
	for _, d := range []string{s.path, dir} {
		if _, err := os.Stat(d); os.IsNotExist(err) {
			return dir, nil
		}
		real, err := filepath.EvalSymlinks(d)
		if err == nil {
			err = checkOwned(real)
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", d, bare(err))
		}
	}
	return dir, nil
}

// Home is the user's home directory. As root, a $HOME that belongs to somebody else is root's own, as for
// [DefaultStateDir].
func Home() (string, error) { return ownHome() }
