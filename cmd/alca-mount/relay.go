package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
)

// relay hands our signals to CMD. Until CMD runs there is nobody to hand them to: what asks us to stop then ends the
// build, and what was built is taken away again.
type relay struct {
	started atomic.Bool
	in, out chan os.Signal
	done    chan struct{}
	cancel  context.CancelCauseFunc
}

// startRelay subscribes to signals. The context ends when one stops the build; its cause then says with which code to exit.
// A command of ours in a container that stays is only told to end: the other signals are for us.
func startRelay(parent context.Context, ending bool) (*relay, context.Context) {
	ctx, cancel := context.WithCancelCause(parent)
	r := &relay{in: make(chan os.Signal, 64), out: make(chan os.Signal, 64), done: make(chan struct{}), cancel: cancel}
	which := passedOn()
	if ending {
		which = stopping()
	}
	signal.Notify(r.in, unignored(which)...)
	go r.pass()
	return r, ctx
}

func (r *relay) pass() {
	defer close(r.done)
	for s := range r.in {
		if !r.started.Load() && slices.Contains(stopping(), s) {
			r.cancel(&exitError{exitOf(s), fmt.Errorf("stopped by %v before the command started", s)})
			continue
		}
		select {
		case r.out <- s:
		default: // CMD is 64 signals behind: it knows
		}
	}
}

// stop unsubscribes and waits until the last signal is handed on.
func (r *relay) stop() {
	signal.Stop(r.in)
	close(r.in) // Stop returned: nothing is sent on it any more
	<-r.done
	r.cancel(nil)
}
