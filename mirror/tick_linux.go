package mirror

import (
	"time"

	"golang.org/x/sys/unix"
)

// tick is how far apart two changes must be for their times to differ: Linux stamps files by its coarse clock.
func tick() time.Duration {
	var res unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_REALTIME_COARSE, &res); err != nil {
		return fineTick
	}
	return min(time.Duration(res.Nano()), fineTick)
}
