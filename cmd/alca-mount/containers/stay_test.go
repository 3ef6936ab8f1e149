//go:build linux

package containers

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// up starts a container that stays, and ends it with the test.
func (p *project) up(more ...string) outcome {
	p.t.Helper()
	p.t.Cleanup(func() { _ = p.am("down").Run() })
	return p.run(append(append([]string{"up"}, p.flags()...), more...)...)
}

func (p *project) sessions() []string {
	left, _ := filepath.Glob(filepath.Join(p.state, "alca-mount/*/sessions/*"))
	return left
}

// only is the only session, and the process that has it.
func (p *project) only() (session string, pid int) {
	p.t.Helper()
	var list []struct {
		Session string
		PID     int
	}
	o := p.run("ls", "--json")
	if err := json.Unmarshal([]byte(o.out), &list); err != nil || len(list) != 1 {
		p.t.Fatalf("ls: %v\n%s", err, o.out)
	}
	return list[0].Session, list[0].PID
}

func stays(t *testing.T, e *engine) {
	p := newProject(t, e, ".agentignore=.env\n", ".env=SECRET", "a=1", "d/x=1")
	o := p.run("exec", "--", "true")
	o.wantCode(t, 125)
	o.wantIn(t, o.stderr, "nothing is up")
	p.up().wantCode(t, 0)

	// Nothing is waited for: what changed is carried before CMD starts, and before exec returns.
	p.write("in", "host")
	o = p.run("exec", "--env", "SET=x y", "--", "sh", "-c", `cat .env; cat in; echo " $SET"; echo -n 2 >a; echo -n m >made; rm d/x; exit 7`)
	o.wantCode(t, 7)
	if o.out != "host x y\n" {
		t.Errorf("exec said %q", o.out)
	}
	p.want("a", "2")
	p.want("made", "m")
	p.want("d/x", "(absent)")
	p.wantOwner("made")
	p.run("exec", "--", "no-such-command").wantCode(t, 127)
	cmd := p.am("exec", "--", "sh", "-c", "cat; echo end >&2")
	cmd.Stdin = strings.NewReader("piped")
	if o := p.finish(cmd); o.out != "piped" || o.stderr != "end\n" {
		t.Errorf("stdin: %+v", o)
	}
	drive(t, p, p.am("exec", "-q", "--", "sh", "-c", terminalScript))

	cmd = p.am("exec", "--", "sh", "-c", `trap 'echo -n term >got; exit 9' TERM; echo -n up >up; while :; do sleep .1; done`)
	p.start(cmd)
	p.eventually("up", "up")
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 9 {
		t.Errorf("exit %d, want 9", code)
	}
	p.want("got", "term")

	o = p.up()
	o.wantCode(t, 0)
	o.wantIn(t, o.stderr, "already up")
	o = p.up("--env", "A=new", "--exclude", "in")
	o.wantCode(t, 125)
	o.wantIn(t, o.stderr, "env: changed")
	o.wantIn(t, o.stderr, "rules: ")
	p.up("-y", "--env", "A=new", "--exclude", "in").wantCode(t, 0)
	o = p.run("exec", "--", "sh", "-c", "echo $A; cat in; echo -n 3 >.env; echo -n 3 >a")
	if o.out != "new\n" {
		t.Errorf("after starting anew: %q", o.out)
	}
	o = p.run("down")
	o.wantCode(t, 0)
	o.wantIn(t, o.stderr, "orphans: 1")
	p.want("a", "3")
	p.want(".env", "SECRET")
	if left := e.containers(t); left != "" {
		t.Errorf("after down: %s", left)
	}
	o = p.run("down")
	o.wantCode(t, 0)
	o.wantIn(t, o.stderr, "nothing is up")
}

// staysKilled is the sudden death of the process that looks after a container.
func staysKilled(t *testing.T, e *engine) {
	p := newProject(t, e, "a=1")
	p.up("-q").wantCode(t, 0)
	session, pid := p.only()
	if pid <= 1 {
		t.Fatalf("session %s is held by process %d", session, pid)
	}
	cmd := p.am("exec", "--", "sh", "-c", "echo -n up >up; while [ ! -e late ]; do usleep 10000; done")
	p.start(cmd)
	p.eventually("up", "up")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); pid != 0 && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		_, pid = p.only()
	}
	if e.containers(t) == "" {
		t.Error("the container died with the process: there is nothing to test")
	}
	mirror := filepath.Join(p.sessions()[0], "mirror")
	write(t, mirror+"/work", "agent")
	own(t, mirror+"/work", e.user)
	p.run("recover", session, "--apply").wantCode(t, 0)
	if t.Failed() {
		return
	}
	_ = cmd.Wait()
	p.want("work", "agent")
	if left := e.containers(t); left != "" {
		t.Errorf("after recover: %s", left)
	}
	p.up("-q").wantCode(t, 0)
	p.run("down").wantCode(t, 0)
}
