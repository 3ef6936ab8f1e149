//go:build linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds every wait: what takes longer hangs.
const patience = 30 * time.Second

var (
	long   = flag.Bool("long", false, "run the large counts")
	binary string
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	if named := os.Getenv("ALCA_MOUNT_BIN"); named != "" {
		binary = named
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "alca-mount-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binary = filepath.Join(dir, "alca-mount")
	build := exec.Command("go", "build", "-o", binary, "github.com/alca-mount/alca-mount/cmd/alca-mount")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// count is few, or many with -long.
func count(few, many int) int {
	if *long {
		return many
	}
	return few
}

// A world is a machine of its own: a project, what lies outside it, a home and a state directory.
type world struct {
	t                                  *testing.T
	dir, project, outside, home, state string
	env                                []string
	watched                            map[string]string
	prefix                             []string // what the program is started through
}

// newWorld has a project made of the tree's entries (see plant) and an outside that nothing may touch.
func newWorld(t *testing.T, tree ...string) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{
		t: t, dir: dir,
		project: filepath.Join(dir, "project"), outside: filepath.Join(dir, "outside"),
		home: filepath.Join(dir, "home"), state: filepath.Join(dir, "state"),
	}
	t.Cleanup(func() {
		w.dropStores()
		exec.Command("chmod", "-R", "u+rwX", dir).Run()
	})
	for _, d := range []string{w.project, w.outside, w.home, w.state} {
		must(t, os.Mkdir(d, 0o755))
	}
	w.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.home, "XDG_STATE_HOME=" + w.state, "LC_ALL=C.UTF-8",
		"OUTSIDE=" + w.outside, "TOOLS=" + dir, "GIT_CONFIG_NOSYSTEM=1", "TMPDIR=" + dir,
	}
	// The user's part is played from inside CMD in most tests; those of the namespace ask for it.
	write(t, filepath.Join(w.home, ".config/alca-mount/config.toml"), "isolation = \"none\"\n")
	plant(t, w.project, tree...)
	plant(t, w.outside, "target.txt=outside target", "dir/main.go=outside main", "dir/victim.txt=outside victim",
		"dir/sub/v2.txt=outside v2", "empty/")
	return w
}

// stores are the folders that sessions of this world have at the top of a file system.
func (w *world) stores() []string {
	var all []string
	sessions, _ := filepath.Glob(filepath.Join(w.state, "alca-mount/*/sessions/*"))
	for _, s := range sessions {
		found, _ := filepath.Glob(fmt.Sprintf("/.alca-mount-%d/%s", os.Getuid(), filepath.Base(s)))
		all = append(all, found...)
	}
	return all
}

func (w *world) dropStores() {
	for _, s := range w.stores() {
		os.RemoveAll(s)
	}
}

// plant makes entries below dir: "d/" a directory, "l -> t" a link, "f=content" a file, "f!755=content" one with a mode.
func plant(t *testing.T, dir string, entries ...string) {
	t.Helper()
	for _, e := range entries {
		if l, target, ok := strings.Cut(e, " -> "); ok {
			must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, l)), 0o755))
			must(t, os.Symlink(target, filepath.Join(dir, l)))
			continue
		}
		name, content, file := strings.Cut(e, "=")
		if !file {
			must(t, os.MkdirAll(filepath.Join(dir, e), 0o755))
			continue
		}
		mode := os.FileMode(0o644)
		if n, m, ok := strings.Cut(name, "!"); ok {
			name = n
			fmt.Sscanf(m, "%o", &mode)
		}
		write(t, filepath.Join(dir, name), content+"\n")
		must(t, os.Chmod(filepath.Join(dir, name), mode))
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(content), 0o644))
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return string(b)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A result is how a program ended and what it said.
type result struct {
	code           int
	stdout, stderr string
}

func (r result) String() string {
	return fmt.Sprintf("exit %d\n-- stdout\n%s-- stderr\n%s", r.code, r.stdout, r.stderr)
}

// A running program, not waited for yet.
type running struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err bytes.Buffer
	done     chan struct{}
}

// start starts alca-mount in the project.
func (w *world) start(args ...string) *running {
	w.t.Helper()
	argv := append(append(slices.Clone(w.prefix), binary), args...)
	r := &running{t: w.t, cmd: exec.Command(argv[0], argv[1:]...), done: make(chan struct{})}
	r.cmd.Dir, r.cmd.Env = w.project, w.env
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.err
	r.cmd.WaitDelay = 5 * time.Second // what outlives it and holds its streams
	must(w.t, r.cmd.Start())
	go func() { r.cmd.Wait(); close(r.done) }()
	w.t.Cleanup(func() { r.cmd.Process.Kill(); <-r.done })
	return r
}

// wait has the end, or fails the test.
func (r *running) wait() result {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(patience):
		stack, _ := os.ReadFile(fmt.Sprintf("/proc/%d/wchan", r.cmd.Process.Pid))
		r.cmd.Process.Kill()
		<-r.done
		r.t.Fatalf("%q hangs in %s\n%s%s", r.cmd.Args, stack, r.out.String(), r.err.String())
	}
	ws := r.cmd.ProcessState.Sys().(syscall.WaitStatus)
	code := ws.ExitStatus()
	if ws.Signaled() {
		code = 1000 + int(ws.Signal()) // the program itself was killed: never a code of its own
	}
	return result{code, r.out.String(), r.err.String()}
}

func (r *running) signal(s syscall.Signal) {
	r.t.Helper()
	must(r.t, r.cmd.Process.Signal(s))
}

// run runs alca-mount in the project to its end.
func (w *world) run(args ...string) result {
	w.t.Helper()
	return w.start(args...).wait()
}

// ok runs alca-mount and expects the code.
func (w *world) expect(code int, args ...string) result {
	w.t.Helper()
	r := w.run(args...)
	if r.code != code {
		w.t.Fatalf("alca-mount %q: want exit %d, got %v", args, code, r)
	}
	return r
}

// tool runs a program that is not ours and has its standard output; codes other than those named fail the test.
func (w *world) tool(codes []int, name string, args ...string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Env, c.Dir = w.env, w.dir
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || !slices.Contains(codes, exit.ExitCode())) {
		w.t.Fatalf("%s %q: %v\n%s%s", name, args, err, out.String(), errs.String())
	}
	return out.String()
}

// copyTree is cp -a.
func (w *world) copyTree(from, to string) {
	w.t.Helper()
	w.tool(nil, "cp", "-a", from, to)
}

// differences is what rsync would have to do to make b what a is. Options are further options of rsync's.
func (w *world) differences(a, b string, options ...string) string {
	w.t.Helper()
	args := append([]string{"-aXAin", "--checksum", "--delete"}, options...)
	return w.tool(nil, "rsync", append(args, a+"/", b+"/")...)
}

// same fails where b is not what a is, times apart if loose.
func (w *world) same(what, a, b string, options ...string) {
	w.t.Helper()
	if d := w.differences(a, b, options...); d != "" {
		w.t.Errorf("%s: what rsync would do to mend it:\n%s", what, d)
	}
}

// facts is all that lstat and the content say of a tree.
func facts(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		f := fmt.Sprintf("ino %d mode %o uid %d size %d mtime %d.%09d", st.Ino, st.Mode, st.Uid, st.Size, st.Mtim.Sec, st.Mtim.Nsec)
		if d.Type().IsRegular() {
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			f += " " + string(b)
		}
		all[p] = f
		return nil
	})
	must(t, err)
	return all
}

// watchOutside remembers the outside as it is; outsideUntouched compares.
func (w *world) watchOutside() { w.t.Helper(); w.watched = facts(w.t, w.outside) }

func (w *world) outsideUntouched() {
	w.t.Helper()
	now := facts(w.t, w.outside)
	for p, was := range w.watched {
		if now[p] != was {
			w.t.Errorf("outside was touched: %s\n was %q\n now %q", p, was, now[p])
		}
		delete(now, p)
	}
	for p := range now {
		w.t.Errorf("made outside: %s", p)
	}
}

// holding are the files below dir that hold the text, by grep, which passes over what it may not read.
func (w *world) holding(text, dir string) []string {
	w.t.Helper()
	out := w.tool([]int{1, 2}, "grep", "-rlZF", "-D", "skip", "--", text, dir)
	return strings.FieldsFunc(out, func(c rune) bool { return c == 0 })
}

// nothingLost: each text is in the project, or kept in the state directory outside of mirrors.
func (w *world) nothingLost(texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		found := append(w.holding(text, w.project), w.holding(text, w.state)...)
		found = slices.DeleteFunc(found, func(p string) bool { return strings.Contains(p, "/mirror/") })
		if len(found) == 0 {
			w.t.Errorf("lost: %q is neither in the project nor kept", text)
		}
	}
}

// sessions is what ls --json lists.
func (w *world) sessions(args ...string) []session {
	w.t.Helper()
	var all []session
	r := w.expect(0, append([]string{"ls", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(r.stdout), &all); err != nil {
		w.t.Fatalf("ls --json: %v\n%v", err, r)
	}
	return all
}

type session struct{ Session, Name, State, Project, Mirror, Folder string }

// onlySession is the one that ls lists.
func (w *world) onlySession() session {
	w.t.Helper()
	all := w.sessions()
	if len(all) != 1 {
		w.t.Fatalf("want one session, ls has %+v", all)
	}
	return all[0]
}

// noMirrorLeft fails if a mirror is left anywhere in the state directory.
func (w *world) noMirrorLeft() {
	w.t.Helper()
	if left := w.tool(nil, "find", w.state, "-name", "mirror", "-o", "-name", ".alca-mount"); left != "" {
		w.t.Errorf("left behind:\n%s", left)
	}
}

// create builds a mirror and has its path.
func (w *world) create(args ...string) string {
	w.t.Helper()
	return strings.TrimSuffix(w.expect(0, append([]string{"create"}, args...)...).stdout, "\n")
}

// appears waits for a file that somebody else makes.
func (w *world) appears(path string) {
	w.t.Helper()
	w.until("file "+path, func() bool { _, err := os.Lstat(path); return err == nil })
}

func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// A gate stops CMD: `gate` in its script (see gated) waits until the test opens it.
type gate struct{ w *world }

// gated makes a gate and the line of shell that waits at it.
func (w *world) gated() (*gate, string) {
	w.t.Helper()
	must(w.t, unix.Mkfifo(filepath.Join(w.dir, "gate"), 0o600))
	return &gate{w}, `pwd > "$TOOLS/at.tmp"; mv "$TOOLS/at.tmp" "$TOOLS/at"; read x < "$TOOLS/gate"`
}

// arrived waits until CMD stands at the gate and has the directory that it is in.
func (g *gate) arrived() string {
	g.w.t.Helper()
	g.w.appears(filepath.Join(g.w.dir, "at"))
	return strings.TrimSpace(read(g.w.t, filepath.Join(g.w.dir, "at")))
}

// open lets CMD go on.
func (g *gate) open() {
	g.w.t.Helper()
	g.w.until("a reader at the gate", func() bool {
		f, err := os.OpenFile(filepath.Join(g.w.dir, "gate"), os.O_WRONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			return false
		}
		defer f.Close()
		_, err = f.WriteString("\n")
		return err == nil
	})
}

// root skips what only root can try.
func root(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
}
