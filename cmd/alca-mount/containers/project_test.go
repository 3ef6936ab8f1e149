//go:build linux

package containers

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait: what takes longer hangs.
const patience = 20 * time.Second

// project is a project of the engine's user, with a state directory of its own.
type project struct {
	t     *testing.T
	e     *engine
	dir   string
	state string
}

// newProject makes files "path=content"; "path/" is a directory.
func newProject(t *testing.T, e *engine, files ...string) *project {
	t.Helper()
	base := scratch(t, e.user)
	p := &project{t: t, e: e, dir: base + "/project", state: base + "/state"}
	for _, d := range []string{p.dir, p.state} {
		p.mkdir(d)
	}
	for _, f := range files {
		name, content, isFile := strings.Cut(f, "=")
		if !isFile {
			p.mkdir(filepath.Join(p.dir, name))
			continue
		}
		p.write(name, content)
	}
	return p
}

func (p *project) mkdir(dir string) {
	p.t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		p.t.Fatal(err)
	}
	own(p.t, dir, p.e.user)
}

// write saves as an editor does: a new file renamed over the old one.
func (p *project) write(name, content string) {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if dir := filepath.Dir(path); dir != p.dir {
		p.mkdir(dir)
	}
	write(p.t, path+".tmp", content)
	own(p.t, path+".tmp", p.e.user)
	if err := os.Rename(path+".tmp", path); err != nil {
		p.t.Fatal(err)
	}
}

func (p *project) read(name string) string {
	data, err := os.ReadFile(filepath.Join(p.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "(absent)"
	}
	if err != nil {
		p.t.Error(err)
	}
	return string(data)
}

func (p *project) want(name, content string) {
	p.t.Helper()
	if got := p.read(name); got != content {
		p.t.Errorf("%s = %q, want %q", name, got, content)
	}
}

// eventually waits until a file has a content, and returns how long that took.
func (p *project) eventually(name, content string) time.Duration {
	p.t.Helper()
	began := time.Now()
	for p.read(name) != content {
		if time.Since(began) > patience {
			p.t.Fatalf("%s = %q, want %q", name, p.read(name), content)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

// am is alca-mount in the project.
func (p *project) am(args ...string) *exec.Cmd {
	cmd := p.e.command(binary, args...)
	cmd.Dir = p.dir
	cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+p.state)
	return cmd
}

// start starts alca-mount and sees that it, and its container, don't outlive a test that fails.
func (p *project) start(cmd *exec.Cmd) {
	p.t.Helper()
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.endAfter(cmd)
}

func (p *project) endAfter(cmd *exec.Cmd) {
	p.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait()
		}
	})
}

// allow gives the user's word for the project's configuration, as it is now.
func (p *project) allow() {
	p.t.Helper()
	p.run("allow").wantCode(p.t, 0)
}

// outcome is how a run ended.
type outcome struct {
	code        int
	out, stderr string
}

func (p *project) run(args ...string) outcome {
	p.t.Helper()
	return p.finish(p.am(args...))
}

func (p *project) finish(cmd *exec.Cmd) outcome {
	p.t.Helper()
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	timer := time.AfterFunc(2*patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), stderr.String()}
}

// in runs a shell script in a container of busybox.
func (p *project) in(script string, flags ...string) outcome {
	p.t.Helper()
	return p.run(p.args(busyboxImage, script, flags...)...)
}

// flags are those of a machine that may lack what a network takes (/dev/net/tun for Podman without root).
func (e *engine) flags() []string {
	if e.name == "podman-rootless" {
		return []string{"--no-network"}
	}
	return nil
}

// flags are those of a run in busybox.
func (p *project) flags() []string {
	return append(p.e.flags(), "--image", busyboxImage, "--runtime", p.e.cli)
}

func (p *project) args(image, script string, flags ...string) []string {
	args := append(p.e.flags(), "--image", image, "--runtime", p.e.cli)
	return append(append(args, flags...), "--", "sh", "-c", script)
}

func (o outcome) wantCode(t *testing.T, code int) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit %d, want %d\nstdout:\n%s\nstderr:\n%s", o.code, code, o.out, o.stderr)
	}
}

func (o outcome) wantIn(t *testing.T, where, text string) {
	t.Helper()
	if !strings.Contains(where, text) {
		t.Errorf("no %q\nstdout:\n%s\nstderr:\n%s", text, o.out, o.stderr)
	}
}

// wantOwner checks that a file is the project's user's.
func (p *project) wantOwner(name string) {
	p.t.Helper()
	info, err := os.Lstat(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Error(err)
		return
	}
	if st := info.Sys().(*syscall.Stat_t); fmt.Sprint(st.Uid) != p.e.user.Uid {
		p.t.Errorf("%s belongs to %d, want %s", name, st.Uid, p.e.user.Uid)
	}
}
