//go:build !linux && !darwin

package safety

import "errors"

// Nothing here is confined on this platform, so nothing is done: every call is refused.
// What to do instead: run alca-mount inside a Linux environment (WSL 2).

func (s *sys) openRoot(dir string) (fd int, pathOnly bool, err error) {
	return -1, false, errors.ErrUnsupported
}
func (s *sys) openListable(op Op, dirfd int, name string) (fd int, pathOnly bool, err error) {
	return -1, false, errors.ErrUnsupported
}
func (s *sys) openDir(op Op, dirfd int, path string) (fd int, pathOnly bool, err error) {
	return -1, false, errors.ErrUnsupported
}
func (s *sys) openPlace(op Op, dirfd int, path string) (int, error) { return -1, errors.ErrUnsupported }
func (s *sys) lstat(op Op, dirfd int, name string) (Info, error) {
	return Info{}, errors.ErrUnsupported
}
func (s *sys) lstatPath(op Op, path string) (Info, error)          { return Info{}, errors.ErrUnsupported }
func (s *sys) fstat(op Op, fd int, name string) (Info, error)      { return Info{}, errors.ErrUnsupported }
func (s *sys) openFile(op Op, dirfd int, name string) (int, error) { return -1, errors.ErrUnsupported }
func (s *sys) openRewrite(op Op, dirfd int, name string) (int, error) {
	return -1, errors.ErrUnsupported
}
func (s *sys) pin(op Op, dirfd int, name string) (int, error) { return -1, errors.ErrUnsupported }
func (s *sys) create(op Op, dirfd int, name string, mode uint32) (int, error) {
	return -1, errors.ErrUnsupported
}
func (s *sys) mkdir(op Op, dirfd int, name string, mode uint32) error { return errors.ErrUnsupported }
func (s *sys) unlink(op Op, dirfd int, name string) error             { return errors.ErrUnsupported }
func (s *sys) rmdir(op Op, dirfd int, name string) error              { return errors.ErrUnsupported }
func (s *sys) symlink(op Op, target string, dirfd int, name string) error {
	return errors.ErrUnsupported
}
func (s *sys) readlink(op Op, dirfd int, name string) (string, error) {
	return "", errors.ErrUnsupported
}
func (s *sys) rename(op Op, fromfd int, from string, tofd int, to string, how renameHow) error {
	return errors.ErrUnsupported
}
func (s *sys) link(op Op, fromfd int, from string, tofd int, to string) error {
	return errors.ErrUnsupported
}
func (s *sys) fchmod(op Op, fd int, mode uint32, name string) error     { return errors.ErrUnsupported }
func (s *sys) fchown(op Op, fd int, uid, gid uint32, name string) error { return errors.ErrUnsupported }
func (s *sys) lchown(op Op, dirfd int, name string, uid, gid uint32) error {
	return errors.ErrUnsupported
}
func (s *sys) ftruncate(op Op, fd int, size int64, name string) error { return errors.ErrUnsupported }
func (s *sys) fsync(op Op, fd int, name string) error                 { return errors.ErrUnsupported }
func (s *sys) writeAll(op Op, fd int, data []byte, off int64, name string) error {
	return errors.ErrUnsupported
}
func (s *sys) readAt(op Op, fd int, buf []byte, off int64, name string) (n int, err error) {
	return -1, errors.ErrUnsupported
}
func (s *sys) readDir(op Op, fd int, name string) ([]Dirent, error) {
	return nil, errors.ErrUnsupported
}
func (s *sys) mayChangeNames(dirfd int) bool { return false }
func closeFD(fd int)                         {}
func ownIDs() (uid uint32, root bool)        { return 0, false }
func isAbsent(err error) bool                { return false }
func isOtherTree(err error) bool             { return false }
func isLink(err error) bool                  { return false }
func isLacking(err error) bool               { return false }
func isNoReflink(err error) bool             { return false }
func isNoCopyRange(err error) bool           { return false }
func isTooSmall(err error) bool              { return false }
func isNoXattr(err error) bool               { return false }
func (s *sys) findLacks(rootfd int)          {}
func (s *sys) openNoMount(op Op, dirfd int, name string) (fd int, err error) {
	return -1, errors.ErrUnsupported
}
func (s *sys) isMountRoot(dirfd int, name string) (bool, error)    { return false, errors.ErrUnsupported }
func (s *sys) tmpfile(op Op, dirfd int, mode uint32) (int, error)  { return -1, errors.ErrUnsupported }
func (s *sys) linkUnnamed(op Op, fd, dirfd int, name string) error { return errors.ErrUnsupported }
func (s *sys) chmodPinned(op Op, fd int, mode uint32, name string) error {
	return errors.ErrUnsupported
}
func (s *sys) setTimes(op Op, dirfd int, name string, mtime int64) error {
	return errors.ErrUnsupported
}
func (s *sys) setTimesFD(op Op, fd int, mtime int64, name string) error { return errors.ErrUnsupported }
func (s *sys) reserve(op Op, fd int, size int64, name string) error     { return errors.ErrUnsupported }
func (s *sys) listXattrs(op Op, fd int, buf []byte, name string) (n int, err error) {
	return -1, errors.ErrUnsupported
}
func (s *sys) getXattr(op Op, fd int, attr string, buf []byte) (n int, err error) {
	return -1, errors.ErrUnsupported
}
func (s *sys) setXattr(op Op, fd int, attr string, data []byte) error { return errors.ErrUnsupported }
func isNoAttr(err error) bool                                         { return false }
func (s *sys) reflink(op Op, dst, src int, name string) error         { return errors.ErrUnsupported }
func (s *sys) copyRange(op Op, dst, src int, off, n int64, name string) (done int64, err error) {
	return 0, errors.ErrUnsupported
}
func (s *sys) nextData(op Op, fd int, off int64, name string) (data, hole int64, err error) {
	return 0, 0, errors.ErrUnsupported
}
func isExist(err error) bool      { return false }
func isDenied(err error) bool     { return false }
func isOtherMount(err error) bool { return false }
func isNotSpecial(err error) bool { return false }

func (s *sys) mkdirPath(op Op, path string, mode uint32) error { return errors.ErrUnsupported }
func isNoTmpfile(err error) bool                               { return false }
