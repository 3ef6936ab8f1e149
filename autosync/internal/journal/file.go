package journal

import (
	"fmt"
	"io"
	"os"

	"github.com/alca-mount/alca-mount/safety"
)

// file is the one door to the file system: every call goes through one of its methods and carries a label, so that a
// test can make exactly that one fail.
type file struct {
	*os.File
	before safety.Before
}

func may(before safety.Before, op safety.Op, path string) error {
	if before == nil {
		return nil
	}
	return before(op, path)
}

// openRegular opens a regular file and nothing else: what lies beside a mirror can be reached by the agent, and a FIFO
// would be waited for, a link written through.
func openRegular(path string, flags int, before safety.Before) (*file, error) {
	if err := may(before, safety.OpJournalOpen, path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, flags|notOthers, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &file{f, before}, nil
}

func (f *file) readAll() ([]byte, error) {
	if err := may(f.before, safety.OpJournalRead, f.Name()); err != nil {
		return nil, err
	}
	return io.ReadAll(f.File)
}

func (f *file) writeAt(data []byte, at int64) error {
	if err := may(f.before, safety.OpJournalWrite, f.Name()); err != nil {
		return err
	}
	_, err := f.WriteAt(data, at)
	return err
}

func (f *file) cut(at int64) error {
	if err := may(f.before, safety.OpJournalCut, f.Name()); err != nil {
		return err
	}
	return f.Truncate(at)
}

func (f *file) sync() error {
	if err := may(f.before, safety.OpJournalSync, f.Name()); err != nil {
		return err
	}
	return datasync(f.File)
}
