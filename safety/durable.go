package safety

import (
	"crypto/rand"
	"fmt"
	"path/filepath"
)

// WriteFileDurably replaces path with data: temporary file, fsync, rename, fsync of the directory.
// A crash leaves the old or the new content; an error before the rename leaves the old.
func WriteFileDurably(path string, data []byte, mode uint32) error {
	if err := new(sys).writeDurably(path, data, mode); err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	return nil
}

func (s *sys) writeDurably(path string, data []byte, mode uint32) error {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return err
	}
	dirfd, _, err := s.openRoot(dir)
	if err != nil {
		return err
	}
	defer closeFD(dirfd)
	temp := ".tmp-" + rand.Text()
	if err := s.writeTemp(dirfd, temp, data, mode); err != nil {
		s.unlink(OpTempDrop, dirfd, temp)
		return err
	}
	if err := s.rename(OpTempRename, dirfd, temp, dirfd, filepath.Base(path), overwrite); err != nil {
		s.unlink(OpTempDrop, dirfd, temp)
		return err
	}
	return s.fsync(OpDirSync, dirfd, path)
}

func (s *sys) writeTemp(dirfd int, temp string, data []byte, mode uint32) error {
	fd, err := s.create(OpTempCreate, dirfd, temp, mode&0o700)
	if err != nil {
		return err
	}
	defer closeFD(fd)
	if err := s.writeAll(OpTempWrite, fd, data, 0, temp); err != nil {
		return err
	}
	if err := s.fchmod(OpTempWrite, fd, mode, temp); err != nil {
		return err
	}
	return s.fsync(OpTempFsync, fd, temp)
}
