package namespace

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/alca-mount/alca-mount/launcher/internal/plain"
)

// spawn starts the command, without a privilege of ours. All that is given up belongs to a thread, and a child has it from
// the thread that makes it: so one thread gives up everything, starts the command, and ends. A second program that would
// do that between us and the command would cost a start of its own.
func (o order) spawn(streams [3]*os.File, terminal *os.File, c confinement) (pid int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlock: the thread goes with the goroutine
		pid, err = o.fromHere(streams, terminal, c)
	}()
	<-done
	return pid, err
}

func (o order) fromHere(streams [3]*os.File, terminal *os.File, c confinement) (int, error) {
	if err := giveUp(c); err != nil {
		return 0, err
	}
	if err := unix.Unshare(unix.CLONE_FS); err != nil { // a working directory of this thread
		return 0, fmt.Errorf("have a working directory: %w", err)
	}
	if err := unix.Chdir(o.Dir); err != nil {
		return 0, fmt.Errorf("enter working directory %s: %w", o.Dir, err)
	}
	file, err := plain.Lookup(o.Argv[0], o.Dir, o.Env)
	if err != nil {
		return 0, err
	}
	attr := &syscall.ProcAttr{Env: o.Env, Sys: &syscall.SysProcAttr{Setpgid: true}}
	for _, f := range streams {
		attr.Files = append(attr.Files, f.Fd())
	}
	if terminal != nil {
		attr.Sys.Foreground, attr.Sys.Ctty = true, int(terminal.Fd())
	}
	return plain.Spawn(file, o.Argv, attr)
}

// giveUp takes from this thread, and from all that comes of it, what the command must not have.
func giveUp(c confinement) error {
	_, _ = unix.KeyctlJoinSessionKeyring("") // none where the kernel has no keys
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	if err := c.enforce(); err != nil {
		return err
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("keep descriptors from the command: %w", err)
	}
	return nil
}

// dropCapabilities takes all of them from this thread, for good, and the way by which a program's file gives them.
func dropCapabilities() error {
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && err != unix.EINVAL { // the kernel knows fewer
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("drop ambient capabilities: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}

// kindOf names the errors that the launcher tells apart.
func kindOf(err error) string {
	switch {
	case errors.Is(err, plain.ErrNotFound):
		return "notfound"
	case errors.Is(err, plain.ErrNotExecutable):
		return "notexecutable"
	}
	return ""
}
