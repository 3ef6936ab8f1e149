//go:build linux || darwin

package term

import "golang.org/x/sys/unix"

// ForegroundGroup returns the process group in the foreground of our controlling terminal, or of the session behind a
// pseudo-terminal's end; an error where fd is neither.
func ForegroundGroup(fd int) (int, error) { return unix.IoctlGetInt(fd, unix.TIOCGPGRP) }

// SetForegroundGroup puts a process group into the foreground of our controlling terminal, also from the background.
func SetForegroundGroup(fd, group int) error {
	return WithoutTTOU(func() error { return unix.IoctlSetPointerInt(fd, unix.TIOCSPGRP, group) })
}

// Watched reports whether somebody in our session waits for our job and can continue it when it stops: a shell with job control.
// Where nobody does (no terminal, the session's first process) stopping ourselves would be for ever.
func Watched() bool {
	session, err := unix.Getsid(0)
	if err != nil {
		return false
	}
	group := unix.Getpgrp()
	for pid := unix.Getppid(); pid > 1; {
		if s, err := unix.Getsid(pid); err != nil || s != session {
			return false
		}
		g, err := unix.Getpgid(pid)
		if err != nil || g != group {
			return err == nil
		}
		parent, err := parentOf(pid)
		if err != nil {
			return false
		}
		pid = parent
	}
	return false
}
