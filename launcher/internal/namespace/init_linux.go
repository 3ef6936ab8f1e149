package namespace

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// initMain is the namespaces' first process. It ends, and with it all processes in them, as soon as the launcher does.
func initMain() int {
	catchSignals()
	unix.CloseOnExec(3) // of the one who started us
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	in := &initial{link: link{3}, hurry: make(chan struct{}), empty: make(chan struct{})}
	for {
		m, files, err := in.link.receive()
		if err != nil {
			if err == io.EOF {
				return 0
			}
			return 125
		}
		if done := in.obey(m, files); done {
			return 0
		}
	}
}

// catchSignals keeps what CMD sends to its first process without effect. What is ignored stays so, for CMD to inherit.
func catchSignals() {
	sink := make(chan os.Signal, 1)
	for n := syscall.Signal(1); n < 32; n++ {
		if n != unix.SIGURG && !signal.Ignored(n) {
			signal.Notify(sink, n)
		}
	}
}

type initial struct {
	setup
	link    link
	place   *place
	pts     *os.File // the command's end of the terminal
	command int
	hurried sync.Once
	hurry   chan struct{}
	empty   chan struct{} // closed when no process but ours is left
}

// obey does what the launcher asks for, and reports whether that was the last.
func (in *initial) obey(m message, files []*os.File) (done bool) {
	switch m.Op {
	case "build":
		in.answer(in.build(files, m.Left))
	case "terminal":
		in.terminal()
	case "start":
		a, err := in.start(files)
		if err != nil {
			a.Err = err.Error()
		}
		in.say(a)
	case "show":
		in.answer(message{}, in.place.show(m.Path, m.Name))
	case "protect":
		in.answer(message{}, in.place.protect(m.Path, m.Name == "dir"))
	case "signal":
		in.signal(syscall.Signal(m.Signal))
	case "hurry":
		in.hurried.Do(func() { close(in.hurry) })
	case "end":
		go in.end(time.Duration(m.Linger), time.Duration(m.Left)*time.Millisecond)
	}
	closeAll(files)
	return false
}

func (in *initial) answer(m message, err error) {
	if err != nil {
		m.Err = err.Error()
	}
	in.say(m)
}

func (in *initial) say(m message, files ...*os.File) {
	if m.Op == "" {
		m.Op = "answer"
	}
	_ = in.link.send(m, files...) // a launcher that is gone ends us at the next receive
}

func (in *initial) build(files []*os.File, lent int) (message, error) {
	if len(files) != 1+lent {
		return message{}, errors.New("no setup")
	}
	if err := unpack(files[0], &in.setup); err != nil {
		return message{}, err
	}
	b := &builder{Options: in.Options, lent: files[1:], root: os.Getuid() == 0, user: user{uid: os.Getuid(), home: in.Home, env: in.Env}}
	if err := b.build(); err != nil {
		return message{}, err
	}
	in.place = b.built
	facts := b.describe()
	return message{Facts: &facts}, nil
}

// terminal opens a pseudo-terminal that is known by its name in here, and leads a session on it: the command's stops are
// then ours to notice and to end, as a shell's jobs are its.
func (in *initial) terminal() {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		in.answer(message{}, err)
		return
	}
	defer master.Close()
	if in.pts, err = otherEnd(master); err != nil {
		in.answer(message{}, err)
		return
	}
	in.say(message{}, master)
}

func otherEnd(master *os.File) (*os.File, error) {
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, err
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, err
	}
	pts, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	return pts, unix.IoctlSetInt(int(pts.Fd()), unix.TIOCSCTTY, 0)
}

// start runs the command.
func (in *initial) start(files []*os.File) (message, error) {
	var o order
	if len(files) == 0 {
		return message{}, errors.New("no order")
	}
	if err := unpack(files[0], &o); err != nil {
		return message{}, err
	}
	streams, rest := [3]*os.File{in.pts, in.pts, in.pts}, files[1:]
	for i := range streams {
		if o.Streams[i] {
			streams[i], rest = rest[0], rest[1:]
		}
	}
	pid, err := o.spawn(streams, in.pts, in.confinement())
	if in.pts != nil {
		in.pts.Close() // the terminal hangs up when the command's side has closed it
	}
	if err != nil {
		return message{Kind: kindOf(err)}, err
	}
	in.command = pid
	go in.reap()
	return message{}, nil
}

// reap tells what becomes of the command, and buries all that are left to us.
func (in *initial) reap() {
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, unix.WUNTRACED, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			close(in.empty)
			return
		case pid == in.command && ws.Stopped():
			in.say(message{Op: "stopped", Signal: int(ws.StopSignal())})
		case pid == in.command:
			in.say(message{Op: "ended", Status: uint32(ws)})
		}
	}
}

func (in *initial) signal(sig syscall.Signal) {
	if in.command == 0 {
		return
	}
	if unix.Kill(-in.command, sig) == unix.ESRCH { // it moved itself into another group
		_ = unix.Kill(in.command, sig)
	}
}

// end waits for what outlived the command, then asks it to go. What does not is killed with the namespace.
func (in *initial) end(linger, grace time.Duration) {
	left := 0
	if !in.emptyWithin(linger, in.hurry) {
		left = in.processes()
		_ = unix.Kill(-1, unix.SIGTERM)
		_ = unix.Kill(-1, unix.SIGCONT)
		in.emptyWithin(grace, nil)
	}
	in.say(message{Op: "done", Left: left})
}

func (in *initial) emptyWithin(limit time.Duration, hurry <-chan struct{}) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-in.empty:
		return true
	case <-timer.C:
	case <-hurry:
	}
	select {
	case <-in.empty:
		return true
	default:
		return false
	}
}

// processes counts those that run besides us.
func (in *initial) processes() int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	n := 0
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && pid > 1 {
			n++
		}
	}
	return n
}
