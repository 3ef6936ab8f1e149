package plain

import "golang.org/x/sys/unix"

// watch reports each change of the command and returns after it ended.
// RACE: the command is reaped here, so until its end is noted a signal could go to a new group with its number.
func watch(pid int, changes chan<- change) {
	for {
		var ws unix.WaitStatus
		_, err := unix.Wait4(pid, &ws, unix.WUNTRACED, nil)
		switch {
		case err == unix.EINTR:
		case err == nil && ws.Stopped():
			changes <- change{stopped: ws.StopSignal()}
		default:
			changes <- change{ended: true, status: ws}
			return
		}
	}
}

// reap has nothing left to do.
func reap(int, *change) error { return nil }

// dropsStop reports whether the command leaves SIGTSTP to the kernel. It can't be seen here.
func dropsStop(int) bool { return false }
