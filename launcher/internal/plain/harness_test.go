//go:build linux

package plain

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// patience bounds every wait; a test that reaches it has failed.
const patience = 20 * time.Second

// screen is a terminal whose user is the test.
type screen struct {
	t      *testing.T
	master *os.File
	slave  *os.File
	mu     sync.Mutex
	text   []byte
	seen   int           // what expect has consumed
	more   chan struct{} // one value after each read
	closed chan struct{}
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	m, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	dup, err := unix.FcntlInt(m.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	if err := unix.SetNonblock(dup, true); err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, master: os.NewFile(uintptr(dup), "master"), slave: slave, more: make(chan struct{}, 1), closed: make(chan struct{})}
	s.size(24, 80)
	go s.read()
	t.Cleanup(func() {
		s.slave.Close()
		s.hangUp()
		<-s.closed
	})
	return s
}

func (s *screen) read() {
	defer close(s.closed)
	buf := make([]byte, 64<<10)
	for {
		n, err := s.master.Read(buf)
		s.mu.Lock()
		s.text = append(s.text, buf[:n]...)
		s.mu.Unlock()
		select {
		case s.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

func (s *screen) hangUp() {
	_ = s.master.SetReadDeadline(time.Unix(1, 0))
	<-s.closed
	s.master.Close()
}

func (s *screen) size(rows, cols uint16) {
	if err := unix.IoctlSetWinsize(int(s.slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *screen) modes() unix.Termios {
	m, err := unix.IoctlGetTermios(int(s.slave.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return *m
}

// awaitModes waits until the terminal's modes are what the test wants: no event tells it of them.
func (s *screen) awaitModes(want func(unix.Termios) bool) {
	s.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if want(s.modes()) {
			return
		}
	}
	s.t.Fatalf("the modes stay %+v", s.modes())
}

func ours(m unix.Termios) bool   { return m.Oflag&unix.OPOST == 0 }
func cooked(m unix.Termios) bool { return m.Lflag&unix.ICANON != 0 }

func (s *screen) write(keys string) {
	s.t.Helper()
	if _, err := s.master.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// expect waits until text has come out after what was expected last, and returns what came before it.
func (s *screen) expect(text string) string {
	s.t.Helper()
	deadline := time.After(patience)
	for {
		s.mu.Lock()
		i := bytes.Index(s.text[s.seen:], []byte(text))
		if i >= 0 {
			before := string(s.text[s.seen : s.seen+i])
			s.seen += i + len(text)
			s.mu.Unlock()
			return before
		}
		rest := string(s.text[s.seen:])
		s.mu.Unlock()
		select {
		case <-s.more:
		case <-deadline:
			s.t.Fatalf("%q did not come; the screen has %q", text, rest)
		}
	}
}

func (s *screen) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.text)
}

// launched is the driver under test as a process of its own.
type launched struct {
	t    *testing.T
	cmd  *exec.Cmd
	file string
}

// driver prepares the driver with a command to launch.
func driver(t *testing.T, argv ...string) *launched {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report")
	cmd := exec.Command(self(t), argv...)
	cmd.Env = append(os.Environ(), driverReport+"="+file)
	return &launched{t: t, cmd: cmd, file: file}
}

func self(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

func (l *launched) env(kv ...string) *launched { l.cmd.Env = append(l.cmd.Env, kv...); return l }

// on starts it as the first process of a session on the screen.
func (l *launched) on(s *screen) *launched {
	l.t.Helper()
	if l.cmd.Stdin == nil {
		l.cmd.Stdin = s.slave
	}
	if l.cmd.Stdout == nil {
		l.cmd.Stdout = s.slave
	}
	if l.cmd.Stderr == nil {
		l.cmd.Stderr = s.slave
	}
	l.cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	return l.start()
}

func (l *launched) start() *launched {
	l.t.Helper()
	if err := l.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		if l.cmd.ProcessState == nil {
			_ = l.cmd.Process.Kill()
			_ = l.cmd.Wait()
		}
	})
	return l
}

func (l *launched) signal(sig unix.Signal) {
	l.t.Helper()
	if err := l.cmd.Process.Signal(sig); err != nil {
		l.t.Fatal(err)
	}
}

// wait returns the driver's exit code and report.
func (l *launched) wait() (int, report) {
	l.t.Helper()
	timer := time.AfterFunc(patience, func() { _ = l.cmd.Process.Kill() })
	err := l.cmd.Wait()
	if !timer.Stop() {
		l.t.Fatal("the launcher did not end")
	}
	var r report
	text, readErr := os.ReadFile(l.file)
	if readErr != nil {
		l.t.Fatalf("no report: %v; ended with %v", readErr, err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		l.t.Fatal(err)
	}
	return l.cmd.ProcessState.ExitCode(), r
}

// awaitFile reads a FIFO that a process of the test's opens for writing: it returns with what was written once all writers are gone.
func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// readFIFO opens a FIFO for reading (which waits for a writer) and returns all that is written to it.
func readFIFO(t *testing.T, path string) string {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_ = f.SetReadDeadline(time.Now().Add(patience))
	var text []byte
	buf := make([]byte, 4096)
	for !strings.HasSuffix(string(text), "\n") {
		n, err := f.Read(buf)
		if err != nil {
			t.Fatalf("read %s: %v, got %q", path, err, text)
		}
		text = append(text, buf[:n]...)
	}
	return string(text)
}
