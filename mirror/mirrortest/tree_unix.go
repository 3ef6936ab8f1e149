//go:build unix

package mirrortest

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

func makeFIFO(p string) error { return unix.Mkfifo(p, 0o644) }

func makeSocket(p string) error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: p, Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	return l.Close()
}

func setTime(p string, when time.Time) error {
	ts, err := unix.TimeToTimespec(when)
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, p, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}
