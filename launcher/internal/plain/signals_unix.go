//go:build linux || darwin

package plain

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/alca-mount/alca-mount/launcher/internal/term"
)

// ownSignals are those that Run handles itself: they are about the terminal and about children, not for the command as they are.
type ownSignals struct {
	winch, cont, tstp, chld chan os.Signal
}

func listen() *ownSignals {
	o := &ownSignals{
		winch: make(chan os.Signal, 1), cont: make(chan os.Signal, 1),
		tstp: make(chan os.Signal, 1), chld: make(chan os.Signal, 1),
	}
	signal.Notify(o.winch, unix.SIGWINCH)
	signal.Notify(o.cont, unix.SIGCONT)
	signal.Notify(o.tstp, unix.SIGTSTP)
	signal.Notify(o.chld, unix.SIGCHLD)
	return o
}

func (o *ownSignals) stop() {
	for _, c := range []chan os.Signal{o.winch, o.cont, o.tstp, o.chld} {
		signal.Stop(c)
	}
}

// stopJob stops our whole job, as the terminal would, so that the shell takes over; it returns when we were continued.
// The others get TSTP; we get STOP on this thread, so that we are stopped once and at a known point.
// The TSTP that reaches us as well goes into a sink, and Stop waits until it has: it must not stop the job a second time.
func (o *ownSignals) stopJob() {
	sink := make(chan os.Signal, 1)
	signal.Notify(sink, unix.SIGTSTP)
	signal.Stop(o.tstp)
	_ = unix.Kill(0, unix.SIGTSTP)
	_ = term.StopSelf()
	signal.Stop(sink)
	signal.Notify(o.tstp, unix.SIGTSTP)
}

// passedOn reports whether a signal that our process got is meant for the command. The others are about us or handled by Run itself.
func passedOn(sig syscall.Signal) bool {
	switch sig {
	case unix.SIGTSTP, unix.SIGCONT, unix.SIGWINCH, unix.SIGCHLD, unix.SIGURG, unix.SIGPIPE, unix.SIGTTIN, unix.SIGTTOU, unix.SIGXFSZ:
		return false
	}
	return true
}

// asksToEnd reports whether the grace period starts with this signal.
func asksToEnd(sig syscall.Signal) bool { return sig == unix.SIGTERM || sig == unix.SIGHUP }

func (r *running) pass(s os.Signal) {
	sig, ok := s.(syscall.Signal)
	if !ok || !passedOn(sig) {
		return
	}
	r.command.send(sig)
	r.hungUp = r.hungUp || sig == unix.SIGHUP
	if !asksToEnd(sig) {
		return
	}
	// A stopped command can't act on it; and a hang-up always comes with CONT, as from the kernel.
	if r.stopped || sig == unix.SIGHUP {
		r.command.send(unix.SIGCONT)
		r.stopped = false
	}
	if r.grace == nil {
		r.grace = time.NewTimer(r.spec.Grace)
	}
}

// terminalGone hangs the command up, unless the kernel's or the shell's HUP to us came first.
func (r *running) terminalGone() {
	if !r.hungUp {
		r.pass(unix.SIGHUP)
	}
}

func (r *running) graceOver() <-chan time.Time {
	if r.grace == nil {
		return nil
	}
	return r.grace.C
}

func (r *running) kill() {
	r.killed = true
	r.command.send(unix.SIGKILL)
}

// hasStopped gives a command that stopped for want of the terminal the terminal, and else stops our job with it.
func (r *running) hasStopped(sig syscall.Signal) {
	r.stopped = true
	// A command that already waits for the terminal when a stop is typed must not lose the stop by being continued.
	suspended := r.suspending && r.console.watched()
	r.suspending = false
	if (sig == unix.SIGTTIN || sig == unix.SIGTTOU) && !suspended && r.console.handOver(r.command.pid()) {
		r.stopped = false
		r.command.send(unix.SIGCONT)
		return
	}
	if r.grace != nil { // its end was asked for before we knew that it had stopped
		r.stopped = false
		r.command.send(unix.SIGCONT)
		return
	}
	if !r.console.watched() {
		return
	}
	_ = r.console.give()
	r.own.stopJob() // the SIGCONT that ends it comes in as one of our own
}

// suspend passes on a stop that reached our whole job.
func (r *running) suspend() {
	r.suspending = true
	r.command.send(r.console.stopSignal(r.command.pid()))
}

func (r *running) resume() {
	_ = r.console.take(r.command.pid())
	r.stopped = false
	r.command.send(unix.SIGCONT)
}

// suspendTyped does what the kernel doesn't for a session's first process: its terminal sent it TSTP, and where it leaves that to the
// kernel the stop is dropped, because nobody inside the session could continue it. We can.
func (r *running) suspendTyped() {
	if r.console.leads(r.command.pid()) && r.console.watched() && r.console.stopSignal(r.command.pid()) == unix.SIGSTOP {
		r.command.send(unix.SIGSTOP)
	}
}
