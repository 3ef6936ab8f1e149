//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// attempts are those of the attack that would succeed if a claim of the start event were untrue. Nil: no such claim is known.
func attempts(claim string) []string {
	if strings.HasPrefix(claim, "sockets: /run/user/") {
		claim = "sockets: hidden"
	}
	return map[string][]string{
		"project path: is the mirror": {"by its path", "in the whole project", "by moving the project", "by umount"},
		"hidden: under no mounted path": {
			"through the mirror's path", "state directory listed", "through a bind alias", "through an alias of a directory in it",
			"through an overlay with it below", "through an alias of the state", "by an old descriptor", "by descriptors that are open",
			"by a nested namespace", "by a nested bind", "by its inode", "through a nested overlay", "through init's root", "by another /proc",
		},
		"read-only: by the kernel": {
			"locked.txt: open", "locked.txt: rename over", "locked.txt: unlink", "mixed/locked.txt: move its directory away and back",
			"ro/a.txt: nested namespace", "locked.txt: chmod and open", "locked.txt: link", "locked.txt: mount over",
		},
		"processes: own pid and ipc namespace, no capabilities, no new privileges": {
			"by capabilities", "by new privileges", "by ptrace of init", "by a process outside", "through init's memory", "by shared memory",
			"by watching all files", "by nsenter",
		},
		"devices: none that hold files":                             {"by a device", "by a device made", "by devices of memory and programs"},
		"control groups and settings of devices: not to be written": {"by control groups", "by settings of devices"},
		"sockets: hidden": {
			"by a tmux outside", "tmux sockets seen", "by a socket of the runtime directory",
		},
		"signals and abstract sockets: own processes only": {"by an abstract socket", "by a process outside"},
	}[claim]
}

// claimed fails for a claim that no attempt is known of, or whose attempts were not all made and held, and where less is
// claimed than held.
func claimed(t *testing.T, list []string, out string) {
	t.Helper()
	for _, claim := range list {
		tried := attempts(claim)
		if tried == nil {
			t.Errorf("nothing tries the claim %q", claim)
		}
		for _, name := range tried {
			if !strings.Contains(out, "held "+name+"\n") {
				t.Errorf("claimed is %q, and %q did not hold", claim, name)
			}
		}
	}
	if want := 8; len(list) != want && !(len(list) == want-1 && !slices.Contains(list, "signals and abstract sockets: own processes only")) {
		t.Errorf("%d claims, want %d: %q", len(list), want, list)
	}
}

// enforced is what the start event says that holds.
func enforced(t *testing.T, events string) []string {
	t.Helper()
	for line := range strings.Lines(read(t, events)) {
		var e struct {
			Event    string
			Enforced []string
		}
		must(t, json.Unmarshal([]byte(line), &e))
		if e.Event == "start" {
			return e.Enforced
		}
	}
	t.Fatal("no start event")
	return nil
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info.Sys().(*syscall.Stat_t).Ino
}

// Where there are no user namespaces, auto says so in a line and goes on, and namespace refuses: both before they copy.
func TestNamespaceFallsBackInOneLine(t *testing.T) {
	w := confined(t, "a=1")
	filter, err := os.ReadFile("testdata/no_namespaces.py")
	must(t, err)
	write(t, filepath.Join(w.dir, "filter.py"), string(filter))
	for name, c := range map[string]struct {
		prefix []string
		says   string
	}{
		"sysctl":  {[]string{"unshare", "-Urm", "sh", "-c", `echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"`, "sh"}, "sysctl -w user.max_user_namespaces"},
		"seccomp": {[]string{"python3", filepath.Join(w.dir, "filter.py")}, "--security-opt seccomp=unconfined"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(c.prefix[0]); err != nil {
				t.Skip("needs " + c.prefix[0])
			}
			w := *w
			w.t, w.prefix = t, c.prefix
			r := w.expect(125, "--isolation", "namespace", "--", "touch", "ran")
			if !strings.Contains(r.stderr, c.says) || strings.Count(r.stderr, "\n") != 1 {
				t.Errorf("want one line that says %q: %v", c.says, r)
			}
			r = w.expect(0, "-q", "--isolation", "auto", "--", "cat", "a")
			if r.stdout != "1\n" {
				t.Errorf("auto: %v", r)
			}
			r = w.expect(0, "--isolation", "auto", "--", "true")
			n := 0
			for line := range strings.Lines(r.stderr) {
				if strings.Contains(line, c.says) {
					n++
				}
			}
			if n != 1 {
				t.Errorf("auto: want one line that says %q: %v", c.says, r)
			}
			w.expect(125, "--isolation", "auto", "--no-network", "--", "touch", "ran")
			if _, err := os.Lstat(filepath.Join(w.project, "ran")); err == nil {
				t.Error("CMD ran")
			}
			w.noMirrorLeft()
		})
	}
}

// Root works on a user's project as its owner would: root's command owns what it sees, and what comes home is the user's.
func TestNamespaceOfRootOnAUsersProject(t *testing.T) {
	root(t)
	const user = 12345
	w := confined(t, "locked!440=one", ".agentreadonly=locked", ".agentignore=.env", ".env="+secret, "a=1", "node_modules/m=2")
	w.tool(nil, "chown", "-R", fmt.Sprintf("%d:%d", user, user+1), w.project)
	run := w.start("-q", "--isolation", "namespace", "--overlay", "node_modules", "--", "sh", "-c",
		`cat .env; echo 2 >> a && chmod 600 a && mkdir d && echo new > d/new && echo 3 > node_modules/x && echo x > locked; until grep -q two locked; do sleep 0.01; done; rm locked; cat locked`)
	w.appears(filepath.Join(w.project, "d/new"))
	write(t, filepath.Join(w.project, "locked"), "two")
	if r := run.wait(); r.stdout != "two" {
		t.Errorf("want the user's second version, and nothing hidden: %v", r)
	}
	for _, name := range []string{"a", "d", "d/new", "locked", "node_modules/m"} {
		info, err := os.Stat(filepath.Join(w.project, name))
		must(t, err)
		if st := info.Sys().(*syscall.Stat_t); st.Uid != user || st.Gid != user+1 {
			t.Errorf("%s belongs to %d:%d", name, st.Uid, st.Gid)
		}
	}
	if got := read(t, filepath.Join(w.project, "a")); got != "1\n2\n" {
		t.Errorf("a = %q", got)
	}
}

// What appears outside while CMD runs is covered too, a moment later: sockets, folders of the sync's own, another directory
// at the project's path.
func TestNamespaceCoversWhatComesLater(t *testing.T) {
	w := confined(t, "a=1", ".agentignore=.env", ".env="+secret)
	runtime, staging := filepath.Join(w.dir, "later/run"), fmt.Sprintf("%s/.alca-mount-%d", w.dir, os.Getuid())
	w.env = append(w.env, "XDG_RUNTIME_DIR="+runtime, "STAGING="+staging)
	write(t, filepath.Join(w.dir, "look.sh"), `
echo ready > "$TOOLS/ready"
until [ -e "$TOOLS/go" ]; do sleep 0.01; done
for p in "$XDG_RUNTIME_DIR/s" "$STAGING/version" "$ALCA_MOUNT_PROJECT/.env"; do
	n=0
	while [ -e "$p" ] && [ $n -lt 1000 ]; do sleep 0.01; n=$((n+1)); done
	[ -e "$p" ] && echo "BROKE $p"
done
[ -d "$XDG_RUNTIME_DIR" ] && [ -d "$STAGING" ] && cat "$ALCA_MOUNT_PROJECT/a"
`)
	run := w.start("-q", "--isolation", "namespace", "--sync", "exit", "--", "sh", filepath.Join(w.dir, "look.sh"))
	w.until("CMD", func() bool { _, err := os.Lstat(filepath.Join(w.dir, "ready")); return err == nil })
	must(t, os.MkdirAll(runtime, 0o700))
	oracle(t, filepath.Join(runtime, "s"))
	write(t, filepath.Join(staging, "version"), secret)
	must(t, os.Rename(w.project, w.project+"-old"))
	w.copyTree(w.project+"-old", w.project)
	write(t, filepath.Join(w.dir, "go"), "")
	if r := run.wait(); r.stdout != "1\n" {
		t.Errorf("want the mirror's file alone: %v", r)
	}
}

// An ordinary user's namespace knows that user alone, and ssh reads no settings of somebody unknown.
func TestNamespaceLetsSSHReadItsSettings(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root's namespace knows all users")
	}
	for _, tool := range []string{"ssh", "git", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	if !strings.Contains(read(t, "/etc/ssh/ssh_config"), "ssh_config.d") {
		t.Skip("ssh's settings include no directory")
	}
	w := confined(t, "a=1")
	of := w.tool(nil, "find", "/usr/lib", "-size", "0", "-uid", "0", "-type", "f", "-print", "-quit")
	if of == "" {
		t.Skip("no empty file of root's to be had")
	}
	w.prefix = []string{"unshare", "-Um", "--map-current-user", "--keep-caps", "sh", "-c", fmt.Sprintf(
		`mount -t tmpfs t /etc/ssh/ssh_config.d && touch /etc/ssh/ssh_config.d/x.conf && mount --bind '%s' /etc/ssh/ssh_config.d/x.conf && exec "$@"`, strings.TrimSpace(of)), "sh"}
	ask := []string{"sh", "-c", "git ls-remote ssh://nobody@localhost:1/x 2>&1; ssh -G localhost >/dev/null && echo settings read"}
	if r := w.run(append([]string{"-q", "--isolation", "none", "--"}, ask...)...); !strings.Contains(r.stdout, "Bad owner") {
		t.Skipf("ssh does not mind an unknown owner here: %v", r)
	}
	r := w.expect(0, append([]string{"-q", "--isolation", "namespace", "--"}, ask...)...)
	if strings.Contains(r.stdout, "Bad owner") || !strings.Contains(r.stdout, "settings read") {
		t.Error(r)
	}
}
