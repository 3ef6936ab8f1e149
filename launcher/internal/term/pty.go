//go:build linux || darwin

package term

import (
	"fmt"
	"os"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// PTY is a pseudo-terminal: our end, and until the command has it, the command's end.
type PTY struct {
	master *os.File // non-blocking, so that a deadline releases a read
	Slave  *os.File
}

// NewPTY opens a pseudo-terminal that has the user's terminal's size and modes.
func NewPTY(user *Terminal) (*PTY, error) {
	blocking, slave, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("open pseudo-terminal: %w", err)
	}
	defer blocking.Close()
	master, err := pollable(blocking)
	if err != nil {
		slave.Close()
		return nil, fmt.Errorf("open pseudo-terminal: %w", err)
	}
	return (&PTY{master: master, Slave: slave}).dressed(user, slave)
}

// AttachPTY takes a pseudo-terminal that somebody else opened; master becomes ours, the other end stays theirs.
func AttachPTY(user *Terminal, master *os.File) (*PTY, error) {
	defer master.Close()
	own, err := pollable(master)
	if err != nil {
		return nil, fmt.Errorf("open pseudo-terminal: %w", err)
	}
	return (&PTY{master: own}).dressed(user, master) // the kernel sets the other end's modes through ours
}

// dressed gives the pseudo-terminal, of which end is either end, the user's terminal's size and modes.
func (p *PTY) dressed(user *Terminal, end *os.File) (*PTY, error) {
	if err := user.copyModes(end); err != nil {
		p.Close()
		return nil, err
	}
	if err := user.CopySize(p); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// pollable duplicates a file as one whose reads a deadline ends. Closing the original would not release a blocked read.
func pollable(f *os.File) (*os.File, error) {
	dup, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(dup, true); err != nil {
		unix.Close(dup)
		return nil, err
	}
	return os.NewFile(uintptr(dup), f.Name()), nil
}

// CloseSlave closes our copy of the command's end, so that our end reads EOF when the command's side is gone.
func (p *PTY) CloseSlave() {
	if p.Slave != nil {
		p.Slave.Close()
		p.Slave = nil
	}
}

// Close closes both ends. It is idempotent.
func (p *PTY) Close() {
	p.CloseSlave()
	p.master.Close()
}

// SuspendKey returns the character that suspends the foreground group as the command has set its terminal now,
// and whether it has that effect now.
func (p *PTY) SuspendKey() (key byte, active bool) {
	_ = p.control(func(fd int) error {
		t, err := unix.IoctlGetTermios(fd, getTermios)
		if err != nil {
			return err
		}
		key, active = t.Cc[unix.VSUSP], t.Lflag&unix.ISIG != 0
		return nil
	})
	return key, active && key != 0
}

// ForegroundGroup returns the process group in the pseudo-terminal's foreground, 0 where there is none.
func (p *PTY) ForegroundGroup() (group int) {
	_ = p.control(func(fd int) (err error) {
		group, err = ForegroundGroup(fd)
		return err
	})
	return group
}

// control runs an ioctl on our end without taking it out of non-blocking mode, as File.Fd would.
func (p *PTY) control(op func(fd int) error) error {
	conn, err := p.master.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := conn.Control(func(fd uintptr) { failed = op(int(fd)) }); err != nil {
		return err
	}
	return failed
}

func past() time.Time { return time.Unix(1, 0) }
