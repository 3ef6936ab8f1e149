//go:build !linux

package watch

import (
	"errors"
	"fmt"
)

func newAuto(w *Watcher) (backend, error) { return newNotify(w) }

func newInotify(*Watcher) (backend, error) {
	return nil, fmt.Errorf("inotify is Linux's: use auto or notify: %w", errors.ErrUnsupported)
}
