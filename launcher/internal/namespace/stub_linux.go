package namespace

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/alca-mount/alca-mount/launcher/internal/plain"
	"github.com/alca-mount/alca-mount/launcher/internal/term"
)

// task is what the stub is to do.
type task struct {
	Order    order
	Terminal bool
	Confine  confinement
}

// trouble is why the command was not started.
type trouble struct{ Kind, Err string }

func refused(text []byte) (message, error) {
	var t trouble
	if err := json.Unmarshal(text, &t); err != nil {
		return message{}, fmt.Errorf("start in the namespace: %s", text)
	}
	return message{Kind: t.Kind}, errors.New(t.Err)
}

// stubMain gives up every privilege and becomes the command. It returns only when it could not.
func stubMain() int {
	runtime.LockOSThread() // privileges are a thread's; exec leaves this one alone
	say, blob := os.NewFile(3, "init"), os.NewFile(4, "task")
	var t task
	err := unpack(blob, &t)
	if err == nil {
		err = t.become()
	}
	kind := ""
	switch {
	case errors.Is(err, plain.ErrNotFound):
		kind = "notfound"
	case errors.Is(err, plain.ErrNotExecutable):
		kind = "notexecutable"
	}
	text, _ := json.Marshal(trouble{kind, err.Error()})
	_, _ = say.Write(text)
	return 125
}

func (t *task) become() error {
	if err := unix.Setpgid(0, 0); err != nil {
		return err
	}
	if t.Terminal {
		if err := term.SetForegroundGroup(t.terminal(), unix.Getpid()); err != nil {
			return fmt.Errorf("take the terminal: %w", err)
		}
	}
	o := t.Order
	file, err := plain.Lookup(o.Argv[0], o.Dir, o.Env)
	if err != nil {
		return err
	}
	if err := unix.Chdir(o.Dir); err != nil {
		return fmt.Errorf("enter working directory %s: %w", o.Dir, err)
	}
	_, _ = unix.KeyctlJoinSessionKeyring("") // none where the kernel has no keys
	if err := t.Confine.enforce(); err != nil {
		return err
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("keep descriptors from the command: %w", err)
	}
	return execDefault(file, o)
}

// terminal is a descriptor of the command's terminal.
func (t *task) terminal() int {
	for fd, sent := range t.Order.Streams {
		if !sent {
			return fd
		}
	}
	return 0
}

// dropCapabilities takes all of them from this thread, for good, and the way by which a program's file gives them.
func dropCapabilities() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
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

// execDefault runs the command with nothing blocked and default dispositions, but for HUP and INT: ignored, they are
// nohup's or a shell's background job's wish.
func execDefault(file string, o order) error {
	sink := make(chan os.Signal, 1)
	for n := syscall.Signal(1); n < 32; n++ {
		if n != unix.SIGHUP && n != unix.SIGINT && signal.Ignored(n) {
			signal.Notify(sink, n)
		}
	}
	var empty unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &empty, nil); err != nil {
		return fmt.Errorf("unblock signals: %w", err)
	}
	err := syscall.Exec(file, o.Argv, o.Env)
	if errors.Is(err, unix.ENOEXEC) { // a script without an interpreter line, as execvp and the shells run it
		err = syscall.Exec("/bin/sh", append([]string{"sh", file}, o.Argv[1:]...), o.Env)
	}
	return fmt.Errorf("%s: %w: %w", o.Argv[0], plain.ErrNotExecutable, err)
}
