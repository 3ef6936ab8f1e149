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
