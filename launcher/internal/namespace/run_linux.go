package namespace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/alca-mount/alca-mount/launcher/internal/plain"
	"github.com/alca-mount/alca-mount/safety"
)

// Namespace is a built place for one command, and our end of the talk with its init.
type Namespace struct {
	process *os.Process
	link    link
	grace   time.Duration

	asking  sync.Mutex // one question at a time
	answers chan answer
	changes chan plain.Change
	done    chan int // how many processes outlived the command
	gone    chan struct{}

	closing  sync.Once
	closed   error
	versions int // of Show, so far
	shown    string
	lent     lent
}

type answer struct {
	message
	files []*os.File
}

func newNamespace(process *os.Process, l link) *Namespace {
	n := &Namespace{
		process: process, link: l, answers: make(chan answer, 1), changes: make(chan plain.Change, 64),
		done: make(chan int, 1), gone: make(chan struct{}),
	}
	go n.listen()
	return n
}

// listen sorts what the init says until it is gone.
func (n *Namespace) listen() {
	defer close(n.gone)
	defer close(n.changes)
	for {
		m, files, err := n.link.receive()
		if err != nil {
			return
		}
		switch m.Op {
		case "stopped":
			n.changes <- plain.Change{Stopped: syscall.Signal(m.Signal)}
		case "ended":
			n.changes <- plain.Change{Status: unix.WaitStatus(m.Status)}
		case "done":
			n.done <- m.Left
		default:
			n.answers <- answer{m, files}
		}
	}
}

// ask waits for the answer to a question.
func (n *Namespace) ask(m message, files ...*os.File) (message, []*os.File, error) {
	n.asking.Lock()
	defer n.asking.Unlock()
	if err := n.link.send(m, files...); err != nil {
		return message{}, nil, n.lost(err)
	}
	select {
	case a := <-n.answers:
		if a.Err != "" {
			closeAll(a.files)
			return a.message, nil, errors.New(a.Err)
		}
		return a.message, a.files, nil
	case <-n.gone:
		return message{}, nil, n.lost(io.EOF)
	}
}

func (n *Namespace) lost(err error) error {
	return fmt.Errorf("%w: %w", ErrEnded, err)
}

// Run runs the command there; see plain.Run. It works once.
func (n *Namespace) Run(ctx context.Context, spec plain.Spec) (plain.Exit, error) {
	n.grace = spec.Grace
	return plain.RunJob(ctx, spec, n)
}

// Terminal is for plain.RunJob.
func (n *Namespace) Terminal() (*os.File, error) {
	_, files, err := n.ask(message{Op: "terminal"})
	if err != nil {
		return nil, fmt.Errorf("open pseudo-terminal: %w", err)
	}
	if len(files) != 1 {
		closeAll(files)
		return nil, errors.New("open pseudo-terminal: none came")
	}
	return files[0], nil
}

// order is what the init needs to start the command.
type order struct {
	Argv, Env []string
	Dir       string
	Streams   [3]bool // which are sent along; the others are the terminal
}

// Start is for plain.RunJob.
func (n *Namespace) Start(spec plain.Spec, streams [3]*os.File) error {
	o := order{Argv: spec.Argv, Env: spec.Env, Dir: spec.Dir}
	files := []*os.File{nil}
	for i, f := range streams {
		if o.Streams[i] = f != nil; f == nil {
			continue
		}
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return fmt.Errorf("stream %d is a directory: CMD would reach all that lies around it", i)
		}
		files = append(files, f)
	}
	blob, err := packed(o)
	if err != nil {
		return err
	}
	defer blob.Close()
	files[0] = blob
	m, _, err := n.ask(message{Op: "start"}, files...)
	switch {
	case err == nil:
		return nil
	case m.Kind == "notfound":
		return fmt.Errorf("run %s: %w", spec.Argv[0], plain.ErrNotFound)
	case m.Kind == "notexecutable":
		return &toldError{"run " + err.Error(), plain.ErrNotExecutable}
	}
	return fmt.Errorf("run %s: %w", spec.Argv[0], err)
}

// toldError is an error of the namespace's first process, which says in its text what it is.
type toldError struct {
	text string
	is   error
}

func (e *toldError) Error() string { return e.text }
func (e *toldError) Unwrap() error { return e.is }

// Changes is for plain.RunJob.
func (n *Namespace) Changes() <-chan plain.Change { return n.changes }

// Signal is for plain.RunJob.
func (n *Namespace) Signal(sig syscall.Signal) {
	_ = n.link.send(message{Op: "signal", Signal: int(sig)}) // an init that is gone has ended the command
}

// askedGrace is how long what outlived the command has from TERM to the end of the namespace, if the grace is not shorter.
const askedGrace = 2 * time.Second

// End is for plain.RunJob.
func (n *Namespace) End(linger time.Duration, hurry <-chan struct{}) (int, error) {
	m := message{Op: "end", Linger: int64(linger), Left: int(min(n.grace, askedGrace) / time.Millisecond)}
	if err := n.link.send(m); err != nil {
		return 0, n.Close()
	}
	for {
		select {
		case left := <-n.done:
			return left, n.Close()
		case <-n.gone:
			return 0, n.Close()
		case <-hurry:
			hurry = nil
			_ = n.link.send(message{Op: "hurry"})
		}
	}
}

// Show makes version, a whole regular file, what CMD sees at p and can't change. When it returned nil, the mirror's own
// file is out of CMD's sight: it may be rewritten in place, but not be replaced by another.
func (n *Namespace) Show(p safety.RelPath, version *os.File) error {
	n.versions++
	name := strconv.Itoa(n.versions)
	select {
	case <-n.gone:
		return n.lost(io.EOF)
	default:
	}
	if err := copyVersion(filepath.Join(n.shown, name), version, n.lent.owner); err != nil {
		return err
	}
	// The version keeps its name as long as the namespace lasts: nothing can be mounted on a file without one, and what is
	// would go with it.
	_, _, err := n.ask(message{Op: "show", Path: string(p), Name: name})
	return err
}

// Protect makes an entry of the mirror read-only as it is.
func (n *Namespace) Protect(p safety.RelPath, dir bool) error {
	m := message{Op: "protect", Path: string(p)}
	if dir {
		m.Name = "dir"
	}
	_, _, err := n.ask(m)
	return err
}

func (n *Namespace) hangUp() { _ = unix.Shutdown(n.link.fd, unix.SHUT_RDWR) }

// Close ends every process of the namespace and returns when they are gone.
func (n *Namespace) Close() error {
	n.closing.Do(func() {
		n.hangUp()
		_, n.closed = n.process.Wait()
		go func() { // whoever still reads changes would wait for it
			for range n.changes {
			}
		}()
		<-n.gone
		unix.Close(n.link.fd)
	})
	return n.closed
}
