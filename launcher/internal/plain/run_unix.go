//go:build linux || darwin

package plain

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// change is what happened to the command: it stopped, or it ended.
type change struct {
	stopped syscall.Signal
	ended   bool
	status  unix.WaitStatus // of an end, when it has been reaped
	err     error           // of an end in other hands
}

// running is one command from start to end.
type running struct {
	spec    Spec
	console console
	own     *ownSignals
	command command
	stopped bool
	killed  bool
	hungUp  bool        // a HUP was passed on
	grace   *time.Timer // nil until the end was asked for
	signals <-chan os.Signal

	suspending bool // a stop of our job was passed on, and the command has not stopped since
}

func runCommand(ctx context.Context, spec Spec) (Exit, error) {
	console, err := openConsole(spec)
	if err != nil {
		return Exit{}, err
	}
	defer console.close()
	kin, err := adopt(spec.Mark)
	if err != nil {
		return Exit{}, err
	}
	defer kin.release()
	own := listen()
	defer own.stop()

	files, attr := console.attach(spec)
	if kin.command, err = start(spec, files, attr); err != nil {
		return Exit{}, err
	}
	r := &running{spec: spec, console: console, own: own, command: &native{kin.command, kin, own}, signals: spec.Signals}
	return r.toEnd(ctx)
}

func (r *running) toEnd(ctx context.Context) (Exit, error) {
	// Whatever happens from here on, a panic as well, the terminal is given back.
	defer r.console.give()
	changes := make(chan change)
	go r.command.watch(changes)
	failed := r.console.take(r.command.pid())
	if failed != nil {
		r.kill()
	}
	last := r.supervise(ctx, changes)
	if r.grace != nil {
		r.grace.Stop()
	}
	err := r.command.collect(&last)
	if err != nil {
		return Exit{}, fmt.Errorf("wait for %s: %w", r.spec.Argv[0], err)
	}
	exit := exitOf(last.status)
	exit.Killed = r.killed && exit.Signal == unix.SIGKILL
	// Before the left-overs: the terminal's own keys work again, so that Ctrl-C reaches us while we wait for them.
	if err := r.console.give(); failed == nil {
		failed = err
	}
	exit.Left, err = r.command.endLeftovers(ctx, r)
	if failed == nil {
		failed = err
	}
	return exit, failed
}

func exitOf(ws unix.WaitStatus) Exit {
	if ws.Signaled() {
		return Exit{Code: 128 + int(ws.Signal()), Signal: ws.Signal()}
	}
	return Exit{Code: ws.ExitStatus()}
}

// supervise passes on what comes until the command has ended.
func (r *running) supervise(ctx context.Context, changes <-chan change) change {
	done, on := ctx.Done(), r.console.events()
	child, later := r.command.upkeep()
	for {
		select {
		case c := <-changes:
			if c.ended {
				return c
			}
			r.hasStopped(c.stopped)
		case sig, open := <-r.signals:
			if !open {
				r.signals = nil
				continue
			}
			r.pass(sig)
		case <-done:
			done = nil
			r.pass(unix.SIGTERM)
		case <-r.graceOver():
			r.kill()
		case <-on.gone:
			on.gone = nil
			r.terminalGone()
		case <-on.suspend:
			r.suspendTyped()
		case <-on.paused:
			_ = r.console.take(r.command.pid())
		case <-on.again:
			_ = r.console.take(r.command.pid())
		case <-r.own.winch:
			r.console.resize()
		case <-r.own.cont:
			r.resume()
		case <-r.own.tstp:
			r.suspend()
		case <-child:
			r.command.reap(false)
		case <-later:
			r.command.reap(true)
		}
	}
}
