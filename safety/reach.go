package safety

import "sync"

// reach remembers of the last directory in which something was staged how names can be changed there: files come in runs.
// It is a plan only; the call that places says what is so. The zero value is ready.
type reach struct {
	mu  sync.Mutex
	dir Info // as it was; another directory, mode or owner is looked at anew
	way dirWay
}

// dirWay is what planReplace has to know of a directory.
type dirWay struct {
	open       bool // names may be changed in it
	otherMount bool // than the store
}

// wayTo looks how names can be changed in the directory parent, which is dir.
func (s *Store) wayTo(folder, parent int, dir Info) dirWay {
	s.reach.mu.Lock()
	defer s.reach.mu.Unlock()
	was := s.reach.dir
	if was.SameFile(dir) && was.Mode == dir.Mode && was.UID == dir.UID && was.GID == dir.GID {
		return s.reach.way
	}
	y := s.root.sys
	s.reach.way = dirWay{open: y.mayChangeNames(parent), otherMount: dir.Dev != s.root.info.Dev || probeMount(y, folder, parent) != nil}
	s.reach.dir = dir
	return s.reach.way
}

// Forget makes the store look anew at each directory: between two passes something may have been mounted.
func (s *Store) Forget() {
	s.reach.mu.Lock()
	defer s.reach.mu.Unlock()
	s.reach.dir = Info{}
}
