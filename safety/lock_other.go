//go:build !linux && !darwin

package safety

import (
	"errors"
	"os"
)

func (s *sys) openLock(path string) (*os.File, error)     { return nil, errors.ErrUnsupported }
func (s *sys) openLockRead(path string) (*os.File, error) { return nil, errors.ErrUnsupported }

func lockFile(f *os.File) error         { return errors.ErrUnsupported }
func isLocked(f *os.File) (bool, error) { return false, errors.ErrUnsupported }

func identify(pid int) (string, error)      { return "", errors.ErrUnsupported }
func alive(signature string) (Holder, bool) { return Holder{}, false }
