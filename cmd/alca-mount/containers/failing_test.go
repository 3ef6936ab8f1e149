//go:build linux

package containers

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// killedOverlay is a launch in no container after one in a container that was killed, both with the same overlay: what still
// runs of the first must not write to it.
func killedOverlay(t *testing.T, e *engine) {
	p := newProject(t, e, "a=1", "b=1")
	cmd := p.am(p.args(busyboxImage, "echo -n agent >b; while :; do date >>node_modules/tick; usleep 20000; done", "--overlay", "node_modules")...)
	p.start(cmd)
	p.waitMirror("b", "agent")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if left := e.containers(t); left == "" {
		t.Error("the container died with alca-mount: there is nothing to test")
	}
	o := p.run("--isolation", "none", "--overlay", "node_modules", "--", "true")
	o.wantCode(t, 0)
	if left := e.containers(t); left != "" {
		t.Errorf("after the next launch: %s\n%s", left, o.stderr)
	}
	o.wantIn(t, o.stderr, "ended the container of session")
}

// cantBegin is a launch whose container can't be made: nothing of it stays, and nothing was changed.
func cantBegin(t *testing.T, e *engine) {
	p := newProject(t, e, "a=1", ".alca.toml=image = \""+busyboxImage+"\"\n[caps]\nadd = [\"NO_SUCH\"]\n")
	p.allow()
	o := p.in("echo -n 2 >a")
	o.wantCode(t, 125)
	o.wantIn(t, o.stderr, "container")
	p.want("a", "1")
	if left := e.containers(t); left != "" {
		t.Errorf("containers are left: %s", left)
	}
	if left := p.sessions(); len(left) > 0 {
		t.Errorf("sessions are left: %v\n%s", left, o.stderr)
	}
}

// cantStay is a container that nobody could find again, since where it is could not be noted.
func cantStay(t *testing.T, e *engine) {
	p := newProject(t, e, "a=1", ".alca.toml=image = \""+busyboxImage+"\"\n[commands]\nup = \"echo -n 2 >a; echo >began; while [ ! -e go ]; do usleep 10000; done\"\n")
	p.allow()
	cmd := p.am(append([]string{"up"}, p.flags()...)...)
	done := make(chan outcome, 1)
	go func() { done <- p.finish(cmd) }()
	session := ""
	for deadline := time.Now().Add(patience); session == "" && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if found, _ := filepath.Glob(filepath.Join(p.state, "alca-mount/*/sessions/*/mirror/began")); len(found) == 1 {
			session = filepath.Dir(filepath.Dir(found[0]))
		}
	}
	if session == "" {
		t.Fatal("commands.up did not begin")
	}
	if err := os.MkdirAll(session+"/stay.json/in the way", 0o755); err != nil {
		t.Fatal(err)
	}
	p.write("go", "")
	o := <-done
	o.wantCode(t, 125)
	o.wantIn(t, o.stderr, "stay.json")
	p.want("a", "2")
	if left := e.containers(t); left != "" {
		t.Errorf("containers are left: %s", left)
	}
}

// staleOverlay is an overlay whose lock file is another one by now.
func staleOverlay(t *testing.T, e *engine) {
	p := newProject(t, e, "lock=1")
	run := func(onStale string) outcome {
		p.write(".alca.toml", "[[overlay]]\npath = \"node_modules\"\nseed = \"empty\"\nlock = [\"lock\"]\non_stale = \""+onStale+"\"\n")
		return p.in("echo ran; ls node_modules; echo >node_modules/of-" + onStale)
	}
	run("fail").wantCode(t, 0)
	p.write("lock", "2")
	o := run("fail")
	o.wantCode(t, 125)
	o.wantIn(t, o.stderr, "alca-mount overlays refresh node_modules")
	if o.out != "" {
		t.Errorf("CMD ran: %q", o.out)
	}
	o = run("warn")
	o.wantCode(t, 0)
	o.wantIn(t, o.stderr, "alca-mount overlays refresh node_modules")
	if o.out != "ran\nof-fail\n" {
		t.Errorf("after a warning CMD saw %q", o.out)
	}
	o = run("rerun")
	o.wantCode(t, 0)
	o.wantIn(t, o.stderr, "seeded anew")
	if o.out != "ran\n" {
		t.Errorf("seeded anew, CMD saw %q", o.out)
	}
	if o = run("rerun"); o.out != "ran\nof-rerun\n" {
		t.Errorf("of what was seeded for the file of now, CMD saw %q", o.out)
	}
}
