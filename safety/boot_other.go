//go:build !linux && !darwin

package safety

import (
	"errors"
	"fmt"
	"time"
)

func thisBoot(time.Time) (Boot, error) {
	return Boot{}, fmt.Errorf("which boot this is: %w", errors.ErrUnsupported)
}
