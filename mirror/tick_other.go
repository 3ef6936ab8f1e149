//go:build !linux

package mirror

import "time"

// tick is how far apart two changes must be for their times to differ.
func tick() time.Duration { return fineTick }
