//go:build !linux

package mirror

import (
	"time"

	"github.com/alca-mount/alca-mount/safety"
)

// tick is how far apart two changes must be for their times to differ.
func tick() time.Duration { return fineTick }

func stampsLooks(*safety.Root, string) bool { return false }
