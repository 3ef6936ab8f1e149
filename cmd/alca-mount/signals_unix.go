//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// surviveSignals makes a file-size limit and a closed pipe errors of the write that met them instead of our death:
// a target must never be left half-written. The signals are caught, not ignored, since CMD would inherit "ignored".
func surviveSignals() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGXFSZ, syscall.SIGPIPE)
}

// passedOn are the signals that run hands to CMD.
func passedOn() []os.Signal {
	return []os.Signal{
		syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGCONT, syscall.SIGTSTP,
	}
}

// stopping are the signals that end any other command.
func stopping() []os.Signal { return []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} }

func exitOf(s os.Signal) int {
	if n, ok := s.(syscall.Signal); ok {
		return 128 + int(n)
	}
	return exitOwn
}
