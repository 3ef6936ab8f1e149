//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// folding has its project on a file system that keeps the case of names and ignores it, as macOS and Windows do.
func folding(t *testing.T, tree ...string) *world {
	t.Helper()
	root(t)
	const python = "/usr/bin/python3" // the system's own: it has the system's packages
	if err := exec.Command(python, "-c", "import fusepy").Run(); err != nil {
		t.Skip("needs python3-fusepy")
	}
	w := newWorld(t)
	at := filepath.Join(w.dir, "folded")
	must(t, os.Mkdir(at, 0o755))
	must(t, os.Mkdir(at+".real", 0o755))
	fs := exec.Command(python, "testdata/foldfs.py", at+".real", at)
	fs.Stderr = os.Stderr
	must(t, fs.Start())
	t.Cleanup(func() {
		must(t, unix.Unmount(at, unix.MNT_DETACH))
		must(t, fs.Wait())
	})
	w.until("the file system is there", func() bool {
		var st unix.Statfs_t
		return unix.Statfs(at, &st) == nil && st.Type == unix.FUSE_SUPER_MAGIC
	})
	w.project = filepath.Join(at, "project")
	must(t, os.Mkdir(w.project, 0o755))
	plant(t, w.project, tree...)
	return w
}

// listed is the files below dir in their own spelling, with what they hold.
func listed(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	for p := range facts(t, dir) {
		if info, err := os.Lstat(p); err == nil && info.Mode().IsRegular() {
			out = append(out, strings.TrimPrefix(p, dir+"/")+"="+strings.Join(strings.Fields(read(t, p)), " "))
		}
	}
	slices.Sort(out)
	return out
}

// A rename that changes the case alone comes home, and is undone; two names that differ in case alone can't both be there.
func TestNamesThatDifferInCaseAlone(t *testing.T) {
	tree := []string{".agentignore=secret", "README.MD=readme", "foo.go=old", "lib/secret=KEY", "lib/l=lib", "src/a=a", "src/sub/b=b"}
	want := []string{".agentignore=secret", "README.md=readme", "Src/a=a more", "Src/new=new", "Src/sub/b=b", "foo.go=old"}
	const agent = `set -e
mv README.MD README.md
mv src Src; echo more >> Src/a; echo new > Src/new
echo other > Foo.go
mv lib Lib`
	for _, mode := range []string{"live", "exit"} {
		t.Run(mode, func(t *testing.T) {
			w := folding(t, tree...)
			before := listed(t, w.project)
			r := w.expect(0, "--sync", mode, "--", "sh", "-c", agent)
			after := listed(t, w.project)
			for _, f := range want {
				if !slices.Contains(after, f) {
					t.Errorf("%s is not in the project: %q\n%s", f, after, r)
				}
			}
			if !slices.Contains(after, "lib/secret=KEY") || !strings.Contains(r.stderr, "Foo.go  the project's file system takes it for foo.go") {
				t.Errorf("%s", r)
			}
			w.nothingLost("other", "lib", "readme", "old")
			w.expect(0, "undo", w.sessions("--all")[0].Session)
			if now := listed(t, w.project); !slices.Equal(now, before) {
				t.Errorf("after undo: %q, was %q", now, before)
			}
		})
	}
}

// Another spelling of a hidden or protected path leads to no content of it, and its version does not come home.
func TestHiddenPathsInAnotherCase(t *testing.T) {
	tree := []string{".agentignore=secrets/\n.env\n", ".agentreadonly=prod.yml", ".env=TOKEN", "prod.yml=prod", "secrets/k=KEY", "src/a=a"}
	w := folding(t, tree...)
	before := listed(t, w.project)
	r := w.expect(0, "--", "sh", "-c", `
for p in .ENV SECRETS/K PROD.YML .AgentIgnore; do mkdir -p "$(dirname "$p")"; echo EVIL > "$p"; done
sleep 0.5
rm -rf .ENV SECRETS
sleep 0.5
cat .ENV SECRETS/K; echo EVIL > .Env; mkdir Secrets; echo EVIL > Secrets/k`)
	if strings.Contains(r.stdout, "TOKEN") || strings.Contains(r.stdout, "KEY") {
		t.Errorf("%s", r)
	}
	if after := listed(t, w.project); !slices.Equal(after, before) {
		t.Errorf("the project is %q, was %q", after, before)
	}
}
