//go:build linux

package plain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// driverReport names the file that the test binary, run as a program that launches its arguments, writes its report to.
const driverReport = "PLAIN_TEST_REPORT"

type report struct {
	Exit    Exit
	Err     string
	Fds     int // open descriptors after Run, less those before
	Ignored bool
}

func TestMain(m *testing.M) {
	if file := os.Getenv(driverReport); file != "" {
		os.Exit(drive(file))
	}
	if file := os.Getenv(tellSignals); file != "" {
		os.Exit(tell(file))
	}
	goleak.VerifyTestMain(m)
}

// tellSignals names the FIFO that the test binary, run as a command, writes a line to for each signal that it gets.
const tellSignals = "PLAIN_TEST_TELL"

func tell(file string) int {
	signals := make(chan os.Signal, 1000)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2)
	out, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return 99
	}
	fmt.Fprintln(out, "up")
	for sig := range signals {
		if sig == unix.SIGUSR2 {
			return 11
		}
		fmt.Fprintln(out, sig)
	}
	return 0
}

// drive is the smallest launcher: what alca-mount does, less mirror and syncing.
func drive(file string) int {
	signals := make(chan os.Signal, 64)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2)
	if os.Getenv("PLAIN_TEST_IGNORE") != "" {
		signal.Ignore(unix.SIGXFSZ, unix.SIGPIPE, unix.SIGTTOU, unix.SIGUSR1)
	}
	before := countFds()
	exit, err := Run(context.Background(), Spec{
		Argv: os.Args[1:], Env: os.Environ(), Signals: signals,
		Grace: duration("PLAIN_TEST_GRACE", 5*time.Second), Linger: duration("PLAIN_TEST_LINGER", 0),
	})
	r := report{Exit: exit, Fds: countFds() - before, Ignored: signal.Ignored(unix.SIGXFSZ)}
	if err != nil {
		r.Err = err.Error()
	}
	text, _ := json.Marshal(r)
	if err := os.WriteFile(file+".new", text, 0o644); err != nil {
		return 99
	}
	if err := os.Rename(file+".new", file); err != nil {
		return 99
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return 127
	case errors.Is(err, ErrNotExecutable):
		return 126
	case err != nil:
		return 125
	}
	return exit.Code
}

func duration(name string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(os.Getenv(name)); err == nil {
		return d
	}
	return otherwise
}

func countFds() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}
