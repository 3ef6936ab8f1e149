//go:build linux || darwin

package term

import (
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Input reads a file so that a waiting read can be ended, and nothing is taken from whoever reads it next.
type Input struct {
	in      *os.File
	side    *side
	stopped atomic.Bool
}

// NewInput begins; whoever reads calls Done when it is through.
func NewInput(in *os.File) (*Input, error) {
	s, err := newSide()
	if err != nil {
		return nil, err
	}
	return &Input{in: in, side: s}, nil
}

// Read reads what is there; io.EOF at the file's end and after Stop.
func (i *Input) Read(p []byte) (int, error) {
	for {
		if !ready(fd(i.in), false, fd(i.side.wake)) {
			return 0, io.EOF
		}
		n, err := unix.Read(fd(i.in), p)
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
		case err != nil:
			return 0, err
		case n <= 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Stopped reports whether the end came by Stop.
func (i *Input) Stopped() bool { return i.stopped.Load() }

// Done says that nothing reads any more.
func (i *Input) Done() { close(i.side.done) }

// Stop ends a waiting read and returns when nothing of ours reads any more.
func (i *Input) Stop() {
	i.stopped.Store(true)
	i.side.stop.Close()
	<-i.side.done
	i.side.wake.Close()
}
