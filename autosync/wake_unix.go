//go:build unix

package autosync

import (
	"os"
	"os/signal"
	"syscall"
)

// wakeUps tells when the process goes on after it was stopped. rest ends that.
func wakeUps() (woken <-chan os.Signal, rest func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGCONT)
	return c, func() { signal.Stop(c) }
}
