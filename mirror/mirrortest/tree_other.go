//go:build !unix

package mirrortest

import (
	"errors"
	"fmt"
	"os"
	"time"
)

func makeFIFO(p string) error { return fmt.Errorf("FIFO %s: %w", p, errors.ErrUnsupported) }

func makeSocket(p string) error { return fmt.Errorf("socket %s: %w", p, errors.ErrUnsupported) }

func setTime(p string, when time.Time) error {
	info, err := os.Lstat(p)
	if err != nil || info.Mode().Type() == os.ModeSymlink {
		return err
	}
	return os.Chtimes(p, when, when)
}
