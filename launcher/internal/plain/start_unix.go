//go:build linux || darwin

package plain

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// start runs the command with the given streams. It begins with default signal dispositions, nothing blocked,
// and no descriptor but its streams.
func start(spec Spec, files [3]*os.File, attr *syscall.SysProcAttr) (pid int, err error) {
	dir, err := absolute(spec.Dir)
	if err != nil {
		return 0, err
	}
	if err := checkDir(dir); err != nil {
		return 0, err
	}
	name := spec.Argv[0]
	file, err := lookup(name, dir, spec.Env)
	if err != nil {
		return 0, fmt.Errorf("run %w", err)
	}
	if err := closeOnExec(); err != nil {
		return 0, fmt.Errorf("keep descriptors from %s: %w", name, err)
	}
	proc := &syscall.ProcAttr{Dir: dir, Env: spec.Env, Files: []uintptr{files[0].Fd(), files[1].Fd(), files[2].Fd()}, Sys: attr}
	pid, err = Spawn(file, spec.Argv, proc)
	if err != nil {
		return 0, fmt.Errorf("run %w", err)
	}
	return pid, nil
}

// Spawn runs a file from the calling thread, with default signal dispositions and nothing blocked. Its error wraps
// [ErrNotExecutable].
func Spawn(file string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	err = withDefaultSignals(func() error {
		pid, err = forkExec(file, argv, attr)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("%s: %w: %w", argv[0], ErrNotExecutable, err)
	}
	return pid, nil
}

// forkExec runs a file without an interpreter line by sh, as execvp and the shells do.
func forkExec(file string, argv []string, attr *syscall.ProcAttr) (int, error) {
	pid, err := syscall.ForkExec(file, argv, attr)
	if errors.Is(err, unix.ENOEXEC) {
		script := append([]string{"sh", file}, argv[1:]...)
		return syscall.ForkExec("/bin/sh", script, attr)
	}
	return pid, err
}

// absolute keeps a relative directory meaning the same before and after the command's own chdir.
func absolute(dir string) (string, error) {
	if dir == "" || dir[0] == '/' {
		return dir, nil
	}
	wd, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("enter working directory %s: %w", dir, err)
	}
	return wd + "/" + dir, nil
}

// withDefaultSignals runs op, which forks, so that the child starts with default dispositions and an empty signal mask.
// What is caught here becomes default by exec; what is ignored would stay ignored, so it is caught meanwhile.
// HUP and INT stay as they are: ignored, they are nohup's or a shell's background job's wish for the command.
func withDefaultSignals(op func() error) error {
	var ignored []os.Signal
	for n := syscall.Signal(1); n < 32; n++ {
		if n != unix.SIGHUP && n != unix.SIGINT && signal.Ignored(n) {
			ignored = append(ignored, n)
		}
	}
	if len(ignored) > 0 {
		sink := make(chan os.Signal, 1)
		signal.Notify(sink, ignored...)
		defer signal.Ignore(ignored...)
		defer signal.Stop(sink)
	}
	return withEmptyMask(op)
}
