package safety

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// thisBoot reads random(4)'s boot_id, which is drawn anew by each boot, and how long ago that was.
func thisBoot(now time.Time) (Boot, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Boot{}, fmt.Errorf("which boot this is: %w (%w)", errors.ErrUnsupported, err)
	}
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return Boot{}, fmt.Errorf("when this boot began: %w", err)
	}
	return Boot{ID: strings.TrimSpace(string(data)), Began: now.Add(-time.Duration(up.Nano()))}, nil
}
