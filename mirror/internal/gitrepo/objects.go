package gitrepo

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// maxAlternates is how many object directories may follow one another, as in git.
const maxAlternates = 5

// objectDirs returns the object directory of the repository and those it borrows from, nearest first.
func (r *repo) objectDirs() ([]string, error) {
	dirs := []string{filepath.Join(r.common.Path(), "objects")}
	depth := map[string]int{dirs[0]: 0}
	for i := 0; i < len(dirs); i++ {
		more, err := alternatesOf(dirs[i])
		if err != nil {
			return nil, err
		}
		for _, m := range more {
			if _, seen := depth[m]; seen {
				continue
			}
			if depth[dirs[i]] == maxAlternates {
				return nil, unsupported("%s: alternate object directories nest too deeply", dirs[0])
			}
			depth[m] = depth[dirs[i]] + 1
			dirs = append(dirs, m)
		}
	}
	return dirs, nil
}

// alternatesOf returns the existing directories that objects/info/alternates names.
func alternatesOf(objects string) ([]string, error) {
	root, err := safety.OpenRoot(objects)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", objects, err)
	}
	defer root.Close()
	data, err := readSmall(root, "info/alternates")
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var dirs []string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		if line[0] == '"' {
			return nil, unsupported("%s: a quoted name in info/alternates", objects)
		}
		if !filepath.IsAbs(line) {
			line = filepath.Join(objects, line)
		}
		real, err := filepath.EvalSymlinks(line)
		if absent(err) {
			continue // git too goes on without it
		}
		if err != nil {
			return nil, fmt.Errorf("follow info/alternates: %w", err)
		}
		dirs = append(dirs, real)
	}
	return dirs, nil
}

// store reads objects from all object directories of a repository.
type store struct {
	dirs   []*filesystem.Storage
	bounds *bounds // of a repository that nobody trusts; else nil
}

// openStore opens the object directories with go-git. Its own handling of alternates takes relative ones for paths
// inside the repository, so each directory is a store of its own here.
func (r *repo) openStore() (*store, error) {
	dirs, err := r.objectDirs()
	if err != nil {
		return nil, err
	}
	s := &store{}
	for _, dir := range dirs {
		if filepath.Base(dir) != "objects" {
			return nil, unsupported("an object directory named %s", dir)
		}
		opts := filesystem.Options{ExclusiveAccess: true, MaxOpenDescriptors: 64}
		s.dirs = append(s.dirs, filesystem.NewStorageWithOptions(osfs.New(filepath.Dir(dir)), cache.NewObjectLRUDefault(), opts))
	}
	return s, nil
}

// Close gives the files up.
func (s *store) Close() {
	if s.bounds != nil {
		_ = s.bounds.Close() // they were only read
	}
	for _, d := range s.dirs {
		d.Close()
	}
}

// object returns an object of any kind.
func (s *store) object(h plumbing.Hash) (plumbing.EncodedObject, error) {
	if s.bounds != nil {
		if err := s.bounds.check(h); err != nil {
			return nil, err
		}
	}
	var first error
	for _, d := range s.dirs {
		o, err := d.EncodedObject(plumbing.AnyObject, h)
		if err == nil {
			return o, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, fmt.Errorf("read object %s: %w", h, first)
}

// blob returns the content of a small blob.
func (r *repo) blob(h plumbing.Hash) ([]byte, error) {
	s, err := r.openStore()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	o, err := s.object(h)
	if err != nil {
		return nil, err
	}
	rd, err := o.Reader()
	if err != nil {
		return nil, fmt.Errorf("read object %s: %w", h, err)
	}
	defer rd.Close()
	return io.ReadAll(io.LimitReader(rd, maxSmall))
}
