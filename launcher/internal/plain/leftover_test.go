//go:build linux

package plain

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// children counts the processes that this one has left, dead or alive.
func children(t *testing.T) []proc {
	t.Helper()
	k := &kin{self: os.Getpid()}
	list, err := k.children()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestNothingThatOutlivesTheCommandIsLeft(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		left   int
	}{
		"background":        {"sleep 100 & exit 3", 1},
		"own session":       {"setsid sleep 100 & exit 3", 1},
		"double fork":       {"(setsid sh -c 'sleep 100 & sleep 100 & exit' &) ; sleep 0.1; exit 3", 2},
		"ignores TERM":      {"(trap '' TERM HUP INT; setsid sh -c 'while :; do sleep 1; done' &); sleep 0.1; exit 3", 1},
		"without environ":   {"env -i setsid sleep 100 & exit 3", 1},
		"stopped":           {"sleep 100 & kill -STOP $!; exit 3", 1},
		"chain, one by one": {"setsid sh -c 'sleep 100; :' & sleep 0.1; exit 3", 2},
	} {
		o := sh(t, c.script, func(s *Spec) { s.Linger, s.Grace = 0, 100*time.Millisecond })
		if o.exit.Code != 3 || o.err != nil || o.exit.Left < c.left {
			t.Errorf("%s: %+v %v, want %d left", name, o.exit, o.err, c.left)
		}
		if list := children(t); len(list) != 0 {
			t.Errorf("%s: left %+v", name, list)
		}
	}
}

func TestWhatEndsByItselfInTimeIsWaitedFor(t *testing.T) {
	file := filepath.Join(t.TempDir(), "written")
	o := sh(t, "setsid sh -c 'sleep 0.3; echo late >"+file+"' & exit 0", nil)
	if text, err := os.ReadFile(file); err != nil || string(text) != "late\n" {
		t.Errorf("%q %v", text, err)
	}
	if o.exit.Left != 0 || o.err != nil {
		t.Errorf("%+v %v", o.exit, o.err)
	}
}

func TestSignalEndsTheWaitForLeftovers(t *testing.T) {
	for _, sig := range []os.Signal{unix.SIGINT, unix.SIGTERM} {
		signals := make(chan os.Signal, 1)
		begin := time.Now()
		o := said(t, "setsid sh -c 'while kill -0 '$$' 2>/dev/null; do :; done; echo orphaned >$SAY; exec sleep 100' & exit 2",
			func(s *Spec) { s.Signals, s.Linger = signals, time.Hour }, func(string) { signals <- sig })
		if o.exit.Code != 2 || o.exit.Left != 1 || time.Since(begin) > patience {
			t.Errorf("%v: %+v", sig, o.exit)
		}
	}
}

func TestOtherChildrenOfTheProgramAreLeftAlone(t *testing.T) {
	start := func(attr *unix.SysProcAttr) *exec.Cmd {
		cmd := exec.Command("sleep", "100")
		cmd.SysProcAttr = attr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	earlier := []*exec.Cmd{start(nil), start(&unix.SysProcAttr{Setsid: true})}
	var during []*exec.Cmd
	goOn := fifo(t)
	o := said(t, "echo up >$SAY; read x <$GO; sleep 100 & exit 0", func(s *Spec) {
		s.Linger, s.Mark = 0, "PLAIN_MARK=this"
		s.Env = append(s.Env, s.Mark, "GO="+goOn)
	}, func(string) {
		during = append(during, start(nil), start(&unix.SysProcAttr{Setsid: true}), start(&unix.SysProcAttr{Setpgid: true}))
		if err := os.WriteFile(goOn, []byte("go\n"), 0); err != nil {
			t.Error(err)
		}
	})
	for i, cmd := range append(earlier, during...) {
		if err := cmd.Process.Signal(unix.Signal(0)); err != nil {
			t.Errorf("child %d: %v", i, err)
		}
		if p, err := readProc(cmd.Process.Pid); err != nil || p.state == 'Z' {
			t.Errorf("child %d was ended: %+v %v", i, p, err)
		}
		_ = cmd.Process.Kill()
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Errorf("child %d: %v", i, err)
		}
	}
	if o.exit.Left != 1 {
		t.Errorf("%+v", o.exit)
	}
}

func TestOrphansAreReapedWhileTheCommandRuns(t *testing.T) {
	// Each leaves a process whose parent ends first; it then ends as our child. The command waits until they are gone from /proc.
	script := `for i in 1 2 3; do (sh -c 'echo $$ >&3; sleep 0.1' 3>>$D/pids &) ; done
		sleep 0.3; for i in $(seq 400); do n=0; for p in $(cat $D/pids); do [ -e /proc/$p ] && n=1; done; [ $n = 0 ] && exit 0; sleep 0.05; done; exit 1`
	dir := t.TempDir()
	if o := sh(t, script, func(s *Spec) { s.Env = append(s.Env, "D="+dir) }); o.exit.Code != 0 {
		t.Errorf("dead orphans stay: %+v", o.exit)
	}
}

func TestSubreaperIsPutBack(t *testing.T) {
	sh(t, "exit 0", nil)
	var now int32
	if err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&now)), 0, 0, 0); err != nil || now != 0 {
		t.Errorf("subreaper %d, %v", now, err)
	}
}

func TestTwoCommandsAtOnceKeepTheirOrphansApart(t *testing.T) {
	first, goOn := fifo(t), fifo(t)
	ended := make(chan outcome, 1)
	go func() {
		ended <- sh(t, "setsid sleep 100 & echo $! up >"+first+"; read x <"+goOn+"; kill -0 $! && exit 21", func(s *Spec) {
			s.Mark, s.Linger = "PLAIN_MARK=first", 0
			s.Env = append(s.Env, s.Mark)
		})
	}()
	readFIFO(t, first)
	if o := sh(t, "setsid sleep 100 & exit 0", func(s *Spec) {
		s.Mark, s.Linger = "PLAIN_MARK=second", 0
		s.Env = append(s.Env, s.Mark)
	}); o.exit.Left != 1 || o.err != nil {
		t.Errorf("second: %+v %v", o.exit, o.err)
	}
	if err := os.WriteFile(goOn, []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
	if o := <-ended; o.exit.Code != 21 || o.exit.Left != 1 {
		t.Errorf("first: %+v %v %s", o.exit, o.err, o.out)
	}
}

func TestOwnsDecides(t *testing.T) {
	k := &kin{command: 50, self: 10, group: 9, sid: 8, mark: []byte("M=1"), before: map[int]uint64{60: 5}, seen: map[int]uint64{61: 5}}
	yes, no := func(int) bool { return true }, func(int) bool { return false }
	for name, c := range map[string]struct {
		p      proc
		marked func(int) bool
		want   bool
	}{
		"marked":                   {proc{pid: 70, parent: 10, group: 70, sid: 70}, yes, true},
		"unmarked":                 {proc{pid: 70, parent: 10, group: 70, sid: 70}, no, false},
		"not our child":            {proc{pid: 70, parent: 1, group: 70, sid: 70}, yes, false},
		"the command itself":       {proc{pid: 50, parent: 10, group: 50, sid: 50}, yes, false},
		"there before":             {proc{pid: 60, parent: 10, group: 60, sid: 60, started: 5}, yes, false},
		"that pid, given again":    {proc{pid: 60, parent: 10, group: 60, sid: 60, started: 6}, yes, true},
		"in our group":             {proc{pid: 70, parent: 10, group: 9, sid: 8}, yes, false},
		"in the command's session": {proc{pid: 70, parent: 10, group: 70, sid: 50}, no, true},
		"in the command's group":   {proc{pid: 70, parent: 10, group: 50, sid: 8}, no, true},
		"known, now a zombie":      {proc{pid: 61, parent: 10, group: 61, sid: 61, started: 5}, no, true},
	} {
		if got := k.owns(c.p, c.marked); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	k.mark = nil
	if !k.owns(proc{pid: 70, parent: 10, group: 70, sid: 70}, no) {
		t.Error("without a mark: a new child is not the command's")
	}
}

func TestLeftoversAreAskedOnceThenKilled(t *testing.T) {
	l := limitsOf(time.Second, 500*time.Millisecond)
	for at, want := range map[time.Duration]unix.Signal{0: 0, 999 * time.Millisecond: 0, time.Second: unix.SIGTERM, 1499 * time.Millisecond: unix.SIGTERM, 1500 * time.Millisecond: unix.SIGKILL} {
		if got := l.due(at, false); got != want {
			t.Errorf("after %v: %v, want %v", at, got, want)
		}
	}
	if l.due(1200*time.Millisecond, true) != 0 {
		t.Error("asked twice")
	}
	h := l.hurried(200 * time.Millisecond)
	if h.due(200*time.Millisecond, false) != unix.SIGTERM || h.force != 700*time.Millisecond {
		t.Errorf("hurried: %+v", h)
	}
}

func TestParseStatOfHostileNames(t *testing.T) {
	for _, name := range []string{"sh", "a b", ") R 1 1 1", "((", ")"} {
		line := fmt.Sprintf("7 (%s) S 10 11 12 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 12345 99\n", name)
		p, err := parseStat(7, []byte(line))
		if want := (proc{pid: 7, parent: 10, group: 11, sid: 12, state: 'S', started: 12345}); err != nil || p != want {
			t.Errorf("%q: %+v %v", name, p, err)
		}
	}
	if _, err := parseStat(7, []byte("7 (sh) S 1")); err == nil {
		t.Error("a short line is no error")
	}
}

func TestStoppedLeftoverIsContinuedToEnd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "asked")
	script := `setsid sh -c 'trap "echo asked >$F; exit" TERM; kill -STOP $$; while :; do sleep 0.02; done' &
		while :; do case $(cut -d' ' -f3 /proc/$!/stat) in T) exit 3;; esac; done`
	o := sh(t, script, func(s *Spec) { s.Linger, s.Env = 0, append(s.Env, "F="+file) })
	if text, err := os.ReadFile(file); err != nil || string(text) != "asked\n" {
		t.Errorf("%+v: %q %v", o.exit, text, err)
	}
}
