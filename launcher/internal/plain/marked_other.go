//go:build !linux

package plain

import (
	"errors"
	"fmt"
)

// Marked cannot look into other processes' environments here.
func Marked(string) ([]int, error) {
	return nil, fmt.Errorf("look for a session's processes: %w", errors.ErrUnsupported)
}
