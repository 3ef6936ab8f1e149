//go:build unix

package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/launcher"
)

func TestSignalStopsTheBuildAndThenGoesToTheCommand(t *testing.T) {
	f := newFakeApp(t)
	f.launch = func(ctx context.Context, o launcher.Options) (launcher.Result, error) {
		syscall.Kill(os.Getpid(), syscall.SIGTERM)
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
			t.Error("the build was not stopped")
		}
		return launcher.Result{ExitCode: 125}, errors.Join(errors.New("create a mirror"), ctx.Err())
	}
	if code := f.run([]string{"--", "x"}); code != 143 {
		t.Errorf("exit %d, want 143", code)
	}
	if got := read(t, f.stderr); !strings.Contains(got, "stopped by terminated before the command started") {
		t.Errorf("told %q", got)
	}

	f.launch = func(ctx context.Context, o launcher.Options) (launcher.Result, error) {
		o.AfterBuild(launcher.Start{Session: "s1"})
		syscall.Kill(os.Getpid(), syscall.SIGTERM)
		select {
		case s := <-o.Signals:
			if s != syscall.SIGTERM || ctx.Err() != nil {
				t.Errorf("got %v, context %v", s, ctx.Err())
			}
		case <-time.After(5 * time.Second):
			t.Error("the signal did not arrive")
		}
		return launcher.Result{Session: "s1", ExitCode: 143}, nil
	}
	if code := f.run([]string{"-q", "--", "x"}); code != 143 {
		t.Errorf("exit %d, want 143", code)
	}
}
