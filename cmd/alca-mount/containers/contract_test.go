//go:build linux

package containers

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// TestContract is what a launch in a container keeps, on every engine.
func TestContract(t *testing.T) {
	if !wanted() {
		t.Skip("engines are started by scripts/test.sh containers")
	}
	if os.Geteuid() != 0 {
		t.Fatal("the tests' own engines take root")
	}
	for _, c := range []struct {
		name string
		of   func(*testing.T) *engine
	}{
		{"docker as root", func(t *testing.T) *engine { return dockerFor(t, root(t)) }},
		{"docker as a user", func(t *testing.T) *engine { return dockerFor(t, ordinary(t)) }},
		{"podman", func(t *testing.T) *engine { return podmanFor(t, root(t)) }},
		{"podman rootless", func(t *testing.T) *engine { return podmanFor(t, ordinary(t)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := c.of(t)
			e.images(t)
			contract(t, e)
			if left := e.containers(t); left != "" {
				t.Errorf("containers are left: %s", left)
			}
		})
	}
}

func contract(t *testing.T, e *engine) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *engine)
	}{
		{"what is hidden is not there and edits come home", editsComeHome},
		{"exit codes", exitCodes},
		{"stdin", stdin},
		{"nobody listens", nobodyListens},
		{"signals", signals},
		{"terminal", terminal},
		{"live", live},
		{"read-only", readOnly},
		{"mounts", mounts},
		{"profile", profile},
		{"configuration", configuration},
		{"home", home},
		{"documented configuration", documented},
		{"what waits", waits},
		{"killed", killed},
		{"killed and an overlay", killedOverlay},
		{"can't begin", cantBegin},
		{"overlays", overlays},
		{"stale overlay", staleOverlay},
		{"overlay of an image", overlayOfImage},
		{"overlay by a command", overlayByCommand},
		{"image of a snapshot", imageOfSnapshot},
		{"stays", stays},
		{"stays and is killed", staysKilled},
		{"can't stay", cantStay},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, e) })
	}
	if *npm {
		t.Run("npm project", func(t *testing.T) { npmProject(t, e) })
	}
	if *overhead {
		t.Run("overhead", func(t *testing.T) { measure(t, e) })
	}
}

func editsComeHome(t *testing.T, e *engine) {
	p := newProject(t, e, ".agentignore=.env\n", ".env=SECRET", "a=1", "d/b=2", "gone=x")
	o := p.in(`cat .env; ls -A; echo -n 10 >a; echo -n new >d/new; mkdir made; echo -n m >made/m; rm gone; echo mine >.env
		echo "$ALCA_MOUNT $ALCA_MOUNT_PROJECT $PWD ${ALCA_MOUNT_SESSION:+id} $SET $HOST"`, "--env", "SET=x y")
	o.wantCode(t, 0)
	if strings.Contains(o.out, "SECRET") || strings.Contains(o.out, "agentignore") {
		t.Errorf("what is hidden was there:\n%s", o.out)
	}
	o.wantIn(t, o.out, fmt.Sprintf("1 %s /workspace id x y", p.dir))
	p.want("a", "10")
	p.want("d/new", "new")
	p.want("made/m", "m")
	p.want("gone", "(absent)")
	p.want(".env", "SECRET")
	o.wantIn(t, o.stderr, "orphans: 1")
	for _, name := range []string{"a", "d/new", "made", "made/m"} {
		p.wantOwner(name)
	}
}

func exitCodes(t *testing.T, e *engine) {
	p := newProject(t, e, "a=1")
	p.in("exit 7").wantCode(t, 7)
	p.in("sh -c 'kill -9 $$'; exit $?").wantCode(t, 137) // without an init process the first can't kill itself
	p.run(append(p.flags(), "--", "no-such-command")...).wantCode(t, 127)
	p.run(append(p.flags(), "--", "/etc/passwd")...).wantCode(t, 126)
	o := p.run("--image", "localhost/no-such/image:x", "--runtime", e.cli, "--", "true")
	o.wantCode(t, 125)
	o.wantIn(t, o.stderr, "image localhost/no-such/image:x is not on this machine")
	if left, _ := filepath.Glob(filepath.Join(p.state, "alca-mount/*/sessions/*")); len(left) > 0 {
		t.Errorf("of a launch that could not begin %v is left", left)
	}
}

func stdin(t *testing.T, e *engine) {
	p := newProject(t, e, "a=1")
	text := strings.Repeat("0123456789abcdef\n", 20000)
	cmd := p.am(p.args(busyboxImage, "cat; echo end >&2", "-q")...)
	cmd.Stdin = strings.NewReader(text)
	o := p.finish(cmd)
	o.wantCode(t, 0)
	if o.out != text {
		t.Errorf("%d bytes came through, want %d", len(o.out), len(text))
	}
	o.wantIn(t, o.stderr, "end")
}

// Who reads the output leaves, as head does: the command is told as by the system, and nothing is stuck.
func nobodyListens(t *testing.T, e *engine) {
	p := newProject(t, e, "a=1")
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := p.am(p.args(busyboxImage, "trap 'exit 5' PIPE; while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyy; done", "-q")...)
	cmd.Stdout = writer
	p.start(cmd)
	writer.Close()
	if _, err := io.ReadFull(reader, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	reader.Close()
	defer time.AfterFunc(2*patience, func() { _ = cmd.Process.Kill() }).Stop()
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 5 {
		t.Errorf("exit %d, want 5", code)
	}
}

func signals(t *testing.T, e *engine) {
	p := newProject(t, e, "a=1")
	cmd := p.am(p.args(busyboxImage, `trap 'echo -n term >got; exit 9' TERM; echo -n up >up; while :; do sleep .1; done`, "--sync", "live")...)
	p.start(cmd)
	p.eventually("up", "up")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 9 {
		t.Errorf("exit %d, want 9", code)
	}
	p.want("got", "term")
}

func terminal(t *testing.T, e *engine) {
	p := newProject(t, e, "a=1")
	drive(t, p, p.am(p.args(busyboxImage, terminalScript, "-q", "--sync", "live")...))
}

const terminalScript = `until [ -s size ]; do usleep 10000; stty size >size; done; trap 'stty size >size2' WINCH; trap 'echo int; exit 5' INT; read line; echo "got $line"; while :; do sleep .1; done`

// drive gives a command a terminal of its own: its size, a change of it, keys, and Ctrl-C.
func drive(t *testing.T, p *project, cmd *exec.Cmd) {
	cmd.SysProcAttr = withTerminal(cmd.SysProcAttr)
	master, err := pty.StartWithAttrs(cmd, &pty.Winsize{Rows: 33, Cols: 111}, cmd.SysProcAttr)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	p.endAfter(cmd)
	out := collect(master)
	p.eventually("size", "33 111\n")
	_, _ = master.Write([]byte("hello\x10\r")) // Ctrl-P is the program's
	out.wait(t, "got hello")
	if err := pty.Setsize(master, &pty.Winsize{Rows: 20, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	p.eventually("size2", "20 80\n")
	_, _ = master.Write([]byte("\x03"))
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 5 {
		t.Errorf("exit %d, want 5\n%s", code, out.text())
	}
}

func live(t *testing.T, e *engine) {
	p := newProject(t, e, ".agentignore=.env\n", "a=1")
	cmd := p.am(p.args(busyboxImage, `echo -n up >up; i=0; while [ ! -e stop ]; do
		[ -e ".env" ] && cat .env >leak; [ "$(cat in 2>/dev/null)" = "$i" ] && { echo -n $i >answer; i=$((i+1)); }; usleep 2000; done`, "--sync", "live")...)
	p.start(cmd)
	p.eventually("up", "up")
	p.write(".env", "SECRET")
	var both []time.Duration
	for i := range 10 {
		p.write("in", fmt.Sprint(i))
		both = append(both, p.eventually("answer", fmt.Sprint(i)))
	}
	slices.Sort(both)
	t.Logf("there and back: median %v, worst %v", both[len(both)/2], both[len(both)-1])
	p.write("stop", "")
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit %d", code)
	}
	p.want("leak", "(absent)")
}

// readOnly attacks read-only files as root in the container, before and after the project changed that very file.
func readOnly(t *testing.T, e *engine) {
	p := newProject(t, e, ".agentreadonly=ro.txt\nd/deep.txt\nwhole/\n", "ro.txt=1", "d/deep.txt=1", "d/free=1", "whole/x=1", "whole/sub/y=1",
		".alca.toml=image = \""+busyboxImage+"\"\nuser = \"0:0\"\n")
	p.allow()
	cmd := p.am(append(e.flags(), "--runtime", e.cli, "--sync", "live", "--", "sh", "-c", attack+`
		attack first; echo -n up >up
		while [ "$(cat ro.txt d/deep.txt whole/x)" != 222 ]; do usleep 10000; done
		attack second; echo -n done >done; id -u >uid`)...)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	p.start(cmd)
	p.eventually("up", "up")
	for _, name := range []string{"ro.txt", "d/deep.txt", "whole/x"} {
		p.write(name, "2")
	}
	p.eventually("done", "done")
	_ = cmd.Wait()
	p.want("uid", "0\n")
	for _, round := range []string{"first", "second"} {
		p.want(round, "")
	}
	for _, name := range []string{"ro.txt", "d/deep.txt", "whole/x"} {
		p.want(name, "2")
	}
	p.want("whole/sub/y", "1")
	if strings.Contains(said.String(), "refused:") {
		t.Errorf("something was changed in the mirror:\n%s", said.String())
	}
	if t.Failed() {
		t.Log(said.String())
	}
}

// attack is a shell function that notes in the file $1 what it could do and should not.
const attack = `attack() {
	: >"$1.tmp"
	try() { "$@" 2>/dev/null && echo "$*" >>"$OUT"; }
	OUT="$PWD/$1.tmp"
	for f in ro.txt d/deep.txt whole/x whole/sub/y .agentreadonly .alca.toml .alca-mount; do
		try sh -c "echo x >$f"; try sh -c "echo x >>$f"; try rm -f $f; try mv $f moved; try chmod 777 $f; try touch $f; try ln $f link
		try sh -c "echo x >n.tmp && mv -f n.tmp $f"; rm -f n.tmp
	done
	try mv d dd; try mv whole ww; try mv whole/sub s; try rm -rf d/deep.txt; try touch whole/new; try mkdir whole/dir; try rmdir d; try chmod 777 whole
	try mount -o remount,rw,bind ro.txt; try umount ro.txt; try umount d
	mv "$1.tmp" "$1"
}
`

func mounts(t *testing.T, e *engine) {
	p := newProject(t, e, "a=1")
	base := filepath.Dir(p.dir)
	for _, d := range []string{"ruled", "bare", "fixed"} {
		p.mkdir(base + "/" + d)
	}
	for _, f := range []string{"ruled/.agentignore=key\n", "ruled/key=SECRET", "ruled/x=1", "bare/x=1", "fixed/x=1", "file=1"} {
		name, content, _ := strings.Cut(f, "=")
		p.write("../"+name, content)
	}
	o := p.in(`cat /ruled/key; ls -A /ruled; echo -n 2 >/ruled/x; echo -n 3 >/ruled/new; echo -n 2 >/bare/x; echo -n 2 >/fixed/x; echo -n 2 >/file; echo -n 2 >a; true`,
		"--mount", "../ruled:/ruled", "--mount", base+"/bare:/bare", "--mount", "../fixed:/fixed:ro", "--mount", "../file:/file:ro")
	o.wantCode(t, 0)
	if strings.Contains(o.out, "SECRET") {
		t.Error("a mount's hidden file was there")
	}
	for name, content := range map[string]string{
		"a": "2", "../ruled/x": "2", "../ruled/new": "3", "../ruled/key": "SECRET", "../bare/x": "2", "../fixed/x": "1", "../file": "1",
	} {
		p.want(name, content)
	}
	p.wantOwner("../ruled/new")
	o.wantIn(t, o.stderr, "at /ruled:")
	o = p.in("true", "--mount", base+":/all")
	o.wantCode(t, 125)
	o.wantIn(t, o.stderr, "it holds")
}

// configuration is a Debian with a user of its own, limits, and commands before CMD.
func configuration(t *testing.T, e *engine) {
	p := newProject(t, e, "a=1", ".alca.toml="+`image = "`+debianImage+`"
workdir = "/srv/app"
network = "none"
[resources]
memory = "256m"
[commands]
up = "echo up >>/tmp/log"
enter = "export FROM_ENTER=yes"
`)
	p.allow()
	o := p.run("--runtime", e.cli, "--", "bash", "-c", `pwd; cat /tmp/log; echo $FROM_ENTER; . /etc/os-release; echo $ID; ls /sys/class/net | tr '\n' ' '; echo -n 2 >a`)
	o.wantCode(t, 0)
	for _, want := range []string{"/srv/app\nup\nyes\ndebian\n", "lo"} {
		o.wantIn(t, o.out, want)
	}
	if strings.Contains(o.out, "eth0") {
		t.Errorf("there is a network:\n%s", o.out)
	}
	p.want("a", "2")
	p.wantOwner("a")
}

// killed is alca-mount's sudden death: the next command ends the container and brings the edits home.
func killed(t *testing.T, e *engine) {
	for _, next := range []string{"recover", "a launch"} {
		p := newProject(t, e, "a=1", "b=1")
		p.write("../side/.agentignore", "key\n") // so that it has a mirror
		p.write("../side/x", "1")
		cmd := p.am(p.args(busyboxImage, "echo -n agent >/side/x; echo -n agent >b; while :; do date >tick; usleep 50000; done", "--mount", "../side:/side")...)
		p.start(cmd)
		session := p.waitMirror("b", "agent")
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if left := e.containers(t); left == "" {
			t.Error("the container died with alca-mount: there is nothing to test")
		}
		sides, _ := filepath.Glob(filepath.Join(p.state, "alca-mount/side-*/sessions/*"))
		if len(sides) != 1 {
			t.Fatalf("sessions of the mount: %v", sides)
		}
		if next == "recover" { // the mount's first: the same container writes to its mirror
			o := p.run("recover", filepath.Base(sides[0]), "--apply")
			o.wantCode(t, 0)
			p.want("../side/x", "agent")
			if left := e.containers(t); left != "" {
				t.Errorf("after recovering the mount: %s\n%s", left, o.stderr)
			}
		} else {
			o := p.in("true")
			o.wantCode(t, 0)
			if left := e.containers(t); left != "" {
				t.Errorf("after the next launch: %s\n%s", left, o.stderr)
			}
			o.wantIn(t, o.stderr, session)
		}
		o := p.run("recover", session, "--apply")
		o.wantCode(t, 0)
		p.want("b", "agent")
		if left := e.containers(t); left != "" {
			t.Errorf("after recover: %s", left)
		}
		if t.Failed() {
			t.Log(o.stderr)
		}
	}
}

// waitMirror waits until a file in the mirror of the only session has a content, and returns the session.
func (p *project) waitMirror(name, content string) string {
	p.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		found, _ := filepath.Glob(filepath.Join(p.state, "alca-mount/*/sessions/*/mirror", name))
		if len(found) == 1 {
			if data, _ := os.ReadFile(found[0]); string(data) == content {
				return filepath.Base(strings.TrimSuffix(found[0], "/mirror/"+name))
			}
		}
	}
	p.t.Fatalf("no mirror has %s = %q", name, content)
	return ""
}

// measure compares with the engine's own command, on a thousand files: until the command's first word, and to the end.
func measure(t *testing.T, e *engine) {
	var files []string
	for i := range 1000 {
		files = append(files, fmt.Sprintf("d%02d/f%03d=%d", i/50, i, i))
	}
	p := newProject(t, e, files...)
	var bare, ours [2][]time.Duration
	for range 5 {
		for i, d := range timed(t, e.command(e.cli, "run", "--rm", "--init="+fmt.Sprint(e.cli == "docker"), "--network", e.network(),
			"-v", p.dir+":/workspace", "-w", "/workspace", busyboxImage, "echo", "here")) {
			bare[i] = append(bare[i], d)
		}
		for i, d := range timed(t, p.am(append(p.flags(), "-q", "--", "echo", "here")...)) {
			ours[i] = append(ours[i], d)
		}
	}
	for i, what := range []string{"to the first word", "to the end"} {
		slices.Sort(bare[i])
		slices.Sort(ours[i])
		t.Logf("%s: bare %v, with alca-mount %v: %.2f times", what, bare[i][2], ours[i][2], float64(ours[i][2])/float64(bare[i][2]))
	}
}

// timed returns after what time a command said its first word, and ended.
func timed(t *testing.T, cmd *exec.Cmd) [2]time.Duration {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = out.Read(make([]byte, 1))
	first := time.Since(began)
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	return [2]time.Duration{first, time.Since(began)}
}

// network is the one that the engine's own command is to take in the comparison: the same as ours takes.
func (e *engine) network() string {
	if e.name == "podman-rootless" {
		return "none"
	}
	return "bridge"
}
