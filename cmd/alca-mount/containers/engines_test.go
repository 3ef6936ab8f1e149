//go:build linux

package containers

import (
	"archive/tar"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	overhead = flag.Bool("overhead", false, "measure the start beside the engine's own")
	binary   string
)

// wanted says that the tests are to run; then nothing they need may be missing.
func wanted() bool { return os.Getenv("ALCA_CONTAINERS") != "" }

func TestMain(m *testing.M) {
	flag.Parse()
	if !wanted() {
		os.Exit(m.Run())
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "alca-mount-containers-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "alca-mount")
	build := exec.Command("go", "build", "-o", binary, "github.com/alca-mount/alca-mount/cmd/alca-mount")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// The images of the tests.
const (
	busyboxImage = "localhost/alca/busybox:test"
	debianImage  = "localhost/alca/debian:test"
)

// engine is an engine of the tests' own, and who uses it.
type engine struct {
	name string
	user *user.User // who runs alca-mount
	env  []string   // how alca-mount and the engine's command find it
	cli  string
	dir  string // ours, removed at the end
}

// ordinary is the user that is not root.
func ordinary(t *testing.T) *user.User {
	t.Helper()
	name := os.Getenv("ALCA_ORDINARY")
	if name == "" {
		name = "alcatest"
	}
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func root(t *testing.T) *user.User {
	t.Helper()
	u, err := user.LookupId("0")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// scratch is a directory with a short path, as sockets need, that the user owns.
func scratch(t *testing.T, u *user.User) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "alca-")
	if err != nil {
		t.Fatal(err)
	}
	own(t, dir, u)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return dir
}

func own(t *testing.T, path string, u *user.User) {
	t.Helper()
	if err := os.Lchown(path, number(u.Uid), number(u.Gid)); err != nil {
		t.Fatal(err)
	}
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic("BUG: a uid that is no number: " + s)
	}
	return n
}

// command is a command as the engine's user, in its environment.
func (e *engine) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = e.env
	cmd.Dir = "/"
	if e.user.Uid != "0" {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(number(e.user.Uid)), Gid: uint32(number(e.user.Gid))}}
	}
	return cmd
}

func baseEnv(u *user.User, home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "USER=" + u.Username, "LANG=C.UTF-8", "TMPDIR=" + home}
}

// dockerFor starts a Docker daemon whose socket u may use.
func dockerFor(t *testing.T, u *user.User) *engine {
	t.Helper()
	dir := scratch(t, root(t))
	sock := filepath.Join(dir, "docker.sock")
	log := &bytes.Buffer{}
	daemon := exec.Command("dockerd", "--data-root", dir+"/data", "--exec-root", dir+"/exec", "--pidfile", dir+"/pid",
		"-H", "unix://"+sock, "-G", u.Gid, "--bridge=none", "--iptables=false", "--ip-masq=false")
	daemon.Stdout, daemon.Stderr = log, log
	if err := daemon.Start(); err != nil {
		t.Fatal("dockerd: ", err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		_ = daemon.Wait()
		if t.Failed() {
			t.Logf("dockerd said:\n%s", last(log.String(), 4000))
		}
	})
	e := &engine{name: "docker", user: u, cli: "docker", dir: dir, env: append(baseEnv(u, dir), "DOCKER_HOST=unix://"+sock)}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if e.command("docker", "version").Run() == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("dockerd does not answer:\n%s", last(log.String(), 4000))
		}
	}
	return e
}

func last(s string, n int) string { return s[max(0, len(s)-n):] }

// podmanFor is Podman with storage of its own. No service runs: alca-mount starts one.
func podmanFor(t *testing.T, u *user.User) *engine {
	t.Helper()
	dir := scratch(t, u)
	name := "podman"
	if u.Uid != "0" {
		name = "podman-rootless"
	}
	// Where rlimits can't be raised, containers get what there is.
	conf := "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n"
	storage := fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = %q\nrunroot = %q\n", dir+"/root", dir+"/run")
	write(t, dir+"/containers.conf", conf)
	for _, d := range []string{"/.config", "/.config/containers", "/xdg"} {
		if err := os.Mkdir(dir+d, 0o700); err != nil {
			t.Fatal(err)
		}
		own(t, dir+d, u)
	}
	write(t, dir+"/.config/containers/storage.conf", storage)
	e := &engine{name: name, user: u, cli: "podman", dir: dir, env: append(baseEnv(u, dir),
		"CONTAINERS_CONF="+dir+"/containers.conf", "XDG_RUNTIME_DIR="+dir+"/xdg")}
	if u.Uid == "0" {
		e.env = append(e.env, "CONTAINERS_STORAGE_CONF="+dir+"/.config/containers/storage.conf")
	}
	t.Cleanup(func() {
		endServices(dir)
		// Its files belong to mapped users, and its pause process holds them.
		if out, err := e.command("podman", "system", "reset", "--force").CombinedOutput(); err != nil {
			t.Logf("podman system reset: %v\n%s", err, out)
		}
		endMonitors(dir)
		if pid, err := os.ReadFile(dir + "/xdg/libpod/tmp/pause.pid"); err == nil {
			_ = syscall.Kill(number(strings.TrimSpace(string(pid))), syscall.SIGKILL)
		}
	})
	return e
}

// endServices ends the services of launches that were killed, which would end by themselves half a minute later and write to
// their storage then: processes that listen in our own directory.
func endServices(dir string) {
	endAll(func(line []byte) bool { return bytes.Contains(line, []byte("unix://"+dir+"/alca-mount-podman-")) })
}

// endMonitors ends the monitors of commands that were run in containers: Podman keeps each for five minutes.
func endMonitors(dir string) {
	endAll(func(line []byte) bool {
		return bytes.Contains(line, []byte("conmon")) && bytes.Contains(line, []byte(dir+"/"))
	})
}

// endAll ends the processes of our own whose command line fits.
func endAll(fits func(line []byte) bool) {
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range procs {
		if line, err := os.ReadFile(file); err == nil && fits(line) {
			_ = syscall.Kill(number(filepath.Base(filepath.Dir(file))), syscall.SIGKILL)
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// images gives the engine the tests' images.
func (e *engine) images(t *testing.T) {
	t.Helper()
	e.load(t, busyboxImage, busyboxTar(t))
	debian := os.Getenv("ALCA_DEBIAN_TAR")
	if debian == "" {
		t.Fatal("ALCA_DEBIAN_TAR names no root file system of a Debian: scripts/test.sh containers makes one")
	}
	f, err := os.Open(debian)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	e.load(t, debianImage, f)
}

func (e *engine) load(t *testing.T, name string, rootfs io.Reader) {
	t.Helper()
	cmd := e.command(e.cli, "import", "-", name)
	cmd.Stdin = rootfs
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s import %s: %v\n%s", e.cli, name, err, out)
	}
}

// busyboxTar is a root file system of busybox alone, and of files "path=content" that are root's.
func busyboxTar(t *testing.T, files ...string) io.Reader {
	t.Helper()
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	add := func(h tar.Header, data []byte) {
		h.Size = int64(len(data))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"bin/", "etc/", "proc/", "sys/", "dev/", "root/", "tmp/"} {
		mode := int64(0o755)
		if d == "tmp/" {
			mode = 0o1777
		}
		add(tar.Header{Name: d, Typeflag: tar.TypeDir, Mode: mode}, nil)
	}
	add(tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755}, program)
	names, err := exec.Command("/bin/busybox", "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(string(names)) {
		if name != "busybox" {
			add(tar.Header{Name: "bin/" + name, Typeflag: tar.TypeSymlink, Linkname: "busybox"}, nil)
		}
	}
	add(tar.Header{Name: "etc/passwd", Typeflag: tar.TypeReg, Mode: 0o644}, []byte("root:x:0:0:root:/root:/bin/sh\n"))
	for _, file := range files {
		name, content, _ := strings.Cut(file, "=")
		add(tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644}, []byte(content))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}

// containers lists what the engine has of ours.
func (e *engine) containers(t *testing.T) string {
	t.Helper()
	out, err := e.command(e.cli, "ps", "-a", "--filter", "label=alca-mount.session", "--format", "{{.ID}} {{.Status}}").Output()
	if err != nil {
		t.Fatalf("%s ps: %v", e.cli, err)
	}
	return strings.TrimSpace(string(out))
}
