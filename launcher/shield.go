package launcher

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/alca-mount/alca-mount/safety"
)

// bindShield is the read-only binds over a mirror's entries in a container. They were made with the container, for the
// entries of then: a file under one is rewritten in place; what comes later has mode bits.
type bindShield struct {
	mirror string
	bound  map[safety.RelPath]*os.File // open, so that no other file gets the inode
}

// newBindShield remembers what is bound: the entry that is there now.
func newBindShield(mirror string, paths []string) (*bindShield, error) {
	s := &bindShield{mirror: mirror, bound: map[safety.RelPath]*os.File{}}
	for _, p := range paths {
		f, err := openBound(filepath.Join(mirror, filepath.FromSlash(p)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.bound[safety.RelPath(p)] = f
	}
	return s, nil
}

// holds reports whether the entry at p is the one that is bound.
func (s *bindShield) holds(p safety.RelPath) bool {
	f := s.bound[p]
	if f == nil {
		return false
	}
	was, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Lstat(filepath.Join(s.mirror, filepath.FromSlash(string(p))))
	return err == nil && os.SameFile(was, now)
}

var errNotBound = errors.New("it came when the container's mounts were made already")

// Show has nothing to do: the bind shows the file itself.
func (s *bindShield) Show(p safety.RelPath, _ *os.File) error {
	if s.holds(p) {
		return nil
	}
	return s.Protect(p.Dir())
}

// Protect finds dir below what is bound, or can't: a mount is made with the container.
func (s *bindShield) Protect(dir safety.RelPath) error {
	for _, at := range append(dir.Parents(), dir, safety.Top) { // a directory, and a mirror, may be bound whole
		if s.holds(at) {
			return nil
		}
	}
	return errNotBound
}

func (s *bindShield) close() error {
	var errs []error
	for _, f := range s.bound {
		errs = append(errs, f.Close())
	}
	s.bound = nil
	return errors.Join(errs...)
}
