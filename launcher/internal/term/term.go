//go:build linux || darwin

// Package term handles the user's terminal while a command runs behind a pseudo-terminal of its own.
// It always gives the terminal back as it found it, and never blocks or stops us on one that is gone or not ours at the moment.
package term

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	xterm "golang.org/x/term"
)

// Terminal is the user's terminal: where keys come from and where output goes to.
type Terminal struct {
	in, out *os.File

	mu    sync.Mutex
	saved *xterm.State // as it was found; nil while it is not raw
}

// Open returns the terminal that in and out both are, or nil where they are not one and the same terminal, or where another job
// has it in its foreground: whoever reads or sets it then would be stopped.
func Open(in, out *os.File) *Terminal {
	if !Same(in, out) {
		return nil
	}
	t := &Terminal{in: in, out: out}
	if !t.Foreground() {
		return nil
	}
	return t
}

// Same reports whether both files are the same terminal.
func Same(a, b *os.File) bool {
	var sa, sb unix.Stat_t
	if !xterm.IsTerminal(fd(a)) || !xterm.IsTerminal(fd(b)) {
		return false
	}
	if unix.Fstat(fd(a), &sa) != nil || unix.Fstat(fd(b), &sb) != nil {
		return false
	}
	return sa.Rdev == sb.Rdev
}

// Foreground reports whether the terminal may be read and set without our being stopped for it:
// our group is in its foreground, or it controls no session of ours.
func (t *Terminal) Foreground() bool {
	group, err := ForegroundGroup(fd(t.in))
	return err != nil || group == unix.Getpgrp()
}

// Raw passes keys and output through unchanged from now on. Calling it again is harmless.
func (t *Terminal) Raw() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.saved != nil {
		return nil
	}
	saved, err := xterm.MakeRaw(fd(t.in))
	if vanished(err) { // reading it tells
		return nil
	}
	if err != nil {
		return fmt.Errorf("set terminal raw: %w", err)
	}
	t.saved = saved
	return nil
}

// Restore undoes Raw. It is idempotent. A terminal that another job has taken is left alone: its modes are that job's now.
func (t *Terminal) Restore() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.saved == nil {
		return nil
	}
	saved := t.saved
	t.saved = nil
	if !t.Foreground() {
		return nil
	}
	// RACE: the foreground may go between the look and the call; with TTOU blocked that can't stop us.
	err := WithoutTTOU(func() error { return xterm.Restore(fd(t.in), saved) })
	if err != nil && !vanished(err) {
		return fmt.Errorf("restore terminal: %w", err)
	}
	return nil
}

// vanished reports whether the terminal hung up: there is nothing to set any more.
func vanished(err error) bool { return errors.Is(err, unix.EIO) || errors.Is(err, unix.ENXIO) }

// CopySize gives the pseudo-terminal the terminal's size. The kernel tells its foreground group when that is a change.
func (t *Terminal) CopySize(p *PTY) error {
	size, err := pty.GetsizeFull(t.in)
	if vanished(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read terminal size: %w", err)
	}
	return p.control(func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Cols, Xpixel: size.X, Ypixel: size.Y})
	})
}

// copyModes gives the pseudo-terminal the terminal's modes and control characters, so that stty's settings hold inside as well.
func (t *Terminal) copyModes(slave *os.File) error {
	state, err := xterm.GetState(fd(t.in))
	if err != nil {
		return fmt.Errorf("read terminal modes: %w", err)
	}
	return xterm.Restore(fd(slave), state)
}

func fd(f *os.File) int { return int(f.Fd()) }
