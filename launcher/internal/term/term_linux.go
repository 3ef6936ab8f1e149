package term

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

const getTermios = unix.TCGETS

// WithoutTTOU runs op on a thread where SIGTTOU is blocked: the kernel then lets a background process set the terminal.
func WithoutTTOU(op func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var ttou, old unix.Sigset_t
	ttou.Val[0] = 1 << (unix.SIGTTOU - 1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &ttou, &old); err != nil {
		return fmt.Errorf("block SIGTTOU: %w", err)
	}
	defer func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil) }()
	return op()
}

// StopSelf stops our process and returns when it was continued. The signal is sent to the calling thread,
// so that nothing of this goroutine runs between sending and stopping.
func StopSelf() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGSTOP)
}

// parentOf reads the parent's pid from /proc. The name in parentheses may itself hold spaces and parentheses.
func parentOf(pid int) (int, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0, fmt.Errorf("read /proc/%d/stat: too short", pid)
	}
	return strconv.Atoi(string(fields[1]))
}

// ready waits until fd is ready, or hung up, and reports false when wake was closed instead.
func ready(fd int, forWriting bool, wake int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(wake), Events: unix.POLLIN}}
	if forWriting {
		fds[0].Events = unix.POLLOUT
	}
	for {
		_, err := unix.Poll(fds, -1)
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		return err == nil && fds[1].Revents == 0
	}
}
