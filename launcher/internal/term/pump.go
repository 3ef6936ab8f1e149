//go:build linux || darwin

package term

import (
	"bytes"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Pump carries bytes between the user's terminal and a pseudo-terminal. Its channels are closed or filled at most once per fact.
type Pump struct {
	Gone    chan struct{} // closed when the user's terminal is gone: read or write fails, or it hung up
	Suspend chan struct{} // one value when the suspend key was typed and passed on while it has its effect
	Paused  chan struct{} // one value when reading stopped because another job has the terminal's foreground

	user *Terminal
	pty  *PTY
	gone sync.Once

	input  *side  // nil while no keys are read
	rest   []byte // keys that were read but not yet passed on when reading stopped
	output *side
}

// side is one direction's goroutine and how it is ended.
type side struct {
	stop *os.File      // closing it wakes the goroutine out of its poll
	wake *os.File      // the other end, polled
	done chan struct{} // closed when the goroutine is gone
}

func newSide() (*side, error) {
	wake, stop, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &side{stop: stop, wake: wake, done: make(chan struct{})}, nil
}

// NewPump starts carrying output. Keys are read from StartInput on.
func NewPump(user *Terminal, p *PTY) (*Pump, error) {
	output, err := newSide()
	if err != nil {
		return nil, err
	}
	pump := &Pump{Gone: make(chan struct{}), Suspend: make(chan struct{}, 1), Paused: make(chan struct{}, 1), user: user, pty: p, output: output}
	go pump.carryOutput(fd(user.out), fd(output.wake))
	return pump, nil
}

// StartInput begins to pass keys on. Only to be called while the terminal is in our foreground; calling it again is harmless.
func (p *Pump) StartInput() error {
	if p.input != nil {
		return nil
	}
	input, err := newSide()
	if err != nil {
		return err
	}
	if err := p.pty.master.SetWriteDeadline(time.Time{}); err != nil {
		return err
	}
	p.input = input
	go p.carryInput(input, fd(p.user.in), fd(input.wake))
	return nil
}

// StopInput leaves all further keys to whoever reads the terminal next. It returns when nothing of ours reads any more.
func (p *Pump) StopInput() {
	if p.input == nil {
		return
	}
	p.input.stop.Close()
	_ = p.pty.master.SetWriteDeadline(past())
	<-p.input.done
	p.input.wake.Close()
	p.input = nil
}

// Settle waits until all output has come out, at most for the given time: a process may hold the command's end open.
func (p *Pump) Settle(limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.output.done:
	case <-timer.C:
	}
}

// Close stops both directions, after what the pseudo-terminal holds has come out. It gives up on a terminal that takes nothing
// within the given time; the goroutine that waits for it then ends with the write.
func (p *Pump) Close(limit time.Duration) {
	p.StopInput()
	_ = p.pty.master.SetReadDeadline(time.Now().Add(limit))
	p.Settle(limit + limit/2)
	p.output.stop.Close()
	p.Settle(limit)
	select {
	case <-p.output.done:
		p.output.wake.Close()
	default: // RACE: the write that never returns still polls it; a leaked descriptor harms less than a reused one
	}
}

// note leaves a value for whoever looks, unless one is waiting there.
func note(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (p *Pump) lost() { p.gone.Do(func() { close(p.Gone) }) }

// carryOutput reads on when the terminal is gone, so that the command never blocks on output that nobody takes.
func (p *Pump) carryOutput(out, wake int) {
	defer close(p.output.done)
	buf := make([]byte, 16<<10)
	dead := false
	for {
		n, err := p.pty.master.Read(buf)
		if n > 0 && !dead && !writeAll(out, wake, buf[:n]) {
			dead = true
			p.lost()
		}
		if err != nil { // EIO: the command's side is closed; or the deadline of Close
			return
		}
	}
}

// writeAll writes in pieces that a terminal which is ready takes at once, so that a stop is noticed between two.
func writeAll(out, wake int, data []byte) bool {
	const piece = 2 << 10
	for len(data) > 0 {
		if !ready(out, true, wake) {
			return false
		}
		n, err := unix.Write(out, data[:min(piece, len(data))])
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if err != nil {
			return false
		}
		data = data[n:]
	}
	return true
}

func (p *Pump) carryInput(s *side, in, wake int) {
	defer close(s.done)
	buf := make([]byte, 4<<10)
	for p.passOn() {
		if !ready(in, false, wake) {
			return
		}
		// RACE: the foreground may be taken before the read: it then stops our whole job (SIGTTIN), as any program's read would.
		if !p.user.Foreground() {
			note(p.Paused)
			return
		}
		n, err := unix.Read(in, buf)
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if err != nil || n <= 0 {
			p.lost()
			return
		}
		p.rest = append(p.rest, buf[:n]...)
	}
}

// passOn writes the keys that were read, up to and including a suspend key first, so that what follows it is not seen before.
func (p *Pump) passOn() bool {
	for len(p.rest) > 0 {
		part, suspends := p.rest, false
		if key, active := p.pty.SuspendKey(); active {
			if i := bytes.IndexByte(part, key); i >= 0 {
				part, suspends = part[:i+1], true
			}
		}
		n, err := p.pty.master.Write(part)
		p.rest = p.rest[n:]
		if err != nil {
			return false
		}
		if suspends {
			note(p.Suspend)
		}
	}
	p.rest = nil
	return true
}
