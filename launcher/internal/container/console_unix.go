//go:build unix

package container

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
	xterm "golang.org/x/term"

	"github.com/alca-mount/alca-mount/launcher/internal/docker"
	"github.com/alca-mount/alca-mount/launcher/internal/term"
)

// passedOn reports whether a signal of ours is meant for the command; the others are about us and our terminal.
func passedOn(s syscall.Signal) bool {
	switch s {
	case unix.SIGTSTP, unix.SIGCONT, unix.SIGWINCH, unix.SIGCHLD, unix.SIGURG, unix.SIGPIPE, unix.SIGTTIN, unix.SIGTTOU, unix.SIGXFSZ:
		return false
	}
	return true
}

// console is our side of the command's streams.
type console struct {
	user           *term.Terminal // nil: the command gets no terminal
	in             *os.File
	stdout, stderr *os.File
	input          *term.Input
	winch          chan os.Signal
	lost           chan struct{}
	deaf           chan struct{}
}

// lookConsole tells whether stdin and stdout are a terminal, and leaves it as it is.
func lookConsole(in, out, errs *os.File) console {
	return console{in: in, stdout: out, stderr: errs, user: term.Open(in, out), winch: make(chan os.Signal, 1), lost: make(chan struct{}, 1), deaf: make(chan struct{}, 1)}
}

// take makes the terminal the command's.
func (c *console) take() error {
	if c.user == nil {
		return nil
	}
	if err := c.user.Raw(); err != nil {
		return err
	}
	signal.Notify(c.winch, unix.SIGWINCH)
	return nil
}

func (c *console) tty() bool                 { return c.user != nil }
func (c *console) resized() <-chan os.Signal { return c.winch }
func (c *console) gone() <-chan struct{}     { return c.lost }
func (c *console) unheard() <-chan struct{}  { return c.deaf }

func (c *console) size() (rows, cols uint, ok bool) {
	if c.user == nil {
		return 0, 0, false
	}
	w, h, err := xterm.GetSize(int(c.in.Fd()))
	return uint(h), uint(w), err == nil && w > 0 && h > 0
}

// hear begins to carry what the command says. The channel is closed when all is out.
func (c *console) hear(s *docker.Stream) <-chan struct{} {
	out := make(chan struct{})
	stdout, stderr := &output{c.stdout, c.deaf}, &output{c.stderr, c.deaf}
	go func() {
		defer close(out)
		_ = s.CopyOut(stdout, stderr)
	}()
	return out
}

// speak begins to carry stdin.
func (c *console) speak(s *docker.Stream) {
	if !c.mayRead() {
		_ = s.CloseStdin()
		return
	}
	input, err := term.NewInput(c.in)
	if err != nil {
		_ = s.CloseStdin()
		return
	}
	c.input = input
	go c.carryInput(input, s)
}

// mayRead reports whether reading stdin can't stop our whole job: a terminal that another job has in its foreground would.
func (c *console) mayRead() bool {
	if c.user != nil || !xterm.IsTerminal(int(c.in.Fd())) {
		return true
	}
	front, err := term.ForegroundGroup(int(c.in.Fd()))
	return err == nil && front == unix.Getpgrp()
}

func (c *console) carryInput(input *term.Input, s *docker.Stream) {
	defer input.Done()
	_, _ = io.Copy(s, input) // whichever side went: the command sees the end
	if c.user != nil && !input.Stopped() {
		c.lost <- struct{}{} // a terminal has no end but its going away
		return
	}
	_ = s.CloseStdin()
}

// close gives the terminal back. It is idempotent.
func (c *console) close() {
	signal.Stop(c.winch)
	if c.input != nil {
		c.input.Stop()
		c.input = nil
	}
	if c.user != nil {
		_ = c.user.Restore()
	}
}

// output is a stream whose reader may go away. The rest is dropped then: an engine that can't get rid of a container's
// output holds up all that is asked of it. What the system does to a writer by itself, the container is told: see toEnd.
type output struct {
	to   *os.File
	deaf chan<- struct{}
}

func (o *output) Write(b []byte) (int, error) {
	n, err := o.to.Write(b)
	if !errors.Is(err, unix.EPIPE) {
		return n, err
	}
	select {
	case o.deaf <- struct{}{}:
	default: // it is told already
	}
	return len(b), nil
}
