package plain

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const childStopped = 5 // CLD_STOPPED, not in x/sys

// watch reports each change of the command and returns after it ended. It leaves the zombie for reap.
func watch(pid int, changes chan<- change) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || info.Code != childStopped {
			changes <- change{ended: true}
			return
		}
		if sig, ok := takeStop(pid); ok {
			changes <- change{stopped: sig}
		}
	}
}

// takeStop consumes the stop, unless the command was continued since. It never reaps.
func takeStop(pid int) (unix.Signal, bool) {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WNOHANG, nil)
	if err != nil || info.Signo == 0 {
		return 0, false
	}
	return unix.Signal(childField(&info, 2)), true
}

// childField reads pid (0), uid (1) or status (2) of a child's siginfo, which x/sys leaves unnamed: they follow the header,
// aligned to the machine's word.
func childField(info *unix.Siginfo, n int) int32 {
	header := 3
	if unsafe.Sizeof(uintptr(0)) == 8 {
		header = 4
	}
	return (*[8]int32)(unsafe.Pointer(info))[header+n]
}

// reap removes the command's zombie and takes down how it ended.
func reap(pid int, last *change) error {
	for {
		_, err := unix.Wait4(pid, &last.status, 0, nil)
		if err != unix.EINTR {
			return err
		}
	}
}
