//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func dependent() []string {
	return []string{"package.json={}", "package-lock.json=1", "node_modules/m/f=x", "src/a=1"}
}

// In a namespace the overlay is a mount over the mirror: it is seen at the project's own path, and kept.
func TestOverlayInANamespace(t *testing.T) {
	w := confined(t, dependent()...)
	before := facts(t, w.project)
	r := w.expect(0, "--isolation", "namespace", "--confine-writes", "--overlay", "auto", "--", "sh", "-c", "ls node_modules/m && echo mine > node_modules/mine && rm node_modules/m/f")
	if !strings.Contains(r.stdout, "f\n") {
		t.Errorf("%s", r)
	}
	r = w.expect(0, "--isolation", "namespace", "--overlay", "auto", "--", "sh", "-c", "cat node_modules/mine; ls node_modules/m; ls -A "+w.state+"/alca-mount")
	if r.stdout != "mine\n" {
		t.Errorf("%s", r)
	}
	// The same one plainly.
	r = w.expect(0, "--isolation", "none", "--overlay", "auto", "--", "cat", "node_modules/mine")
	if r.stdout != "mine\n" {
		t.Errorf("%s", r)
	}
	if after := facts(t, w.project); len(before) != len(after) || before["node_modules/m/f"] != after["node_modules/m/f"] {
		t.Errorf("the project's own changed: %v, %v", before, after)
	}
	w.noMirrorLeft()
}

// An overlay below a directory that is read-only as a whole is there, and writable, and the rest is not.
func TestOverlayBelowWhatIsReadOnly(t *testing.T) {
	w := confined(t, ".agentreadonly=ro/", "ro/f=theirs", "ro/node_modules/m=x")
	for _, isolation := range []string{"namespace", "none"} {
		r := w.expect(0, "-q", "--isolation", isolation, "--overlay", "ro/node_modules", "--", "sh", "-c", "ls ro/node_modules; touch ro/node_modules/mine; cat ro/f")
		if want := map[string]string{"namespace": "m\ntheirs\n", "none": "m\nmine\ntheirs\n"}[isolation]; r.stdout != want {
			t.Errorf("%s: %s", isolation, r)
		}
	}
	if r := w.run("-q", "--isolation", "namespace", "--overlay", "ro/node_modules", "--", "sh", "-c", "echo x > ro/f"); r.code == 0 {
		t.Errorf("%s", r)
	}
	w.noMirrorLeft()
}

// A launch that is killed leaves the overlay in its mirror; recover, or the next launch, brings it back, and nothing of it
// comes home.
func TestKilledLaunchLosesNoOverlay(t *testing.T) {
	for _, how := range []string{"recover", "next launch"} {
		w := newWorld(t, dependent()...)
		r := w.start("--overlay", "node_modules", "--", "sh", "-c", "echo work > node_modules/work; echo work > src/work; kill -9 $PPID").wait()
		if r.code == 0 {
			t.Fatalf("%s", r)
		}
		if how == "recover" {
			w.until("CMD is gone", func() bool { return w.run("recover", "--all", "--apply").code == 0 })
			if got := read(t, filepath.Join(w.project, "src/work")); got != "work\n" {
				t.Errorf("%q", got)
			}
		}
		r = w.expect(0, "--overlay", "node_modules", "--", "cat", "node_modules/work")
		if r.stdout != "work\n" {
			t.Errorf("%s: %s", how, r)
		}
		if _, err := os.Lstat(filepath.Join(w.project, "node_modules/work")); err == nil {
			t.Errorf("%s: it came home", how)
		}
	}
}

// Of two sessions at once, the second has a copy of its own, which goes with it.
func TestTwoSessionsDoNotShareAnOverlay(t *testing.T) {
	w := newWorld(t, dependent()...)
	gate, cmd := w.gated()
	first := w.start("--overlay", "node_modules", "--", "sh", "-c", "touch node_modules/first; "+cmd+"; ls node_modules")
	gate.arrived()
	r := w.expect(0, "--overlay", "node_modules", "--", "sh", "-c", "touch node_modules/second; ls node_modules")
	if r.stdout != "m\nsecond\n" || !strings.Contains(r.stderr, "another session has it") {
		t.Errorf("%s", r)
	}
	if r := w.run("overlays", "rm", "--all"); r.code != 1 {
		t.Errorf("removed while it is in use: %s", r)
	}
	gate.open()
	if r := first.wait(); r.code != 0 || r.stdout != "first\nm\n" {
		t.Errorf("%s", r)
	}
	w.noMirrorLeft()
}

// A Python environment that a command makes works at the path of each launch, and its scripts run its own interpreter.
func TestPythonEnvironmentByCommand(t *testing.T) {
	if err := exec.Command("python3", "-c", "import venv").Run(); err != nil {
		t.Skip("no python3 with venv")
	}
	w := newWorld(t, "requirements.txt=")
	write(t, filepath.Join(w.project, ".alca.toml"), `[[overlay]]
path = ".venv"
command = '''python3 -m venv --without-pip .venv
printf '#!%s\nimport sys; print(sys.prefix)\n' "$PWD/.venv/bin/python" > .venv/bin/tool && chmod +x .venv/bin/tool'''
`)
	w.expect(0, "allow")
	for range 2 {
		r := w.expect(0, "--", "sh", "-c", "pwd; .venv/bin/tool")
		dir, prefix, _ := strings.Cut(strings.TrimSpace(r.stdout), "\n")
		if prefix != dir+"/.venv" {
			t.Errorf("%s", r)
		}
	}
}

// Show 1 of the real thing: npm installs from the registry on the host, the tests run in the mirror.
func TestNpmProjectRunsItsTests(t *testing.T) {
	if count(0, 1) == 0 {
		t.Skip("needs the registry: -long")
	}
	w := newWorld(t)
	write(t, filepath.Join(w.project, "package.json"), `{"name":"demo","private":true,"scripts":{"test":"node test.js"},"dependencies":{"ms":"2.1.3","semver":"7.6.3"}}`)
	write(t, filepath.Join(w.project, "test.js"), `if (require("ms")("1s") !== 1000 || !require("semver").gt("2.0.0", "1.0.0")) process.exit(1)`)
	install := exec.Command("npm", "install", "--silent", "--no-audit", "--no-fund")
	install.Dir = w.project
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("npm: %v: %s", err, out)
	}
	before := facts(t, w.project)
	for _, isolation := range []string{"none", "namespace"} {
		for range 2 {
			w.expect(0, "--isolation", isolation, "--overlay", "auto", "--", "npm", "test", "--silent")
		}
	}
	w.expect(1, "--", "npm", "test", "--silent")
	after := facts(t, w.project)
	for p, f := range before {
		if after[p] != f {
			t.Errorf("%s: %s, was %s", p, after[p], f)
		}
	}
}

// The command that fills an overlay runs where CMD does, and CMD not in a weaker place for it.
func TestSeedCommandLosesNoIsolation(t *testing.T) {
	w := confined(t, ".agentignore=.env", ".env=secret", "src/a=1")
	write(t, filepath.Join(w.project, ".alca.toml"), `[[overlay]]
path = ".venv"
command = "pwd > .venv/made; cat '`+w.project+`/.env' >> .venv/made; true"

[[overlay]]
path = "target"
command = "echo two > target/made"
`)
	w.expect(0, "allow")
	for _, isolation := range []string{"auto", "namespace"} {
		r := w.expect(0, "-q", "--isolation", isolation, "--", "sh", "-c", "pwd; cat .venv/made target/made; cat '"+w.project+"/.env'; rm .venv/made; true")
		if r.stdout != w.project+"\n"+w.project+"\ntwo\n" || strings.Contains(r.stderr, "isolation none") {
			t.Errorf("%s: %s", isolation, r)
		}
		w.expect(0, "overlays", "rm", "--all")
	}
}

// A namespace that can be started and not be built is no quiet loss.
func TestUnforeseenFallbackIsSaidToTheQuiet(t *testing.T) {
	w := confined(t, "a=1", ".agentignore=/root", "root/")
	how := "-m"
	if os.Getuid() != 0 {
		how = "-Urm"
	}
	w.prefix = []string{"unshare", how, "sh", "-c", "mount --rbind / '" + w.project + "/root' && exec \"$@\"", "sh"}
	r := w.expect(0, "-q", "--isolation", "auto", "--", "true")
	if !strings.Contains(r.stderr, "isolation none: ") || !strings.Contains(r.stderr, "can't be covered") {
		t.Errorf("%s", r)
	}
	w.expect(125, "-q", "--isolation", "namespace", "--", "true")
}
