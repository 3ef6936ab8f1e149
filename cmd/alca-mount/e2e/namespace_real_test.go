//go:build linux

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What people do in their projects says the same in a namespace as outside: git status, go test, npm test.
func TestRealProjectsSayTheSameInside(t *testing.T) {
	t.Run("go", func(t *testing.T) {
		w := confined(t)
		for _, v := range []string{"GOCACHE", "GOMODCACHE"} {
			w.env = append(w.env, v+"="+strings.TrimSpace(asked(t, w.dir, "go", "env", v)))
		}
		w.env = append(w.env, "GOFLAGS=-mod=mod", "GOTOOLCHAIN=local")
		var module struct{ Dir string }
		must(t, json.Unmarshal([]byte(asked(t, w.dir, "go", "mod", "download", "-json", "github.com/spf13/pflag@v1.0.10")), &module))
		w.tool(nil, "cp", "-rT", "--no-preserve=all", module.Dir, w.project)
		w.saysTheSame("go test -count=1 ./...", "ok  \tgithub.com/spf13/pflag")
	})
	t.Run("npm", func(t *testing.T) {
		w := confined(t)
		asked(t, w.dir, "npm", "pack", "inherits@2.0.1")
		w.env = append(w.env, "npm_config_update_notifier=false")
		w.tool(nil, "tar", "-xf", filepath.Join(w.dir, "inherits-2.0.1.tgz"), "--strip-components=1", "-C", w.project)
		w.saysTheSame("npm test", "ok")
	})
}

// asked is what a program says that may be missing, as may what it asks over the network.
func asked(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = dir
	out, err := c.Output()
	if err != nil {
		t.Skipf("%s %q: %v", name, args, err)
	}
	return string(out)
}

// saysTheSame makes the project a repository with something to tell about, and compares.
func (w *world) saysTheSame(test, want string) {
	w.t.Helper()
	git := func(args ...string) {
		w.tool(nil, "git", append([]string{"-C", w.project, "-c", "user.name=a", "-c", "user.email=a@b"}, args...)...)
	}
	git("init", "-q")
	git("add", "-A")
	git("commit", "-qm", "all")
	plant(w.t, w.project, "README.md=changed", "new.txt=new", "sub/new.txt=new")
	script := "pwd && echo $PWD && git status --porcelain && git diff --stat && git log --oneline && " + test
	outside := exec.Command("sh", "-c", script)
	outside.Dir, outside.Env = w.project, append([]string{"PWD=" + w.project}, w.env...)
	expect, err := outside.CombinedOutput()
	if err != nil {
		w.t.Fatalf("it does not pass outside: %v\n%s", err, expect)
	}
	inside := w.expect(0, "-q", "--isolation", "namespace", "--git", "copy", "--", "sh", "-c", "("+script+") 2>&1")
	took := regexp.MustCompile(`\d+\.\d+s`)
	if got, want := took.ReplaceAllString(inside.stdout, "TIME"), took.ReplaceAllString(string(expect), "TIME"); got != want {
		w.t.Errorf("inside:\n%s\noutside:\n%s", got, want)
	}
	if !strings.Contains(inside.stdout, want) {
		w.t.Errorf("no %q in what it says:\n%s", want, inside.stdout)
	}
	if _, err := os.Lstat(filepath.Join(w.project, ".git/index.lock")); err == nil {
		w.t.Error("a lock is left in the repository")
	}
}
