package term

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const getTermios = unix.TIOCGETA

// WithoutTTOU runs op. A thread's signal mask is out of reach here: op may only be called where we are in the foreground.
func WithoutTTOU(op func() error) error { return op() }

// StopSelf stops our process and returns when it was continued.
func StopSelf() error { return unix.Kill(unix.Getpid(), unix.SIGSTOP) }

func parentOf(pid int) (int, error) {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return 0, fmt.Errorf("look up process %d: %w", pid, err)
	}
	return int(info.Eproc.Ppid), nil
}

// ready waits until fd is ready, or hung up, and reports false when wake was closed instead.
// select, because poll does not know terminals here.
func ready(fd int, forWriting bool, wake int) bool {
	for {
		var in, out unix.FdSet
		in.Set(wake)
		if forWriting {
			out.Set(fd)
		} else {
			in.Set(fd)
		}
		_, err := unix.Select(max(fd, wake)+1, &in, &out, nil, nil)
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		return err == nil && !in.IsSet(wake)
	}
}
