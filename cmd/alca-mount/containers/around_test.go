//go:build linux

package containers

import (
	"strings"
	"testing"
)

// overlays are the user's to write in, and what they held at first is the host's to keep.
func overlays(t *testing.T, e *engine) {
	p := newProject(t, e, "package.json={}", "package-lock.json=1", "a=1")
	p.mkdir(p.dir + "/node_modules")
	p.write("node_modules/dep", "host")
	o := p.in(`cat node_modules/dep; echo -n agent >node_modules/dep; echo -n new >node_modules/new; echo -n 2 >a`, "--overlay", "node_modules")
	o.wantCode(t, 0)
	o.wantIn(t, o.out, "host")
	p.want("a", "2")
	p.want("node_modules/dep", "host")
	p.want("node_modules/new", "(absent)")
	o = p.in("cat node_modules/dep node_modules/new", "--overlay", "node_modules")
	o.wantIn(t, o.out, "agentnew")
}

// overlayOfImage begins with what the image has at the same path. It is the user's to write in, whoever has it in the image;
// it stays, and another image under the same name is noticed.
func overlayOfImage(t *testing.T, e *engine) {
	const image = "localhost/alca/seeds:test"
	p := newProject(t, e, "a=1", ".alca.toml=image = \""+image+"\"\n[[overlay]]\npath = \"node_modules\"\nseed = \"image\"\non_stale = \"rerun\"\n")
	p.allow()
	run := func(script string) outcome {
		o := p.run(append(e.flags(), "--runtime", e.cli, "--", "sh", "-c", script)...)
		o.wantCode(t, 0)
		return o
	}
	e.load(t, image, busyboxTar(t, "workspace/node_modules/dep=one", "workspace/node_modules/m/f=1"))
	o := run("cat node_modules/dep; echo -n agent >node_modules/dep; echo -n new >node_modules/m/new; ln -s dep node_modules/link; rm node_modules/m/f; echo -n 2 >a")
	o.wantIn(t, o.out, "one")
	p.want("a", "2")
	p.want("node_modules", "(absent)")
	o = run("cat node_modules/link node_modules/m/new; ls node_modules/m")
	o.wantIn(t, o.out, "agentnewnew\n")
	e.load(t, image, busyboxTar(t, "workspace/node_modules/dep=two"))
	o = run("cat node_modules/dep; ls node_modules")
	o.wantIn(t, o.out, "twodep\n")
	o.wantIn(t, o.stderr, "another image")
}

// overlayByCommand fills one by a command that runs as CMD does. One that was killed on its way is never used: not by the
// next launch, and not by what still runs of the last.
func overlayByCommand(t *testing.T, e *engine) {
	p := newProject(t, e, "a=1", ".alca.toml=image = \""+busyboxImage+`"
[[overlay]]
path = ".venv"
command = """[ -e whole ] || { echo >.venv/half; echo -n 1 >started; sleep 1000; }
id -u >.venv/uid; pwd >.venv/at; echo -n home >came"""
`)
	p.allow()
	script := append(e.flags(), "--runtime", e.cli, "--", "sh", "-c", "ls .venv; cat .venv/at; echo >>.venv/uid; [ $(id -u) = $(head -n 1 .venv/uid) ]")
	cmd := p.am(script...)
	p.start(cmd)
	session := p.waitMirror("started", "1")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	p.write("whole", "")
	o := p.run(script...)
	o.wantCode(t, 0)
	o.wantIn(t, o.out, "at\nuid\n/workspace\n")
	if strings.Contains(o.out, "half") {
		t.Errorf("what a killed command left was used:\n%s", o.out)
	}
	p.want("came", "home")
	p.wantOwner("came")
	p.write("came", "mine")
	o = p.run(script...)
	o.wantCode(t, 0)
	p.want("came", "mine") // it was not run again
	p.run("recover", session, "--discard").wantCode(t, 0)
}

// imageOfSnapshot builds an image of a snapshot, and looks for what is hidden in it. Podman's command reads no tar from stdin.
func imageOfSnapshot(t *testing.T, e *engine) {
	if e.cli != "docker" {
		return
	}
	p := newProject(t, e, ".agentignore=.env\nsecrets/\n", ".env=SECRET", "a=1", "d/b=2", "Dockerfile=FROM "+busyboxImage+"\nCOPY . /src\n")
	p.write("secrets/key", "SECRET")
	snapshot := p.run("snapshot", "-")
	snapshot.wantCode(t, 0)
	build := e.command("docker", "build", "-q", "-t", "localhost/alca/snapshot:test", "-")
	build.Stdin = strings.NewReader(snapshot.out)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("docker build: %v\n%s", err, out)
	}
	out, err := e.command("docker", "run", "--rm", "--network", "none", "localhost/alca/snapshot:test", "sh", "-c", "cd /src; find . -type f; grep -r SECRET .").CombinedOutput()
	if !strings.Contains(string(out), "./d/b") {
		t.Errorf("%v: the image lacks the project:\n%s", err, out)
	}
	for _, hidden := range []string{"SECRET", ".env", "secrets", "agentignore"} {
		if strings.Contains(string(out), hidden) {
			t.Errorf("the image has %s:\n%s", hidden, out)
		}
	}
}
