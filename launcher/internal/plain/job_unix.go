//go:build linux || darwin

package plain

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/alca-mount/alca-mount/launcher/internal/term"
)

// Job is a command in other hands: somebody else starts it, and answers for all that comes of it.
type Job interface {
	// Terminal makes a pseudo-terminal for the command and returns our end of it.
	Terminal() (*os.File, error)
	// Start runs the command. A stream that is nil is the pseudo-terminal that Terminal made.
	Start(spec Spec, files [3]*os.File) error
	// Changes reports each stop of the command, and last its end.
	Changes() <-chan Change
	// Signal goes to the command's process group; it must not fail for one that has ended.
	Signal(sig syscall.Signal)
	// End ends what outlived the command: asked after linger, or at once when hurry is closed. It returns how many they were.
	End(linger time.Duration, hurry <-chan struct{}) (left int, err error)
}

// Change is what happened to a command: it stopped, or with Stopped 0 it ended.
type Change struct {
	Stopped syscall.Signal
	Status  unix.WaitStatus // of an end
	Err     error           // why it can't be told how it ended
}

// RunJob supervises a command in other hands as Run does its own: terminal, job control, signals and grace are the same.
func RunJob(ctx context.Context, spec Spec, job Job) (Exit, error) {
	spec = withStreams(spec)
	console, files, err := openForeign(spec, job)
	if err != nil {
		return Exit{}, err
	}
	defer console.close()
	own := listen()
	defer own.stop()
	if err := job.Start(spec, files); err != nil {
		return Exit{}, err
	}
	r := &running{spec: spec, console: console, own: own, command: &foreign{job: job}, signals: spec.Signals}
	return r.toEnd(ctx)
}

func openForeign(spec Spec, job Job) (console, [3]*os.File, error) {
	files := [3]*os.File{spec.Stdin, spec.Stdout, spec.Stderr}
	user := term.Open(spec.Stdin, spec.Stdout)
	if user == nil {
		return foreignShared{openShared()}, files, nil
	}
	master, err := job.Terminal()
	if err != nil {
		return nil, files, err
	}
	p, err := term.AttachPTY(user, master)
	if err != nil {
		return nil, files, err
	}
	c, err := carry(user, p)
	if err != nil {
		return nil, files, err
	}
	files[0], files[1] = nil, nil
	if term.Same(spec.Stdout, spec.Stderr) {
		files[2] = nil
	}
	return foreignPrivate{c}, files, nil
}

// foreignPrivate is a pseudo-terminal on whose other end somebody leads the session who can continue the command: the kernel
// needs no help with stopping it.
type foreignPrivate struct{ *private }

func (foreignPrivate) leads(int) bool                { return false }
func (foreignPrivate) stopSignal(int) syscall.Signal { return unix.SIGTSTP }

// foreignShared is for a command outside our session: our terminal can't be given to it.
type foreignShared struct{ *shared }

func (foreignShared) handOver(int) bool { return false }

// command is what running supervises.
type command interface {
	pid() int // ours to signal; 0: in other hands
	watch(changes chan<- change)
	send(sig syscall.Signal)
	collect(last *change) error // after its end
	upkeep() (child <-chan os.Signal, later <-chan time.Time)
	reap(now bool)
	endLeftovers(ctx context.Context, r *running) (int, error)
}

type foreign struct{ job Job }

func (f *foreign) pid() int                { return 0 }
func (f *foreign) send(sig syscall.Signal) { f.job.Signal(sig) }
func (f *foreign) collect(last *change) error {
	return last.err
}
func (f *foreign) upkeep() (<-chan os.Signal, <-chan time.Time) { return nil, nil }
func (f *foreign) reap(bool)                                    {}

func (f *foreign) watch(changes chan<- change) {
	for c := range f.job.Changes() {
		changes <- change{stopped: c.Stopped, ended: c.Stopped == 0, status: c.Status, err: c.Err}
		if c.Stopped == 0 {
			return
		}
	}
	changes <- change{ended: true, err: fmt.Errorf("the command's end was not told")}
}

// endLeftovers hurries as soon as somebody wants the end.
func (f *foreign) endLeftovers(ctx context.Context, r *running) (int, error) {
	linger := r.spec.Linger
	if r.grace != nil { // the end was asked for
		linger = 0
	}
	hurry, over := make(chan struct{}), make(chan struct{})
	defer close(over)
	go func() {
		defer close(hurry)
		done, signals := ctx.Done(), r.signals
		for {
			select {
			case <-over:
				return
			case <-done:
				return
			case s, open := <-signals:
				if !open {
					signals = nil
				} else if wantsEnd(s) {
					return
				}
			}
		}
	}()
	return f.job.End(linger, hurry)
}

// wantsEnd reports whether somebody who sends this does not want to wait for what outlived the command.
func wantsEnd(s os.Signal) bool {
	sig, ok := s.(syscall.Signal)
	return ok && (asksToEnd(sig) || sig == unix.SIGINT || sig == unix.SIGQUIT)
}

// native is a command that we started.
type native struct {
	id  int // also its process group
	kin *kin
	own *ownSignals
}

func (n *native) pid() int                    { return n.id }
func (n *native) watch(changes chan<- change) { watch(n.id, changes) }
func (n *native) collect(last *change) error  { return reap(n.id, last) }
func (n *native) upkeep() (<-chan os.Signal, <-chan time.Time) {
	return n.own.chld, n.kin.later.C
}

func (n *native) reap(now bool) {
	if now {
		n.kin.reapOrphans()
		return
	}
	n.kin.reapLater()
}

func (n *native) endLeftovers(ctx context.Context, r *running) (int, error) {
	return n.kin.endLeftovers(ctx, r)
}

// send signals the command's process group. Until reap the command's pid is its own, dead or alive, and so is the group's number.
func (n *native) send(sig syscall.Signal) {
	if unix.Kill(-n.id, sig) == unix.ESRCH { // it moved itself into another group
		_ = unix.Kill(n.id, sig)
	}
}
