//go:build linux

package plain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// outcome is how a run ended and what it wrote.
type outcome struct {
	exit Exit
	err  error
	out  string
}

// sh runs a script to its end, with what change does to the Spec.
func sh(t *testing.T, script string, change func(*Spec)) outcome {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	spec := Spec{Argv: []string{"sh", "-c", script}, Env: os.Environ(), Stdin: null, Stdout: out, Stderr: out, Grace: patience, Linger: patience}
	if change != nil {
		change(&spec)
	}
	o := outcome{}
	o.exit, o.err = Run(t.Context(), spec)
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	o.out = string(text)
	return o
}

func TestExitCodes(t *testing.T) {
	for script, want := range map[string]Exit{
		"exit 0":        {},
		"exit 7":        {Code: 7},
		"exit 126":      {Code: 126},
		"exit 255":      {Code: 255},
		"kill -TERM $$": {Code: 143, Signal: unix.SIGTERM},
		"kill -KILL $$": {Code: 137, Signal: unix.SIGKILL},
		"kill -INT $$":  {Code: 130, Signal: unix.SIGINT},
	} {
		if o := sh(t, script, nil); o.exit != want || o.err != nil {
			t.Errorf("%s: %+v %v, want %+v", script, o.exit, o.err, want)
		}
	}
}

func TestErrorsTellWhatIsWrongWithTheCommand(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	noInterpreter := write("nointerp", "#!/nowhere/sh\n", 0o755)
	plain := write("plain", "x", 0o644)
	for name, c := range map[string]struct {
		argv0, dir string
		want       error
	}{
		"name that is nowhere":     {"no-such-command-at-all", "", ErrNotFound},
		"empty name":               {"", "", ErrNotFound},
		"path that is nowhere":     {"/no/such/command", "", ErrNotFound},
		"below a file":             {plain + "/x", "", ErrNotFound},
		"file without the bit":     {plain, "", ErrNotExecutable},
		"directory":                {dir, "", ErrNotExecutable},
		"interpreter that is gone": {noInterpreter, "", ErrNotExecutable},
		"no such directory":        {"sh", dir + "/none", fs.ErrNotExist},
		"directory that is a file": {"sh", plain, unix.ENOTDIR},
	} {
		o := sh(t, "", func(s *Spec) { s.Argv, s.Dir = []string{c.argv0, "-c", ":"}, c.dir })
		if !errors.Is(o.err, c.want) {
			t.Errorf("%s: %v, want %v", name, o.err, c.want)
		}
		if c.dir != "" && (errors.Is(o.err, ErrNotFound) || errors.Is(o.err, ErrNotExecutable) || !strings.Contains(o.err.Error(), c.dir)) {
			t.Errorf("%s: %v blames the command", name, o.err)
		}
		if c.dir == "" && !strings.Contains(o.err.Error(), c.argv0) {
			t.Errorf("%s: %v does not name it", name, o.err)
		}
	}
	if _, err := Run(t.Context(), Spec{}); err == nil {
		t.Error("no command: no error")
	}
}

func TestCommandIsLookedForAsAShellInItsDirectoryWould(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"bin", "other", "work/bin", "work/sub"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]fs.FileMode{"bin/tool": 0o755, "other/tool": 0o644, "work/tool": 0o755, "work/bin/tool": 0o755, "work/bare": 0o755} {
		text := "#!/bin/sh\necho " + name + "\n"
		if name == "work/bare" {
			text = "echo bare $1\n" // no interpreter line: the shell's
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ argv0, path, want string }{
		{"tool", dir + "/bin", "bin/tool"},
		{"tool", dir + "/other:" + dir + "/bin", "bin/tool"},
		{"tool", "bin", "work/bin/tool"},
		{"tool", ".", "work/tool"},
		{"tool", "", "work/tool"},
		{"tool", dir + "/none::" + dir + "/bin", "work/tool"},
		{"./tool", dir + "/bin", "work/tool"},
		{"bin/tool", dir + "/bin", "work/bin/tool"},
		{"sub/../../bin/tool", dir + "/bin", "bin/tool"},
		{dir + "/bin/tool", "", "bin/tool"},
		{"./bare", dir, "bare arg"},
	} {
		o := sh(t, "", func(s *Spec) {
			s.Argv, s.Dir, s.Env = []string{c.argv0, "arg"}, filepath.Join(dir, "work"), []string{"PATH=/ignored", "PATH=" + c.path}
		})
		if o.err != nil || strings.TrimSpace(o.out) != c.want {
			t.Errorf("%s in %q: %q %v, want %q", c.argv0, c.path, o.out, o.err, c.want)
		}
	}
	if o := sh(t, "", func(s *Spec) { s.Argv, s.Env = []string{"tool"}, []string{"PATH=" + dir + "/other"} }); !errors.Is(o.err, ErrNotExecutable) {
		t.Errorf("only a match without the bit: %v", o.err)
	}
}

func TestRelativeDirectoryIsFromOurs(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("a/bin", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("a/bin/tool", []byte("#!/bin/sh\nbasename $(pwd)\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if o := sh(t, "", func(s *Spec) { s.Argv, s.Dir = []string{"bin/tool"}, "a" }); o.err != nil || o.out != "a\n" {
		t.Errorf("%q, %v", o.out, o.err)
	}
}

func TestCommandStartsWithDefaultSignalsAndNothingBlocked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "status")
	l := driver(t, "sh", "-c", "grep -E '^Sig(Blk|Ign)' /proc/self/status >"+file).env("PLAIN_TEST_IGNORE=1").start()
	_, r := l.wait()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"; string(text) != want {
		t.Errorf("got %s, want %s", text, want)
	}
	if !r.Ignored {
		t.Error("our own disposition was not put back")
	}
}

func TestSignalsThatOurStarterIgnoresStayIgnored(t *testing.T) {
	if os.Getenv("PLAIN_TEST_NOHUP") == "" {
		cmd := exec.Command("nohup", self(t), "-test.run=^"+t.Name()+"$", "-test.count=1")
		cmd.Env = append(os.Environ(), "PLAIN_TEST_NOHUP=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	if o := sh(t, "kill -HUP $$; exit 3", nil); o.exit.Code != 3 {
		t.Errorf("%+v: HUP was not ignored", o.exit)
	}
}

func TestOnlyTheStreamsAreInherited(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	// As our own parent may leave one open for us: without close-on-exec.
	fd, err := unix.FcntlInt(w.Fd(), unix.F_DUPFD, 50)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if o := sh(t, "", func(s *Spec) { s.Argv = []string{"ls", "/proc/self/fd"} }); o.out != "0\n1\n2\n3\n" { // 3: the directory itself
		t.Errorf("descriptors: %q", o.out)
	}
}

func TestDescriptorsAreMarkedOneByOneOnOldKernels(t *testing.T) {
	fd, err := unix.Open(os.DevNull, unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := closeOnExecOneByOne("/proc/self/fd"); err != nil {
		t.Fatal(err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %x, %v", flags, err)
	}
}

func TestEndOfInputIsDelivered(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		fmt.Fprint(w, "from a pipe")
		w.Close()
	}()
	if o := sh(t, "cat; echo :end", func(s *Spec) { s.Stdin = r }); o.out != "from a pipe:end\n" {
		t.Errorf("got %q", o.out)
	}
}

func TestRunDoesNotWaitForAPipeThatSomebodyElseHolds(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	o := sh(t, "echo said", func(s *Spec) { s.Stdout = w }) // w stays open in this process
	w.Close()
	text, err := io.ReadAll(r)
	if o.err != nil || err != nil || string(text) != "said\n" {
		t.Errorf("%q %v %v", text, o.err, err)
	}
}

func TestContextThatIsDoneStartsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, Spec{Argv: []string{"true"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// said runs a script that reports into a FIFO, and calls then with each line of it.
func said(t *testing.T, script string, change func(*Spec), then func(line string)) outcome {
	t.Helper()
	path := fifo(t)
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = f.SetReadDeadline(time.Now().Add(patience))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var text []byte
		buf := make([]byte, 512)
		for {
			n, err := f.Read(buf)
			text = append(text, buf[:n]...)
			for i := bytes.IndexByte(text, '\n'); i >= 0; i = bytes.IndexByte(text, '\n') {
				then(string(text[:i]))
				text = text[i+1:]
			}
			if err != nil {
				return
			}
		}
	}()
	o := sh(t, script, func(s *Spec) {
		s.Env = append(s.Env, "SAY="+path)
		if change != nil {
			change(s)
		}
	})
	f.Close()
	<-ended
	return o
}

func TestEverySignalReachesTheCommandExactlyAsOftenAsItCame(t *testing.T) {
	const times = 50
	for _, sig := range []unix.Signal{unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGHUP, unix.SIGTERM} {
		signals, told := make(chan os.Signal), 0
		o := said(t, "", func(s *Spec) {
			s.Argv, s.Signals = []string{self(t)}, signals
			s.Env = append(s.Env, tellSignals+"="+strings.TrimPrefix(s.Env[len(s.Env)-1], "SAY="))
		}, func(line string) {
			if line != "up" && line != sig.String() {
				t.Errorf("%v: told %s", sig, line)
			}
			if told++; told <= times { // the next only when this one is told: else the kernel makes one of two
				signals <- sig
			} else if told == times+1 {
				signals <- unix.SIGUSR2
			}
		})
		if o.exit.Code != 11 || told != times+1 {
			t.Errorf("%v: %+v, told %d times of %d", sig, o.exit, told-1, times)
		}
	}
}

func TestSignalGoesToTheWholeGroup(t *testing.T) {
	signals := make(chan os.Signal, 1)
	o := said(t, `sh -c 'trap "exit 5" USR1; echo up >$SAY; while :; do sleep 0.02; done'; echo child $?; exit 6`,
		func(s *Spec) { s.Signals, s.Argv[0] = signals, "bash"; s.Argv[2] = "trap : USR1; " + s.Argv[2] },
		func(string) { signals <- unix.SIGUSR1 })
	if o.exit.Code != 6 || !strings.HasSuffix(o.out, "child 5\n") {
		t.Errorf("%+v %q", o.exit, o.out)
	}
}

func TestCommandIgnoringTERMIsKilledAfterGrace(t *testing.T) {
	for name, sig := range map[string]os.Signal{"TERM": unix.SIGTERM, "HUP": unix.SIGHUP} {
		signals := make(chan os.Signal, 1)
		begin := time.Now()
		o := said(t, `trap '' TERM HUP; echo up >$SAY; while :; do sleep 100; done`,
			func(s *Spec) { s.Signals, s.Grace = signals, 150*time.Millisecond },
			func(string) { begin = time.Now(); signals <- sig })
		if want := (Exit{Code: 137, Signal: unix.SIGKILL, Killed: true}); o.exit.Code != want.Code || !o.exit.Killed || o.err != nil {
			t.Errorf("%s: %+v %v", name, o.exit, o.err)
		}
		if took := time.Since(begin); took < 150*time.Millisecond || took > 5*time.Second {
			t.Errorf("%s: killed after %v", name, took)
		}
	}
}

func TestContextsEndActsLikeTERM(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	null, _ := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	defer null.Close()
	path := fifo(t)
	go func() {
		readFIFO(t, path)
		cancel()
	}()
	exit, err := Run(ctx, Spec{Argv: []string{"sh", "-c", "trap 'exit 9' TERM; echo up >" + path + "; while :; do sleep 0.02; done"},
		Env: os.Environ(), Stdin: null, Stdout: null, Stderr: null, Grace: patience})
	if exit.Code != 9 || err != nil {
		t.Errorf("%+v %v", exit, err)
	}
}

func TestStoppedCommandIsContinuedToEnd(t *testing.T) {
	signals := make(chan os.Signal, 1)
	o := said(t, `(while :; do case $(cut -d' ' -f3 /proc/$$/stat) in T) echo stopped >$SAY; exit;; esac; done) & kill -STOP $$; wait`,
		func(s *Spec) { s.Signals = signals }, func(string) { signals <- unix.SIGTERM })
	if o.exit.Signal != unix.SIGTERM || o.exit.Killed {
		t.Errorf("%+v", o.exit)
	}
}

func TestSignalsAboutOurselvesAreNotPassedOn(t *testing.T) {
	for _, sig := range []unix.Signal{unix.SIGCHLD, unix.SIGURG, unix.SIGWINCH, unix.SIGTSTP, unix.SIGCONT, unix.SIGPIPE} {
		if passedOn(sig) {
			t.Errorf("%v is passed on", sig)
		}
	}
}

func TestClosedSignalsChannelIsNoSignal(t *testing.T) {
	signals := make(chan os.Signal)
	close(signals)
	if o := sh(t, "sleep 0.1; exit 4", func(s *Spec) { s.Signals = signals }); o.exit.Code != 4 {
		t.Errorf("%+v", o.exit)
	}
}

func TestNoDescriptorLeaks(t *testing.T) {
	sh(t, "exit 0", nil)
	before := countFds()
	for range 20 {
		sh(t, "exit 0", nil)
		sh(t, "", func(s *Spec) { s.Argv = []string{"/no/such"} })
	}
	if after := countFds(); after != before {
		t.Errorf("%d descriptors, before %d", after, before)
	}
}

func TestRunDoesNotTakeSignalsFromTheProgram(t *testing.T) {
	own := make(chan os.Signal, 1)
	signal.Notify(own, unix.SIGUSR1)
	defer signal.Stop(own)
	sh(t, "exit 0", nil)
	if err := unix.Kill(os.Getpid(), unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	select {
	case <-own:
	case <-time.After(patience):
		t.Error("our own signal did not come")
	}
}
