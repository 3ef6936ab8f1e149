//go:build !linux

package safety

// statBirth describes what fd is open on; when that was made is not asked here.
func (s *sys) statBirth(op Op, fd int, name string) (Info, int64, error) {
	info, err := s.fstat(op, fd, name)
	return info, 0, err
}

// pinned describes what pin opened, and says whether something is mounted there.
func (s *sys) pinned(op Op, fd, parent int, name string) (Info, bool, error) {
	info, err := s.fstat(op, fd, name)
	if err != nil {
		return Info{}, false, err
	}
	mounted, _ := s.isMountRoot(parent, name)
	return info, mounted, nil
}
