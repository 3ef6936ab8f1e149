package safety

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// RootsError says why two directories may not be project and mirror.
type RootsError struct {
	Project, Mirror string // real paths
	Why             string
}

func (e *RootsError) Error() string { return e.Why + ": choose another project or --mirror-dir" }

// CheckRoots refuses pairs of directories that may not be project and mirror: equal, one inside the other (by their
// real paths, symbolic links of existing parents resolved), the file system's root, or the home directory itself.
// mirrorDir need not exist yet. A refusal is a *RootsError.
func CheckRoots(projectDir, mirrorDir string) error {
	project, err := RealPath(projectDir)
	if err != nil {
		return fmt.Errorf("check project %q: %w", projectDir, err)
	}
	mirror, err := RealPath(mirrorDir)
	if err != nil {
		return fmt.Errorf("check mirror %q: %w", mirrorDir, err)
	}
	home := ""
	if dir, err := os.UserHomeDir(); err == nil {
		home, _ = RealPath(dir)
	}
	if why := forbidden(project, mirror, home, holds); why != "" {
		return &RootsError{Project: project, Mirror: mirror, Why: why}
	}
	return nil
}

// Unfit says why dir, a real path, can be neither project nor mirror, whatever the other is; "" when it may be.
func Unfit(dir string) string {
	home := ""
	if h, err := os.UserHomeDir(); err == nil {
		home, _ = RealPath(h)
	}
	return unfit("project", dir, home, holds)
}

func unfit(what, path, home string, holds func(dir, path string) bool) string {
	switch {
	case path == filepath.Dir(path):
		return fmt.Sprintf("%s %q is the root of the file system", what, path)
	case home != "" && holds(path, home) && holds(home, path):
		return fmt.Sprintf("%s %q is the home directory itself", what, path)
	}
	return ""
}

// forbidden decides; holds(dir, path) reports whether path is dir or lies in it.
func forbidden(project, mirror, home string, holds func(dir, path string) bool) string {
	same := func(a, b string) bool { return b != "" && holds(a, b) && holds(b, a) }
	for _, d := range []struct{ what, path string }{{"project", project}, {"mirror", mirror}} {
		if why := unfit(d.what, d.path, home, holds); why != "" {
			return why
		}
	}
	switch {
	case same(project, mirror):
		return fmt.Sprintf("mirror %q is the project itself", mirror)
	case holds(project, mirror):
		return fmt.Sprintf("mirror %q lies inside the project %q", mirror, project)
	case holds(mirror, project):
		return fmt.Sprintf("project %q lies inside the mirror %q", project, mirror)
	case home != "" && holds(mirror, home):
		return fmt.Sprintf("mirror %q holds the home directory", mirror)
	}
	return ""
}

// Inside reports whether path, which need not be there, is dir or lies in it, under whatever names. Both are real paths.
func Inside(dir, path string) bool { return holds(dir, path) }

// holds compares the directories themselves besides their names: a bind mount, or a file system that folds case, gives
// one directory two real paths. What can't be compared counts as held.
func holds(dir, path string) bool {
	if path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator)) {
		return true
	}
	want, err := os.Stat(dir)
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	for p := path; ; p = filepath.Dir(p) {
		info, err := os.Stat(p)
		if err != nil && !errors.Is(err, os.ErrNotExist) || err == nil && os.SameFile(info, want) {
			return true
		}
		if p == filepath.Dir(p) {
			return false
		}
	}
}

// maxLinks is how many symbolic links one path may lead through, as in the Linux kernel.
const maxLinks = 40

// RealPath is path without symbolic links, also those whose target does not exist yet. What does not exist is kept as
// it is written.
func RealPath(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	vol := filepath.VolumeName(abs)
	done, rest := vol+string(filepath.Separator), strings.TrimPrefix(abs, vol)
	for links := 0; ; {
		elem, tail := nextElem(rest)
		if elem == "" {
			return done, nil
		}
		rest = tail
		if elem == ".." { // of a link's target; done has no links, so this is what the kernel does
			done = filepath.Dir(done)
			continue
		}
		next := filepath.Join(done, elem)
		target, err := os.Readlink(next)
		if err != nil {
			if _, e := os.Lstat(next); e != nil && !errors.Is(e, os.ErrNotExist) {
				return "", e // what can't be looked at may be a link into the other root
			}
			done = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%q leads through too many links", path)
		}
		if filepath.IsAbs(target) {
			done = vol + string(filepath.Separator)
		}
		rest = target + string(filepath.Separator) + rest
	}
}

// nextElem cuts the first element off, dropping empty ones and ".".
func nextElem(path string) (elem, rest string) {
	for {
		path = strings.TrimLeft(path, string(filepath.Separator))
		elem, rest, _ = strings.Cut(path, string(filepath.Separator))
		if elem != "." {
			return elem, rest
		}
		path = rest
	}
}
