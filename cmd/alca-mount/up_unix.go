//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/mirror"
)

// readyVariable names the descriptor at which the process that looks after a container says that it is up.
const readyVariable = "ALCA_MOUNT_READY_FD"

// keeperTurn is how often another process's progress is looked at.
const keeperTurn = 10 * time.Millisecond

const logName = "up.log"

// upLog is where the process in the background tells what it would tell in the foreground.
func upLog(state *mirror.StateDir, project string) string {
	return filepath.Join(state.ProjectDir(project), logName)
}

// startKeeper starts this program again, in the foreground of a session of its own, and returns when the container is up.
// What that process tells goes to a log, from which it is passed on here.
func (a *app) startKeeper(state *mirror.StateDir, project string) error {
	if err := os.MkdirAll(state.ProjectDir(project), 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(upLog(state, project), os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	tail, err := os.Open(log.Name())
	if err != nil {
		return err
	}
	defer tail.Close()
	keeper, ready, err := spawnKeeper(log)
	if err != nil {
		return err
	}
	defer ready.Close()
	return a.awaitUp(keeper, ready, tail)
}

// spawnKeeper starts the process that looks after a container; it writes a line to ready when that is up.
func spawnKeeper(log *os.File) (keeper *exec.Cmd, ready *os.File, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	ready, said, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer said.Close() // its own copy alone keeps the pipe open: its death ends what is read
	keeper = exec.Command(self, append(os.Args[1:], "--foreground", "--no-preflight")...)
	keeper.Env = append(os.Environ(), readyVariable+"=3")
	keeper.Stdout, keeper.Stderr, keeper.ExtraFiles = log, log, []*os.File{said}
	keeper.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := keeper.Start(); err != nil {
		return nil, nil, errors.Join(err, ready.Close())
	}
	return keeper, ready, nil
}

// awaitUp passes on what the keeper tells, and our signals to it, until its container is up or it ended.
func (a *app) awaitUp(keeper *exec.Cmd, ready io.Reader, tail io.Reader) error {
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, unignored(stopping())...)
	defer signal.Stop(interrupted)
	up := make(chan bool, 1)
	go func() {
		line, err := bufio.NewReader(ready).ReadString('\n')
		up <- err == nil && line != ""
	}()
	for {
		_, _ = io.Copy(a.stderr, tail)
		select {
		case isUp := <-up:
			_, _ = io.Copy(a.stderr, tail)
			if isUp {
				return nil
			}
			return keeperFailed(keeper.Wait(), a, tail)
		case s := <-interrupted:
			_ = keeper.Process.Signal(s)
		case <-time.After(keeperTurn):
		}
	}
}

// keeperFailed is the exit of an up whose container did not come up; its process has told why.
func keeperFailed(err error, a *app, tail io.Reader) error {
	_, _ = io.Copy(a.stderr, tail)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return &exitError{code: exit.ExitCode()}
	}
	return &exitError{exitOwn, errors.New("up: the container ended at once")}
}

// tellParent says that the container is up to whoever started us for that.
func tellParent(session string) {
	fd, err := strconv.Atoi(os.Getenv(readyVariable))
	if err != nil {
		return
	}
	f := os.NewFile(uintptr(fd), "ready")
	_, _ = fmt.Fprintln(f, session)
	_ = f.Close()
}

// allTold tells whoever waits for our last word that it was said: the log goes.
func allTold(state *mirror.StateDir, project string) {
	if os.Getenv(readyVariable) != "" {
		_ = os.Remove(upLog(state, project))
	}
}

// endKeeper ends the process that looks after a session, passes on what it says, and waits for its end.
func (a *app) endKeeper(ctx context.Context, s *mirror.Session) error {
	keeper, err := keeperOf(s)
	if err != nil {
		return err
	}
	log := filepath.Join(filepath.Dir(filepath.Dir(s.Dir())), logName)
	tail, err := os.Open(log)
	if err == nil {
		defer tail.Close()
		_, err = tail.Seek(0, io.SeekEnd)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := keeper.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("end process %d: %w", keeper.Pid, err)
	}
	for {
		now, err := s.Holder()
		over := err != nil || now.PID == 0
		if over && tail != nil {
			_, err := os.Lstat(log)
			over = err != nil || keeper.Signal(syscall.Signal(0)) != nil
		}
		if tail != nil {
			_, _ = io.Copy(a.stderr, tail)
		}
		if over {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(keeperTurn):
		}
	}
}

// keeperOf is the process that looks after a session. A lock that is held by nobody known is looked at again: no number
// that stands for several processes may ever be signalled.
func keeperOf(s *mirror.Session) (*os.Process, error) {
	for deadline := time.Now().Add(keeperTime); time.Now().Before(deadline); time.Sleep(keeperTurn) {
		holder, err := s.Holder()
		if err != nil || holder.PID == 0 {
			return nil, errors.Join(keeperGone(s), err)
		}
		if holder.PID > 1 {
			return os.FindProcess(holder.PID)
		}
	}
	return nil, fmt.Errorf("session %s: it is in use, by a process that can't be told", s.ID)
}

// keeperTime is how long the holder of a lock may be unknown, which it is while it is taken or given up.
const keeperTime = 5 * time.Second

func keeperGone(s *mirror.Session) error {
	return fmt.Errorf("session %s: the process that looks after it is gone: alca-mount recover %[1]s", s.ID)
}

// flushFolder holds a file for each who waits until all that changed is carried.
const flushFolder = "flush"

// flushTime bounds a wait for it.
const flushTime = 10 * time.Minute

// askFlush has the process that looks after a session carry what changed, and waits for it.
func askFlush(ctx context.Context, s *mirror.Session) error {
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	dir := filepath.Join(s.Dir(), flushFolder)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.CreateTemp(dir, "")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	keeper, err := keeperOf(s)
	if err != nil {
		return err
	}
	if err := keeper.Signal(syscall.SIGUSR1); err != nil {
		return fmt.Errorf("ask process %d: %w", keeper.Pid, err)
	}
	for {
		if holder, err := s.Holder(); err != nil || holder.PID == 0 {
			return keeperGone(s)
		}
		if said, err := os.ReadFile(f.Name()); errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err == nil && len(said) > 0 {
			return errors.New(strings.TrimSpace(string(said)))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("session %s: changes are not carried yet: %w", s.ID, ctx.Err())
		case <-time.After(keeperTurn):
		}
	}
}

// flushRequests turns the signal of askFlush into requests. A file goes when what changed before it came is carried; what
// is in the way is written into it.
func flushRequests(state *mirror.StateDir, project string) (<-chan func(error), func()) {
	out := make(chan func(error))
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-asked:
			case <-done:
				return
			}
			s, _, err := launcher.FindStanding(state, project)
			if err != nil || s == nil {
				continue
			}
			waiting := flushesAsked(s)
			select {
			case out <- func(err error) { answerFlush(waiting, err) }:
			case <-done:
				return
			}
		}
	}()
	return out, func() { close(done) } // the signal stays caught: it would end us
}

// flushesAsked are the files of those who wait.
func flushesAsked(s *mirror.Session) (files []string) {
	dir := filepath.Join(s.Dir(), flushFolder)
	entries, _ := os.ReadDir(dir) // without it nobody waits
	for _, e := range entries {
		files = append(files, filepath.Join(dir, e.Name()))
	}
	return files
}

func answerFlush(waiting []string, err error) {
	for _, file := range waiting {
		if err == nil {
			_ = os.Remove(file)
		} else {
			_ = os.WriteFile(file, []byte(err.Error()+"\n"), 0o600)
		}
	}
}
