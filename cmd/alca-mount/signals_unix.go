//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// surviveSignals makes a closed pipe an error of the write that met it instead of our death: the last sync must not
// depend on somebody reading our messages. It is caught, not ignored: CMD would inherit "ignored". A file-size limit
// (SIGXFSZ) needs nothing: Go's runtime catches it, and the write fails with EFBIG.
func surviveSignals() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
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
