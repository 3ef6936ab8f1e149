//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestNamespaceIsTheProjectsOwnPath(t *testing.T) {
	w := confined(t, "a.txt=a", "sub/b.txt=b")
	r := w.expect(0, "-q", "--isolation", "namespace", "--", "sh", "-c", `pwd; echo "$PWD"; cat "$ALCA_MOUNT_PROJECT/a.txt"; echo "$ALCA_MOUNT"; echo new > new.txt`)
	if want := w.project + "\n" + w.project + "\na\n1\n"; r.stdout != want {
		t.Errorf("got %q, want %q", r.stdout, want)
	}
	if got := read(t, filepath.Join(w.project, "new.txt")); got != "new\n" {
		t.Errorf("new.txt = %q", got)
	}
	r = w.expect(0, "-q", "-C", filepath.Join(w.project, "sub"), "--isolation", "namespace", "--", "pwd")
	if r.stdout != w.project+"/sub\n" {
		t.Errorf("in a subdirectory: %v", r)
	}
}

func TestNamespaceKeepsExitCodesAndSignals(t *testing.T) {
	w := confined(t, "a=1", "plain=not a program", "script!755=echo ran $1")
	for _, c := range []struct {
		code int
		argv []string
	}{
		{7, []string{"sh", "-c", "exit 7"}},
		{137, []string{"sh", "-c", "kill -9 $$"}},
		{143, []string{"sh", "-c", "kill $$"}},
		{127, []string{"no-such-command-here"}},
		{127, []string{"./nothing"}},
		{126, []string{"./plain"}},
		{126, []string{"./"}},
	} {
		if r := w.run(append([]string{"-q", "--isolation", "namespace", "--"}, c.argv...)...); r.code != c.code {
			t.Errorf("%q: want exit %d, got %v", c.argv, c.code, r)
		}
	}
	if r := w.expect(0, "-q", "--isolation", "namespace", "--", "./script", "well"); r.stdout != "ran well\n" {
		t.Errorf("a script without an interpreter line: %v", r)
	}
	_, wait := w.gated()
	run := w.start("-q", "--isolation", "namespace", "--", "sh", "-c", "trap 'echo got; exit 9' TERM; "+wait)
	w.appears(filepath.Join(w.dir, "at"))
	run.signal(syscall.SIGTERM)
	if r := run.wait(); r.code != 9 || r.stdout != "got\n" {
		t.Errorf("TERM: %v", r)
	}
}

// What CMD leaves behind ends before the last sync, also when it has moved into a session of its own; and nothing outlives us.
func TestNamespaceEndsWhatIsLeft(t *testing.T) {
	w := confined(t, "a=1")
	script := `setsid sh -c 'trap "" TERM HUP; while :; do date > late; sleep 0.01; done' >/dev/null 2>&1 & sleep 0.1`
	w.expect(0, "-q", "--isolation", "namespace", "--grace", "100ms", "--", "sh", "-c", script)
	was := read(t, filepath.Join(w.project, "late"))
	w.noMirrorLeft()
	if now := read(t, filepath.Join(w.project, "late")); now != was {
		t.Errorf("somebody still writes: %q, then %q", was, now)
	}
	mark := fmt.Sprintf("%d", 100000+os.Getpid())
	_, wait := w.gated()
	run := w.start("-q", "--isolation", "namespace", "--", "sh", "-c", "sleep "+mark+" & "+wait)
	w.appears(filepath.Join(w.dir, "at"))
	run.signal(syscall.SIGKILL)
	run.wait()
	w.until("the end of all processes", func() bool {
		return len(w.tool([]int{0, 1}, "pgrep", "-f", "^sleep "+mark+"$")) == 0
	})
}

func TestNamespaceHidesWhatIsAskedFor(t *testing.T) {
	w := confined(t, "a=1")
	write(t, filepath.Join(w.home, ".ssh/id"), secret)
	write(t, filepath.Join(w.home, "token"), secret)
	r := w.expect(0, "-q", "--isolation", "namespace", "--hide", filepath.Join(w.home, ".ssh"), "--hide", filepath.Join(w.home, "token"), "--no-network", "--",
		"sh", "-c", `cat ~/.ssh/id ~/token 2>/dev/null; ls /sys/class/net 2>/dev/null >/dev/null; cut -d: -f1 /proc/net/dev | tail -n +3 | tr -d ' '`)
	if strings.Contains(r.stdout, secret) || strings.TrimSpace(r.stdout) != "lo" {
		t.Errorf("want nothing but the loopback interface: %v", r)
	}
	w.expect(125, "--isolation", "none", "--no-network", "--", "true")
	w.expect(125, "--isolation", "namespace", "--hide", filepath.Join(w.home, "absent"), "--", "true")
}

// The folder in which read-only versions go to a namespace is left by a kill; a kept session goes on all the same.
func TestNamespaceAfterOneThatWasKilled(t *testing.T) {
	w := confined(t, "a=1", "ro=1", ".agentreadonly=ro")
	w.create("--name", "kept")
	shown := filepath.Join(w.onlySession().Folder, "ro")
	plant(t, shown, "left=over")
	w.expect(0, "-q", "--name", "kept", "--isolation", "namespace", "--", "grep", "-q", "1", "ro")
	if _, err := os.Lstat(shown); err == nil {
		t.Error("it is left")
	}
}

func TestNamespaceSaysOnceWhatCannotBeRun(t *testing.T) {
	w := confined(t, "a=1")
	r := w.expect(126, "-q", "--isolation", "namespace", "--", "/etc/passwd")
	if strings.Count(r.stderr, "not executable") != 1 || !strings.Contains(r.stderr, "/etc/passwd") {
		t.Error(r)
	}
}

func TestNamespaceConfinesWrites(t *testing.T) {
	w := confined(t, "a=1")
	must(t, os.Mkdir(filepath.Join(w.home, ".claude"), 0o755))
	w.env = slices.DeleteFunc(w.env, func(e string) bool { return strings.HasPrefix(e, "TMPDIR=") })
	w.watchOutside()
	r := w.run("-q", "--isolation", "namespace", "--confine-writes", "--", "sh", "-c",
		`echo 1 > ~/.bashrc; echo 1 > "$OUTSIDE/target.txt"; rm "$OUTSIDE/target.txt"; echo own > ~/.claude/x && echo in > b && mkdir d && mv b d/ && echo null > /dev/null && mktemp`)
	if r.code == 125 && strings.Contains(r.stderr, "Landlock") {
		t.Skip(r.stderr)
	}
	if r.code != 0 || read(t, filepath.Join(w.project, "d/b")) != "in\n" || read(t, filepath.Join(w.home, ".claude/x")) != "own\n" {
		t.Error(r)
	}
	os.Remove(strings.TrimSpace(r.stdout))
	if _, err := os.Lstat(filepath.Join(w.home, ".bashrc")); err == nil && strings.HasPrefix(w.home, "/tmp/") == false {
		t.Error("~/.bashrc was written")
	}
	if !strings.HasPrefix(w.outside, "/tmp/") {
		w.outsideUntouched()
	}
}

func TestNamespaceAllowsASocket(t *testing.T) {
	w := confined(t, "a=1")
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("needs python3")
	}
	dir := filepath.Join(w.dir, "run")
	must(t, os.Mkdir(dir, 0o700))
	oracle(t, filepath.Join(dir, "s"))
	w.env = append(w.env, "XDG_RUNTIME_DIR="+dir)
	ask := []string{"python3", "-c", `import socket,os; s=socket.socket(socket.AF_UNIX); s.connect(os.environ["XDG_RUNTIME_DIR"]+"/s"); print(s.recv(99))`}
	if r := w.run(append([]string{"-q", "--isolation", "namespace", "--"}, ask...)...); r.code == 0 {
		t.Errorf("the socket is not hidden: %v", r)
	}
	r := w.expect(0, append([]string{"-q", "--isolation", "namespace", "--allow-socket", dir + "/s", "--"}, ask...)...)
	if !strings.Contains(r.stdout, secret) {
		t.Errorf("the socket that was allowed does not answer: %v", r)
	}
}

// The terminal is CMD's own: known by its name, with a shell's job control for programs that stop themselves.
func TestNamespaceTerminal(t *testing.T) {
	w := confined(t, "a=1")
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("needs tmux")
	}
	name := fmt.Sprintf("alca-mount-term-%d", os.Getpid())
	tmux := func(args ...string) string {
		return w.tool([]int{0, 1}, "tmux", append([]string{"-L", name, "-f", "/dev/null"}, args...)...)
	}
	env := []string{"new-session", "-d", "-x", "90", "-y", "30"}
	for _, e := range w.env {
		env = append(env, "-e", e)
	}
	tmux(append(env, "-c", w.project, "bash", "--norc", "--noprofile")...)
	t.Cleanup(func() { tmux("kill-server") })
	screen := func() string { return tmux("capture-pane", "-p") }
	shows := func(what string) {
		t.Helper()
		for end := time.Now().Add(patience); !strings.Contains(screen(), what); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("no %q on the screen:\n%s", what, screen())
			}
		}
	}
	typed := func(keys ...string) { tmux(append([]string{"send-keys"}, keys...)...) }
	typed("unset HISTFILE; PS1='outside> '; clear", "Enter")
	shows("outside>")
	typed(binary+" -q --isolation namespace -- bash --norc --noprofile", "Enter")
	shows("bash")
	typed("PS1='in''side> '; clear; tty; stty size", "Enter")
	shows("/dev/pts/")
	shows("30 90")
	tmux("resize-window", "-x", "77", "-y", "25")
	typed("clear; until stty size | grep '25 77'; do :; done", "Enter") // it gets there by signals
	shows("25 77")
	typed("clear; sh -c 'echo sl\"\"eeps; exec sleep 1000'", "Enter")
	shows("sleeps")
	typed("C-c")
	typed("echo code $?", "Enter")
	shows("code 130")
	typed("clear; sh -c 'echo st\"\"ill; exec sleep 999'", "Enter")
	shows("still")
	typed("C-z")
	shows("Stopped")
	typed("clear; kill %1; exit", "Enter", "exit", "Enter")
	shows("outside>")

	// less cleans up and stops itself: our shell has to see it, and fg has to bring it back.
	write(t, filepath.Join(w.project, "page"), strings.Repeat("a line of text\n", 200))
	typed("clear; "+binary+" -q --isolation namespace -- less page", "Enter")
	shows("a line of text")
	// A stop that comes between less's look for one and its read waits for the next key: less's own race.
	tries := 0
	w.until("less to stop", func() bool {
		typed("C-z")
		time.Sleep(300 * time.Millisecond)
		return strings.Contains(screen(), "Stopped")
	})
	// A second key that came while less was about to stop stops it again at once: less's own race, too.
	w.until("less to come back", func() bool {
		tries++
		typed(fmt.Sprintf("clear; echo tr''y%d; fg", tries), "Enter")
		back := false
		w.until("less to go on or to stop", func() bool {
			now := screen()
			back = strings.Contains(now, "a line of text")
			return back || strings.Contains(now, fmt.Sprintf("try%d", tries)) && strings.Contains(now, "Stopped")
		})
		return back
	})
	typed("q")
	shows("outside>")

	typed("clear; "+binary+" -q --isolation namespace -- sh -c 'stty raw -echo; kill -9 $$'; echo 'en'ded $?", "Enter")
	shows("ended 137")
	cooked := func() {
		t.Helper()
		typed("clear; stty -a | grep -o ' icanon.* echo '", "Enter")
		shows(" icanon")
	}
	cooked()

	// Nobody can clean up after a kill -9 of our own: the program goes with its namespace, and the shell has its terminal.
	mark := fmt.Sprint(200000 + os.Getpid())
	typed("clear; "+binary+" -q --isolation namespace -- sh -c 'stty raw -echo; echo pre\"\"pared; exec sleep "+mark+"'; echo 'en'ded $?", "Enter")
	shows("prepared")
	ours := strings.Fields(w.tool(nil, "pgrep", "-f", "^"+binary+" .*exec sleep "+mark))
	w.tool(nil, "kill", append([]string{"-9"}, ours...)...)
	shows("ended 137")
	cooked()
	w.until("the end of the program", func() bool { return w.tool([]int{0, 1}, "pgrep", "-f", "^sleep "+mark+"$") == "" })
}

// TestNamespaceStartsFast allows much more than what is meant, because the machine may be busy.
func TestNamespaceStartsFast(t *testing.T) {
	if testing.Short() {
		t.Skip("a measurement")
	}
	w := confined(t, "a=1", ".agentreadonly=a")
	least := func(isolation string) time.Duration {
		best := time.Hour
		for range count(5, 30) {
			began := time.Now()
			w.expect(0, "-q", "--isolation", isolation, "--", "true")
			best = min(best, time.Since(began))
		}
		return best
	}
	plain, namespace := least("none"), least("namespace")
	t.Logf("plain %v, namespace %v", plain, namespace)
	if namespace > plain+300*time.Millisecond {
		t.Errorf("a namespace takes %v more", namespace-plain)
	}
}
