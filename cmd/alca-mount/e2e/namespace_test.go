//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// confined is a world where the namespace launch works; the test is skipped elsewhere.
func confined(t *testing.T, tree ...string) *world {
	t.Helper()
	w := newWorld(t, tree...)
	if r := w.run("-q", "--isolation", "namespace", "--", "true"); r.code != 0 {
		t.Skipf("no namespaces here: %s", r.stderr)
	}
	return w
}

// besieged is a world with all around it that an attack could use, and the attack.
func besieged(t *testing.T) *world {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("the attack is written in Python")
	}
	w := confined(t, victim()...)
	program, err := os.ReadFile("testdata/attack.py")
	must(t, err)
	write(t, filepath.Join(w.dir, "attack.py"), string(program))
	runtime := filepath.Join(w.dir, "run")
	must(t, os.Mkdir(runtime, 0o700))
	abstract := fmt.Sprintf("alca-mount-test-%d", os.Getpid())
	oracle(t, filepath.Join(runtime, "s"))
	oracle(t, "@"+abstract)
	w.env = append(w.env, "STATE="+w.state, "XDG_RUNTIME_DIR="+runtime, "ABSTRACT="+abstract, fmt.Sprintf("HOSTPID=%d", os.Getpid()), fmt.Sprintf("HIDDENINODE=%d", inode(t, filepath.Join(w.project, ".env"))))
	write(t, filepath.Join(w.state, "alca-mount", "note"), secret) // as a kept version might hold one
	w.tmux()
	w.aliases()
	return w
}

// oracle tells the secret to whoever connects.
func oracle(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("unix", address)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(c, secret)
			c.Close()
		}
	}()
}

// tmux starts a server outside, where tmux is.
func (w *world) tmux() {
	if _, err := exec.LookPath("tmux"); err != nil {
		return
	}
	name := fmt.Sprintf("alca-mount-test-%d", os.Getpid())
	socket := fmt.Sprintf("/tmp/tmux-%d/%s", os.Getuid(), name)
	w.tool(nil, "env", "-u", "TMUX", "-u", "TMUX_TMPDIR", "tmux", "-L", name, "-f", "/dev/null", "new-session", "-d", "sleep 600")
	w.t.Cleanup(func() { exec.Command("tmux", "-S", socket, "kill-server").Run(); os.Remove(socket) })
	w.env = append(w.env, "TMUXSOCK="+socket)
}

// aliases lets alca-mount start among mounts that show the project, or the state, by other paths.
func (w *world) aliases() {
	var setup []string
	for i, from := range []string{w.project, filepath.Join(w.project, "secrets"), "", w.state} {
		at := filepath.Join(w.dir, fmt.Sprintf("alias%d", i+1))
		must(w.t, os.Mkdir(at, 0o755))
		w.env = append(w.env, fmt.Sprintf("ALIAS%d=%s", i+1, at))
		if from != "" {
			setup = append(setup, fmt.Sprintf("mount --bind '%s' '%s'", from, at))
		}
	}
	for _, d := range []string{"up", "work"} {
		must(w.t, os.Mkdir(filepath.Join(w.dir, d), 0o755))
	}
	setup = append(setup, fmt.Sprintf("mount -t overlay o -o 'lowerdir=%s,upperdir=%s/up,workdir=%s/work' '%s/alias3'", w.project, w.dir, w.dir, w.dir))
	how := "-m"
	if os.Getuid() != 0 {
		how = "-Urm"
	}
	w.prefix = []string{"unshare", how, "sh", "-c", strings.Join(setup, " && ") + ` && exec "$@"`, "sh"}
}

// held fails for each attempt that broke through, and where there were few.
func held(t *testing.T, out string, least int) {
	t.Helper()
	n := 0
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "BROKE ") {
			t.Error(strings.TrimSpace(line))
		}
		if strings.HasPrefix(line, "held ") {
			n++
		}
	}
	if n < least {
		t.Errorf("%d attempts held, want %d:\n%s", n, least, out)
	}
}

func TestNamespaceHoldsAgainstAttacks(t *testing.T) {
	t.Run("own project", func(t *testing.T) { holds(t, besieged(t)) })
	t.Run("a user's project", func(t *testing.T) {
		root(t)
		w := besieged(t)
		w.tool(nil, "chown", "-R", "12345:12346", w.project)
		holds(t, w)
	})
}

func holds(t *testing.T, w *world) {
	t.Helper()
	w.copyTree(w.project, filepath.Join(w.dir, "was"))
	events := filepath.Join(w.dir, "events")
	r := w.run("-q", "--isolation", "namespace", "--agent", "sh", "--events", events, "--", "python3", filepath.Join(w.dir, "attack.py"))
	if r.code != 0 {
		t.Fatal(r)
	}
	held(t, r.stdout, 80)
	claimed(t, enforced(t, events), r.stdout)
	for _, name := range append(versions(), secret) {
		if len(w.holding(name, w.project)) == 0 {
			t.Errorf("%q is no longer in the project", name)
		}
	}
}

// Without the namespace the same attempts do break through: the test would see it if they held no longer.
func TestAttacksBreakThroughAPlainLaunch(t *testing.T) {
	w := besieged(t)
	events := filepath.Join(w.dir, "events")
	r := w.run("-q", "--isolation", "none", "--agent", "sh", "--events", events, "--", "python3", filepath.Join(w.dir, "attack.py"))
	for _, claim := range enforced(t, events) {
		if attempts(claim) != nil {
			t.Errorf("a plain launch claims %q", claim)
		}
	}
	for _, want := range []string{
		"BROKE by its path: ", "BROKE through the mirror's path: ", "BROKE through a bind alias: ", "BROKE through an alias of a directory in it: ",
		"BROKE through an overlay with it below: ", "BROKE through an alias of the state: ", "BROKE by an abstract socket: ",
		"BROKE by a socket of the runtime directory: ", "BROKE by a process outside: ",
	} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q: the attempt proves nothing", want)
		}
	}
}

// A user's edits reach CMD while it runs, and nothing of what CMD may not change can be changed before, between or after.
func TestNamespaceHoldsWhileTheUserChangesThings(t *testing.T) {
	w := besieged(t)
	in, feed, err := os.Pipe()
	must(t, err)
	defer feed.Close()
	out, said, err := os.Pipe()
	must(t, err)
	defer out.Close()
	events := filepath.Join(w.dir, "events")
	argv := append(slices.Clone(w.prefix), binary, "-q", "--isolation", "namespace", "--agent", "sh", "--sync", "live", "--events", events, "--",
		"python3", filepath.Join(w.dir, "attack.py"), "live")
	c := exec.Command(argv[0], argv[1:]...)
	c.Dir, c.Env, c.Stdin, c.Stdout = w.project, w.env, in, said
	must(t, c.Start())
	in.Close()
	said.Close()
	t.Cleanup(func() { c.Process.Kill() })

	lines := bufio.NewReader(out)
	locked := filepath.Join(w.project, "locked.txt")
	held(t, w.untilDone(lines), 80)
	for i, change := range []struct {
		name string
		do   func(text string)
	}{
		{"edited", func(text string) { write(t, locked, text) }},
		{"edited again", func(text string) { write(t, locked, text) }},
		{"replaced", func(text string) { write(t, locked+"~", text); must(t, os.Rename(locked+"~", locked)) }},
		{"deleted and made again", func(text string) {
			must(t, os.Remove(locked))
			w.until("the deletion", func() bool { return strings.Contains(read(t, events), "delete in mirror") })
			write(t, locked, text)
		}},
		{"its directory replaced", func(text string) {
			write(t, locked, text)
			ro := filepath.Join(w.project, "ro")
			must(t, os.RemoveAll(ro))
			write(t, filepath.Join(ro, "a.txt"), "ro anew")
		}},
	} {
		text := fmt.Sprintf("version %d", i)
		before := countSynced(t, events)
		change.do(text)
		w.until(change.name+" to be synced", func() bool { return countSynced(t, events) > before && strings.HasSuffix(shown(t, events), "}") })
		w.shows(feed, lines, change.name, text)
	}
	feed.Close()
	rest, _ := io.ReadAll(lines)
	must(t, c.Wait())
	held(t, string(rest), 0)
	if strings.Contains(read(t, events), "mode bits only") {
		t.Errorf("protection was lost:\n%s", read(t, events))
	}
}

func shown(t *testing.T, events string) string { return strings.TrimSpace(read(t, events)) }

func countSynced(t *testing.T, events string) int {
	text, err := os.ReadFile(events)
	if err != nil {
		return 0
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, `"to_mirror"`) && strings.Contains(line, `"locked.txt"`) && !strings.Contains(line, "delete") {
			n++
		}
	}
	return n
}

// shows lets the attack go on until CMD sees the text, and fails for what broke through.
func (w *world) shows(feed io.Writer, lines *bufio.Reader, name, text string) {
	w.t.Helper()
	_, err := fmt.Fprintln(feed, name)
	must(w.t, err)
	all := w.untilDone(lines)
	held(w.t, all, 30)
	if !strings.Contains(all, "shows locked.txt="+text) {
		w.t.Errorf("%s: CMD does not see %q:\n%s", name, text, all)
	}
}

// untilDone reads what the attack says of one round.
func (w *world) untilDone(lines *bufio.Reader) string {
	w.t.Helper()
	var all strings.Builder
	for {
		line, err := lines.ReadString('\n')
		all.WriteString(line)
		if err != nil {
			w.t.Fatalf("the attack ended: %v\n%s", err, all.String())
		}
		if strings.TrimSpace(line) == "== done" {
			return all.String()
		}
	}
}
