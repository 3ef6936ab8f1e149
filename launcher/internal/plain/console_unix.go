//go:build linux || darwin

package plain

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/alca-mount/alca-mount/launcher/internal/term"
)

// console is how the command shares our terminal.
type console interface {
	// attach says which streams the command starts with, and how its process relates to the terminal.
	attach(Spec) ([3]*os.File, *syscall.SysProcAttr)
	take(pid int) error    // gives the terminal to the started or continued command, as far as it is ours to give
	handOver(pid int) bool // gives it to a command that stopped for want of it
	give() error           // takes the terminal back, as it was; idempotent
	leads(pid int) bool    // the command's own group is in the foreground of a terminal of its own
	watched() bool         // somebody continues us when we stop
	stopSignal(pid int) syscall.Signal
	resize()
	events() happenings
	close()
}

// happenings come from the terminal's side. A nil channel never happens.
type happenings struct {
	gone    <-chan struct{}  // the terminal hung up
	suspend <-chan struct{}  // the suspend key was typed
	paused  <-chan struct{}  // another job has the terminal now
	again   <-chan time.Time // time to look whether it is ours again
}

const (
	// lookAgain is how often we look whether the terminal is ours again while it is not: a shell that brings a running job
	// to the foreground tells nobody.
	lookAgain = 200 * time.Millisecond
	// settle bounds how long output may come out before the terminal is given back.
	settle = 50 * time.Millisecond
	// flush bounds how long output may come out before we stop carrying it.
	flush = 300 * time.Millisecond
)

func openConsole(spec Spec) (console, error) {
	user := term.Open(spec.Stdin, spec.Stdout)
	if user == nil {
		return openShared(), nil
	}
	p, err := term.NewPTY(user)
	if err != nil {
		return nil, err
	}
	return carry(user, p)
}

// carry makes a pseudo-terminal what the user's terminal shows.
func carry(user *term.Terminal, p *term.PTY) (*private, error) {
	// Before anything comes out: the command's own terminal has done the output processing, and once is enough.
	if err := user.Raw(); err != nil {
		p.Close()
		return nil, err
	}
	pump, err := term.NewPump(user, p)
	if err != nil {
		_ = user.Restore()
		p.Close()
		return nil, err
	}
	again := time.NewTicker(lookAgain)
	again.Stop()
	return &private{user: user, pty: p, pump: pump, again: again}, nil
}

// private is a pseudo-terminal of the command's own.
type private struct {
	user  *term.Terminal
	pty   *term.PTY
	pump  *term.Pump
	again *time.Ticker
}

func (c *private) attach(spec Spec) ([3]*os.File, *syscall.SysProcAttr) {
	slave := c.pty.Slave
	files := [3]*os.File{slave, slave, slave}
	if !term.Same(spec.Stdout, spec.Stderr) {
		files[2] = spec.Stderr
	}
	return files, &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
}

func (c *private) take(int) error {
	c.pty.CloseSlave()
	if !c.user.Foreground() {
		c.pump.StopInput()
		c.again.Reset(lookAgain)
		return nil
	}
	c.again.Stop()
	if err := c.user.Raw(); err != nil {
		return err
	}
	c.resize()
	return c.pump.StartInput()
}

func (c *private) give() error {
	c.again.Stop()
	c.pump.StopInput()
	c.pump.Settle(settle)
	return c.user.Restore()
}

func (c *private) close() {
	_ = c.give()
	c.pty.CloseSlave()
	c.pump.Close(flush)
	c.pty.Close()
}

func (c *private) handOver(int) bool  { return false }
func (c *private) leads(pid int) bool { return c.pty.ForegroundGroup() == pid }
func (c *private) watched() bool      { return term.Watched() }
func (c *private) resize()            { _ = c.user.CopySize(c.pty) } // a terminal without a size, or gone, has none to pass on
func (c *private) events() happenings {
	return happenings{gone: c.pump.Gone, suspend: c.pump.Suspend, paused: c.pump.Paused, again: c.again.C}
}

// stopSignal is STOP where the kernel would drop TSTP: see suspendTyped.
func (c *private) stopSignal(pid int) syscall.Signal {
	if dropsStop(pid) {
		return unix.SIGSTOP
	}
	return unix.SIGTSTP
}

// shared is our own terminal, if we have one, used by the command directly. Its group gets the foreground when it needs it.
type shared struct {
	tty   *os.File // nil: no controlling terminal
	group int      // the command's; 0 while it has not been in the foreground
}

func openShared() *shared {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return &shared{}
	}
	return &shared{tty: tty}
}

func (c *shared) attach(spec Spec) ([3]*os.File, *syscall.SysProcAttr) {
	return [3]*os.File{spec.Stdin, spec.Stdout, spec.Stderr}, &syscall.SysProcAttr{Setpgid: true}
}

// take gives a continued command the foreground again that it had.
func (c *shared) take(pid int) error {
	if c.group != 0 {
		c.handOver(pid)
	}
	return nil
}

func (c *shared) handOver(pid int) bool {
	if c.tty == nil {
		return false
	}
	front, err := term.ForegroundGroup(int(c.tty.Fd()))
	if err != nil || (front != unix.Getpgrp() && front != pid) {
		return false
	}
	c.group = pid
	return front == pid || term.SetForegroundGroup(int(c.tty.Fd()), pid) == nil
}

// give takes the foreground back, unless somebody else has taken it.
func (c *shared) give() error {
	if c.group == 0 {
		return nil
	}
	front, err := term.ForegroundGroup(int(c.tty.Fd()))
	if err != nil || front != c.group {
		return nil
	}
	return term.SetForegroundGroup(int(c.tty.Fd()), unix.Getpgrp())
}

func (c *shared) close() {
	if c.tty != nil {
		c.tty.Close()
	}
}

func (c *shared) leads(int) bool                { return false }
func (c *shared) watched() bool                 { return c.tty != nil && term.Watched() }
func (c *shared) stopSignal(int) syscall.Signal { return unix.SIGTSTP }
func (c *shared) resize()                       {}
func (c *shared) events() happenings            { return happenings{} }
