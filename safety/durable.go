package safety

import (
	"crypto/rand"
	"fmt"
	"io"
	"path/filepath"
)

// TempPrefix begins the names of the temporary files that these functions write first, and that a kill leaves.
const TempPrefix = ".tmp-"

// WriteFileDurably replaces path with data: temporary file, fsync, rename, fsync of the directory.
// A crash leaves the old or the new content; an error before the rename leaves the old.
func WriteFileDurably(path string, data []byte, mode uint32) error {
	return WriteDurably(path, mode, whole(data))
}

// WriteDurably is WriteFileDurably of what write writes.
func WriteDurably(path string, mode uint32, write func(io.Writer) error) error {
	if err := new(sys).writeDurably(path, mode, write); err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	return nil
}

func whole(data []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}

func (s *sys) writeDurably(path string, mode uint32, write func(io.Writer) error) error {
	if err := s.may(OpRootOpen, path); err != nil {
		return err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return err
	}
	dirfd, _, err := s.openRoot(dir)
	if err != nil {
		return err
	}
	defer closeFD(dirfd)
	temp := TempPrefix + rand.Text()
	if err := s.writeTemp(dirfd, temp, mode, write); err != nil {
		s.unlink(OpTempDrop, dirfd, temp)
		return err
	}
	if err := s.rename(OpTempRename, dirfd, temp, dirfd, filepath.Base(path), overwrite); err != nil {
		s.unlink(OpTempDrop, dirfd, temp)
		return err
	}
	return s.fsync(OpDirSync, dirfd, path)
}

func (s *sys) writeTemp(dirfd int, temp string, mode uint32, write func(io.Writer) error) error {
	fd, err := s.create(OpTempCreate, dirfd, temp, mode&0o700)
	if err != nil {
		return err
	}
	defer closeFD(fd)
	if err := write(&tempWriter{sys: s, fd: fd, name: temp}); err != nil {
		return err
	}
	if err := s.fchmod(OpTempWrite, fd, mode, temp); err != nil {
		return err
	}
	return s.fsync(OpTempFsync, fd, temp)
}

// tempWriter writes to a temporary file, from its beginning.
type tempWriter struct {
	*sys
	fd   int
	off  int64
	name string
}

func (w *tempWriter) Write(data []byte) (int, error) {
	if err := w.writeAll(OpTempWrite, w.fd, data, w.off, w.name); err != nil {
		return 0, err
	}
	w.off += int64(len(data))
	return len(data), nil
}
