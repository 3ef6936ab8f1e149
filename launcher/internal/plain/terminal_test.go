//go:build linux

package plain

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestTerminalIsTheCommandsOwn(t *testing.T) {
	s := newScreen(t)
	l := driver(t, "sh", "-c", `test -t 0 && test -t 1 && test -t 2 && test "$(ps -o sid= -p $$ | tr -d ' ')" = $$ && tty; echo done; exit 7`).on(s)
	own := strings.TrimSpace(s.expect("done"))
	if !strings.HasPrefix(own, "/dev/pts/") || own == s.slave.Name() {
		t.Errorf("command's terminal is %q, ours %q", own, s.slave.Name())
	}
	if code, r := l.wait(); code != 7 || r.Err != "" {
		t.Errorf("exit %d, %+v", code, r)
	}
}

func TestSizeIsPassedOnAtStartAndOnResize(t *testing.T) {
	s := newScreen(t)
	s.size(41, 133)
	l := driver(t, "bash", "-c", `trap 'stty size; exit' WINCH; stty size; while :; do read -t 1 x; done`).on(s)
	s.expect("41 133")
	s.size(50, 99)
	s.expect("50 99")
	l.wait()
}

func TestTerminalModesAreKeptInsideAndRestored(t *testing.T) {
	s := newScreen(t)
	set := exec.Command("stty", "-ixon", "erase", "^H", "intr", "^K")
	set.Stdin = s.slave
	if out, err := set.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	before := s.modes()
	l := driver(t, "sh", "-c", "stty -a; stty raw; echo over").on(s)
	if inside := s.expect("over"); !strings.Contains(inside, "intr = ^K") || !strings.Contains(inside, "-ixon") {
		t.Errorf("inside: %s", inside)
	}
	l.wait()
	if after := s.modes(); after != before {
		t.Errorf("modes before %+v, after %+v", before, after)
	}
}

func TestTerminalIsRawWhileTheCommandRuns(t *testing.T) {
	s := newScreen(t)
	l := driver(t, "sh", "-c", "echo up; read x").on(s)
	s.expect("up")
	if m := s.modes(); m.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) != 0 {
		t.Errorf("our terminal is not raw: %+v", m)
	}
	s.write("\r")
	l.wait()
}

func TestTerminalIsRestoredAfterTheCommandWasKilled(t *testing.T) {
	s := newScreen(t)
	before := s.modes()
	l := driver(t, "sh", "-c", "stty raw -echo; echo $$ up; read x; kill -9 $$").on(s)
	s.expect("up")
	s.write("\n")
	if code, r := l.wait(); code != 137 || r.Exit.Signal != unix.SIGKILL || r.Exit.Killed {
		t.Errorf("exit %d, %+v", code, r)
	}
	if after := s.modes(); after != before {
		t.Errorf("modes before %+v, after %+v", before, after)
	}
}

func TestTerminalIsRestoredAfterTERMAndHUPToUs(t *testing.T) {
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGHUP} {
		s := newScreen(t)
		before := s.modes()
		l := driver(t, "sh", "-c", "stty raw; echo up; exec sleep 100").on(s)
		s.expect("up")
		l.signal(sig)
		if code, r := l.wait(); code != 128+int(sig) || r.Exit.Signal != sig {
			t.Errorf("%v: exit %d, %+v", sig, code, r)
		}
		if after := s.modes(); after != before {
			t.Errorf("%v: modes before %+v, after %+v", sig, before, after)
		}
	}
}

func TestTypedInterruptReachesTheForegroundGroupOnce(t *testing.T) {
	s := newScreen(t)
	l := driver(t, "env", "-u", driverReport, tellSignals+"=/dev/tty", self(t)).on(s)
	s.expect("up\r\n")
	for range 5 {
		s.write("\x03")
		s.expect("interrupt\r\n")
	}
	s.write("\x1c")
	if before := s.expect("quit\r\n"); strings.Contains(before, "interrupt") {
		t.Errorf("a sixth interrupt: %q", before)
	}
	l.signal(unix.SIGUSR2)
	if code, r := l.wait(); code != 11 {
		t.Errorf("exit %d, %+v", code, r)
	}
}

func TestTypedKeysEndSleep(t *testing.T) {
	for key, code := range map[string]int{"\x03": 130, "\x1c": 131} {
		s := newScreen(t)
		l := driver(t, "sh", "-c", "ulimit -c 0; echo up; exec sleep 100").on(s)
		s.expect("up")
		s.write(key)
		if got, r := l.wait(); got != code {
			t.Errorf("%q: exit %d, want %d: %+v", key, got, code, r)
		}
	}
}

func TestMegabyteComesThroughUnchangedBothWays(t *testing.T) {
	s := newScreen(t)
	data := bytes.Repeat([]byte("0123456789abcdef\x00\x03\x04\x1a\x1c\r\n\x11\x13\xff"), 1<<20/26+1)[:1<<20]
	file := filepath.Join(t.TempDir(), "in")
	l := driver(t, "sh", "-c", fmt.Sprintf("stty raw -echo; echo ready; head -c %d > %s; echo BEGIN; cat %s; echo END", len(data), file, file)).on(s)
	s.expect("ready\n")
	s.write(string(data))
	s.expect("BEGIN\n")
	if out := s.expect("END\n"); out != string(data) {
		t.Errorf("out: %d bytes, want %d", len(out), len(data))
	}
	l.wait()
	if in, err := os.ReadFile(file); err != nil || !bytes.Equal(in, data) {
		t.Errorf("in: %d bytes, want %d, %v", len(in), len(data), err)
	}
}

func TestLastOutputIsNotCutOff(t *testing.T) {
	s := newScreen(t)
	l := driver(t, "sh", "-c", "stty raw; seq 1 20000; echo LAST").on(s)
	l.wait()
	s.expect("19999\n20000\nLAST\n")
}

func TestRedirectedStderrStaysApart(t *testing.T) {
	s := newScreen(t)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	l := driver(t, "sh", "-c", "test -t 1 && echo out; test -t 2 || echo err >&2; echo over")
	l.cmd.Stderr = log
	l.on(s)
	if before := s.expect("over"); !strings.Contains(before, "out") || strings.Contains(before, "err") {
		t.Errorf("screen: %q", before)
	}
	l.wait()
	if text, _ := os.ReadFile(log.Name()); string(text) != "err\n" {
		t.Errorf("log: %q", text)
	}
}

func TestStreamsAreInheritedUnlessBothAreTheTerminal(t *testing.T) {
	s := newScreen(t)
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	l := driver(t, "tty")
	l.cmd.Stdout = out
	l.on(s)
	l.wait()
	if text, _ := os.ReadFile(out.Name()); strings.TrimSpace(string(text)) != s.slave.Name() {
		t.Errorf("tty: %q, want %q", text, s.slave.Name())
	}
}

func TestClosedTerminalHangsUpTheCommandAndRunReturns(t *testing.T) {
	s := newScreen(t)
	path := fifo(t)
	// The command's loop ignores HUP of the terminal itself; its output keeps failing or vanishing.
	l := driver(t, "bash", "-c", `trap 'trap : HUP; echo hup >`+path+`; exit 3' HUP; echo up; while :; do echo spam; read -t 0.01 x; done`).on(s)
	s.expect("up")
	s.slave.Close()
	s.hangUp()
	if text := readFIFO(t, path); text != "hup\n" {
		t.Errorf("got %q", text)
	}
	if code, r := l.wait(); code != 3 || r.Err != "" {
		t.Errorf("exit %d, %+v", code, r)
	}
}

func TestCommandIgnoringTheHangUpIsKilledAfterGrace(t *testing.T) {
	s := newScreen(t)
	l := driver(t, "sh", "-c", `trap '' HUP TERM; echo up; while :; do sleep 100; done`).env("PLAIN_TEST_GRACE=100ms").on(s)
	s.expect("up")
	s.slave.Close()
	s.hangUp()
	if code, r := l.wait(); code != 137 || !r.Exit.Killed {
		t.Errorf("exit %d, %+v", code, r)
	}
}

func TestFullScreenProgramAndTerminalAfterIt(t *testing.T) {
	for _, argv := range [][]string{{"vi", "-u", "NONE", "-N"}, {"less"}} {
		t.Run(argv[0], func(t *testing.T) {
			if _, err := exec.LookPath(argv[0]); err != nil {
				t.Skip(err)
			}
			file := filepath.Join(t.TempDir(), "text")
			if err := os.WriteFile(file, []byte("some words\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			s := newScreen(t)
			before := s.modes()
			l := driver(t, append(argv, file)...).env("TERM=xterm", "HOME="+t.TempDir()).on(s) // where both leave their histories
			s.expect("some words")
			keys := "q"
			if argv[0] == "vi" {
				keys = "\x1b:q!\r"
			}
			s.write(keys)
			if code, r := l.wait(); code != 0 {
				t.Errorf("exit %d, %+v", code, r)
			}
			if after := s.modes(); after != before {
				t.Errorf("modes before %+v, after %+v", before, after)
			}
		})
	}
}

func TestNoDescriptorLeaksFromATerminalRun(t *testing.T) {
	s := newScreen(t)
	// Go's poller opens its own descriptors once, at the first terminal run.
	_, r := driver(t, "true").on(s).wait()
	if r.Fds > 2 {
		t.Errorf("%d descriptors more than before", r.Fds)
	}
}

// shell is an interactive bash with job control on a screen, with $RUN set to the driver.
func shell(t *testing.T, extra ...string) (*screen, string) {
	t.Helper()
	s := newScreen(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "report")
	cmd := exec.Command("bash", "--norc", "--noprofile", "-i")
	cmd.Env = append(append(os.Environ(), "PS1=$ ", "RUN=env "+driverReport+"="+file+" "+self(t), "HISTFILE=", "TERM=dumb"), extra...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.slave, s.slave, s.slave
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	s.write("bind 'set enable-bracketed-paste off'; bind 'set horizontal-scroll-mode off'; PS1='ready> '; echo sh''ell\r")
	s.expect("shell\r\n")
	s.expect("ready> ")
	return s, file
}

func TestSuspendAndForegroundUnderAShell(t *testing.T) {
	s, _ := shell(t)
	before := s.modes()
	s.write("$RUN sh -c 'echo u''p; read x; echo got $x'\r")
	s.expect("up\r\n")
	s.write("\x1a")
	s.expect("Stopped")
	s.expect("ready> ")
	if after := s.modes(); after != before {
		t.Errorf("the shell's modes before %+v, while stopped %+v", before, after)
	}
	s.size(33, 77)
	s.write("echo al''ive; fg\r")
	s.expect("alive\r\n")
	s.awaitModes(ours)
	s.write("word\r")
	s.expect("got word\r\n")
	s.expect("ready> ")
	s.write("echo code=$?\r")
	s.expect("code=0\r\n")
}

func TestSuspendBySTOPItselfAndNewSizeAfterForeground(t *testing.T) {
	s, _ := shell(t)
	s.write("$RUN sh -c 'stty raw; stty size; kill -STOP $$; stty size; echo en''d; exit 5'\r")
	s.expect("24 80")
	s.expect("Stopped")
	s.expect("ready> ")
	s.size(33, 77)
	s.write("fg\r")
	s.expect("33 77")
	s.expect("end")
	s.expect("ready> ")
	s.write("echo code=$?\r")
	s.expect("code=5\r\n")
}

func TestShellAsTheCommandHasItsOwnJobControl(t *testing.T) {
	s, _ := shell(t)
	s.write("$RUN bash --norc --noprofile -i\r")
	s.expect("ready> ")
	s.write("PS1='inner> '; bind 'set enable-bracketed-paste off'\r")
	s.expect("inner> ")
	s.expect("inner> ")
	s.write("sh -c 'echo u''p; exec sleep 100'\r")
	s.expect("up\r\n")
	s.write("\x1a")
	s.expect("Stopped")
	s.expect("inner> ")
	s.write("kill -9 %1; disown -a; exit 9\r")
	if rest := s.expect("ready> "); strings.Contains(rest, driverReport) {
		t.Errorf("the launcher stopped as well: %q", rest)
	}
	s.write("echo code=$?\r")
	s.expect("code=9\r\n")
}

func TestContinuedInTheBackgroundItRunsOnAndComesBack(t *testing.T) {
	s, _ := shell(t)
	path := fifo(t)
	s.write("$RUN sh -c 'echo u''p; kill -STOP $$; echo on >" + path + "; read x; echo got $x'\r")
	s.expect("up\r\n")
	s.expect("Stopped")
	s.expect("ready> ")
	s.write("bg\r")
	if text := readFIFO(t, path); text != "on\n" {
		t.Errorf("got %q", text)
	}
	s.expect("ready> ")
	s.write("echo sti''ll; fg\r")
	s.expect("still\r\n")
	s.awaitModes(ours)
	s.write("word\r")
	s.expect("got word")
	s.expect("ready> ")
}

func TestBackgroundJobRunsWithoutTheTerminal(t *testing.T) {
	s, file := shell(t)
	s.write("$RUN sh -c 'exit 4' & wait $!; echo code=$?\r")
	s.expect("code=4\r\n")
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestBackgroundJobThatReadsStopsAndReadsInTheForeground(t *testing.T) {
	s, _ := shell(t)
	s.write("$RUN sh -c 'read x; echo got $x' &\r")
	s.expect("ready> ")
	s.write("\r")
	for !strings.Contains(s.all(), "Stopped") {
		s.write("\r") // bash tells at its next prompt
		s.expect("ready> ")
	}
	s.write("fg\r")
	s.expect("fg\r\n")
	s.awaitModes(cooked)
	s.write("word\r")
	s.expect("got word\r\n")
	s.expect("ready> ")
}

func TestPipelineInterruptReachesTheCommandOnce(t *testing.T) {
	s, _ := shell(t)
	s.write(`$RUN bash -c 'trap "echo i""nt >&2; exit 6" INT; echo u""p >&2; while :; do sleep 0.05; done' | cat` + "\r")
	s.expect("up\r\n")
	s.write("\x03")
	s.expect("int\r\n")
	s.expect("ready> ")
	s.write("echo code=${PIPESTATUS[0]}\r")
	if rest := s.expect("code=6\r\n"); strings.Contains(rest, "int") {
		t.Errorf("twice: %q", rest)
	}
}

func TestPipelineCommandReadsTheTerminal(t *testing.T) {
	s, _ := shell(t)
	s.write(`$RUN sh -c 'echo u""p >&2; read x; echo got $x' | cat; echo o''ver` + "\r")
	s.expect("up\r\n")
	s.write("word\r")
	s.expect("got word\r\n")
	s.expect("over\r\n")
	s.expect("ready> ")
}

func TestPagerInAPipelineKeepsTheTerminal(t *testing.T) {
	s, _ := shell(t)
	s.write(`$RUN seq 5 | sh -c 'cat; read x </dev/tty; echo pager $x'; echo o''ver` + "\r")
	s.expect("5\r\n")
	s.write("key\r")
	s.expect("pager key\r\n")
	s.expect("over\r\n")
	s.expect("ready> ")
}

func TestPipelineSuspendsAndComesBack(t *testing.T) {
	s, _ := shell(t)
	s.write(`$RUN sh -c 'echo u""p >&2; sleep 0.3; read x; echo got $x' | cat` + "\r")
	s.expect("up\r\n")
	s.write("\x1a")
	s.expect("Stopped")
	s.expect("ready> ")
	s.write("fg\r")
	s.expect("fg\r\n")
	s.awaitModes(cooked)
	s.write("word\r")
	s.expect("got word\r\n")
	s.expect("ready> ")
}

// givesTerminal is a console that counts how often the terminal was handed over.
type givesTerminal struct {
	console
	given int
}

func (g *givesTerminal) handOver(int) bool { g.given++; return true }
func (*givesTerminal) watched() bool       { return true }

// silent is a command that takes every signal and has nothing to say.
type silent struct{ command }

func (silent) pid() int         { return 0 }
func (silent) send(unix.Signal) {}

// A command that began to wait for the terminal at the moment when the stop was typed has a stop pending that CONT would take away.
func TestStopTypedWhileTheCommandWaitsForTheTerminalIsNotLost(t *testing.T) {
	for _, typed := range []bool{false, true} {
		g := &givesTerminal{}
		r := &running{console: g, command: silent{}, suspending: typed, grace: time.NewTimer(time.Hour)} // grace: our job is not stopped
		r.hasStopped(unix.SIGTTIN)
		if g.given == 0 != typed || r.suspending {
			t.Errorf("stop typed %v: given %d times, suspending %v", typed, g.given, r.suspending)
		}
	}
}

func TestTerminalIsRawBeforeTheCommandStartsAndRestoredWithoutOne(t *testing.T) {
	s := newScreen(t)
	before := s.modes()
	c, err := openConsole(Spec{Stdin: s.slave, Stdout: s.slave, Stderr: s.slave})
	if err != nil {
		t.Fatal(err)
	}
	if !ours(s.modes()) {
		t.Error("not raw")
	}
	c.close()
	if after := s.modes(); after != before {
		t.Errorf("modes before %+v, after %+v", before, after)
	}
}

func TestVanishedTerminalHangsUpTheCommandWithoutTheKernelsHelp(t *testing.T) {
	s := newScreen(t)
	l := driver(t, "sh", "-c", "echo up; exec sleep 100") // no session on that terminal: nobody sends us a HUP
	l.cmd.Stdin, l.cmd.Stdout, l.cmd.Stderr = s.slave, s.slave, s.slave
	l.start()
	s.expect("up")
	s.slave.Close()
	s.hangUp()
	if code, r := l.wait(); code != 129 || r.Exit.Signal != unix.SIGHUP || r.Err != "" {
		t.Errorf("exit %d, %+v", code, r)
	}
}

func TestNobodyToContinueUsSoWeDoNotStop(t *testing.T) {
	s := newScreen(t)
	l := driver(t, "sh", "-c", `(while :; do case $(cut -d' ' -f3 /proc/$$/stat) in T) sleep 0.3; kill -CONT $$; exit;; esac; done) & kill -STOP $$; echo back; exit 3`).on(s)
	s.expect("back")
	if code, r := l.wait(); code != 3 {
		t.Errorf("exit %d, %+v", code, r)
	}
}
