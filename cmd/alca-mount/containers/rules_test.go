//go:build linux

package containers

import (
	"fmt"
	"path/filepath"
	"testing"
)

// home is CMD's: the image's for a user whom it knows, and else one that can be written and is not in the project.
func home(t *testing.T, e *engine) {
	p := newProject(t, e, "a=1")
	want := "/tmp"
	if e.user.Uid == "0" {
		want = "/root"
	}
	for range 2 { // the second time, it is known
		o := p.in(`echo "$HOME"; cd && echo -n x >.history && cat .history`)
		o.wantCode(t, 0)
		o.wantIn(t, o.out, want+"\nx")
	}
	p.want(".history", "(absent)")
	o := p.in(`echo "$HOME"`, "--env", "HOME=/srv")
	o.wantIn(t, o.out, "/srv\n")
}

// documented is the configuration that the documentation shows, with paths of this machine.
func documented(t *testing.T, e *engine) {
	p := newProject(t, e, "a=1", "node_modules/dep=host", "dist/out=host", ".git/config=host")
	base := filepath.Dir(p.dir)
	p.mkdir(base + "/data")
	p.mkdir(base + "/data/secrets")
	for _, name := range []string{"x", ".env.prod", "secrets/key"} {
		p.write("../data/"+name, "SECRET")
	}
	p.write(".alca.toml", fmt.Sprintf(`image = %q
runtime = "auto"
workdir = "/workspace"
workdir_exclude = ["node_modules", ".git", "dist"]

[[mounts]]
source = %q
target = "/data"
readonly = false
exclude = ["**/.env.prod", "**/secrets/"]
`, busyboxImage, base+"/data"))
	args := append(e.flags(), "--runtime", e.cli, "--", "sh", "-c", `pwd; ls -A . /data; echo -n 2 >a; echo -n 3 >/data/x; echo -n 4 >/data/new`)
	o := p.run(args...)
	o.wantCode(t, 125)
	o.wantIn(t, o.stderr, "readable and writable for the command, as /data")
	p.allow()
	o = p.run(args...)
	o.wantCode(t, 0)
	if want := "/workspace\n.:\n.alca-mount\n.alca.toml\n_MOUNT_README.md\na\n\n/data:\n.alca-mount\n_MOUNT_README.md\nx\n"; o.out != want {
		t.Errorf("inside there was\n%swant\n%s", o.out, want)
	}
	for name, content := range map[string]string{"a": "2", "../data/x": "3", "../data/new": "4", "../data/secrets/key": "SECRET", "node_modules/dep": "host"} {
		p.want(name, content)
	}
	p.wantOwner("../data/new")
}

// waits is what does not cross by itself: guarded paths are held, a directory's disappearance too, and .git is one-way.
func waits(t *testing.T, e *engine) {
	var files []string
	for i := range 60 {
		files = append(files, fmt.Sprintf("many/f%d=%d", i, i))
	}
	p := newProject(t, e, append(files, ".agentignore=.env\n", ".env=SECRET", "a=1")...)
	o := p.in(`echo evil >.envrc; rm -r many; echo mine >.env; echo -n 2 >a`)
	o.wantCode(t, 0)
	p.want("a", "2")
	p.want(".envrc", "(absent)")
	p.want("many/f7", "7")
	p.want(".env", "SECRET")
	o.wantIn(t, o.stderr, ".envrc")
	o.wantIn(t, o.stderr, "orphans: 1")
	o = p.in(`cat .env`)
	o.wantIn(t, o.out, "mine")

	for _, args := range [][]string{{"init", "-q"}, {"add", "a"}, {"-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", "first"}} {
		if out, err := p.git(args...); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	o = p.in(`ls -A .git`, "--git", "none")
	if o.code == 0 {
		t.Errorf("--git none, and there is a repository:\n%s", o.out)
	}
	o = p.in(`cat .git/HEAD; mkdir -p .git/hooks; echo evil >.git/hooks/pre-commit; echo -n 3 >a`, "--git", "copy")
	o.wantCode(t, 0)
	o.wantIn(t, o.out, "ref: ")
	p.want("a", "3")
	p.want(".git/hooks/pre-commit", "(absent)")
}

// git runs git in the project as its user.
func (p *project) git(args ...string) ([]byte, error) {
	cmd := p.e.command("git", args...)
	cmd.Dir = p.dir
	return cmd.CombinedOutput()
}
