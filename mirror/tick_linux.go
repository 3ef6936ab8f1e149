package mirror

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/alca-mount/alca-mount/safety"
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

// shortestTick is that of a Linux kernel with HZ=1000.
const shortestTick = time.Millisecond

// stampsLooks reports whether root's file system gives a change that follows on a look a time of its own, however soon it
// comes: Linux does since 6.13, on most file systems of its own. It is tried out with a file in dir, and not where that lies
// on another device.
func stampsLooks(root *safety.Root, dir string) bool {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil || uint64(st.Dev) != root.Info().Dev {
		return false
	}
	name := filepath.Join(dir, safety.TempPrefix+"times")
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	defer os.Remove(name)
	began := time.Now()
	var last unix.Timespec
	for range 4 { // in less than a tick no more than two times of the coarse clock are seen
		_, werr := unix.Pwrite(fd, []byte{'.'}, 0)
		if err := errors.Join(werr, unix.Fstat(fd, &st)); err != nil || st.Ctim == last {
			return false
		}
		last = st.Ctim
	}
	return time.Since(began) < shortestTick
}
