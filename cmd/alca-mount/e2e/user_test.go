//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The user saves while the last sync runs, as editors do: what was saved last is in the project or kept, always, and so
// is every line of a file that was held open and appended to.
func TestUsersSavesDuringTheLastSync(t *testing.T) {
	saves := map[string]func(path, content string) error{
		"by rename": func(path, content string) error {
			if err := os.WriteFile(path+".new", []byte(content), 0o644); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
		"in place": func(path, content string) error { return os.WriteFile(path, []byte(content), 0o644) },
		"by backup": func(path, content string) error { // as vim does: the old away, the new in its place
			os.Rename(path, path+".bak")
			return os.WriteFile(path, []byte(content), 0o644)
		},
		"removed and made": func(path, content string) error {
			os.Remove(path)
			return os.WriteFile(path, []byte(content), 0o644)
		},
	}
	for name, save := range saves {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for round := range count(3, 80) {
				w := newWorld(t, "f=old", "g=old", "h=old", "d/i=old")
				g, gate := w.gated()
				p := w.start("--", "sh", "-c", `echo agent > f; rm g; echo agent > new; rm -rf d; echo agent > d; `+gate)
				g.arrived()
				last := map[string]string{}
				n := 0
				stop := w.again(func() {
					for _, f := range []string{"f", "g", "h", "new"} {
						n++
						content := fmt.Sprintf("user's save %06d of %s\n", n, f)
						if save(filepath.Join(w.project, f), content) == nil {
							last[f] = content
						}
					}
				})
				w.until("saves", func() bool { _, err := os.Lstat(w.project + "/new"); return err == nil })
				g.open()
				r := p.wait()
				stop()
				for f, content := range last {
					if len(w.kept(strings.TrimSpace(content))) == 0 {
						t.Errorf("round %d: the last save of %s is lost: %q", round, f, content)
					}
				}
				w.nothingLost("agent")
				if t.Failed() {
					t.Fatalf("round %d: %v", round, r)
				}
			}
		})
	}
}

// kept are the places in the project and the state directory, mirrors apart, that hold the text.
func (w *world) kept(text string) []string {
	w.t.Helper()
	var all []string
	for _, p := range append(w.holding(text, w.project), w.holding(text, w.state)...) {
		if !strings.Contains(p, "/mirror/") {
			all = append(all, p)
		}
	}
	return all
}

func TestLinesOfALoggerDuringTheLastSync(t *testing.T) {
	for round := range count(4, 80) {
		w := newWorld(t, "log=first", "other=old")
		log, err := os.OpenFile(w.project+"/log", os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		g, gate := w.gated()
		p := w.start("--", "sh", "-c", `echo agent >> log; echo agent > other; `+gate)
		g.arrived()
		n := 0
		stop := w.again(func() {
			n++
			fmt.Fprintf(log, "line %06d\n", n)
		})
		g.open()
		r := p.wait()
		stop()
		log.Close()
		lines := map[string]bool{}
		for _, f := range append(w.kept("line "), w.kept("first")...) {
			for _, l := range strings.Split(read(t, f), "\n") {
				lines[l] = true
			}
		}
		missing := 0
		for i := 1; i <= n; i++ {
			if !lines[fmt.Sprintf("line %06d", i)] {
				missing++
			}
		}
		if missing > 0 {
			t.Fatalf("round %d: %d of %d lines are lost: %v", round, missing, n, r)
		}
		w.nothingLost("agent")
		t.Logf("round %d: %d lines, %v", round, n, r)
	}
}

// Rule files that can't be read, or are no files, are an error: never no rules.
func TestNoRulesIsNeverTheAnswer(t *testing.T) {
	for name, script := range map[string]string{
		"a directory":        `rm .agentignore; mkdir .agentignore`,
		"a fifo":             `rm .agentignore; mkfifo .agentignore`,
		"a dangling link":    `rm .agentignore; ln -s nowhere .agentignore`,
		"a link to itself":   `rm .agentignore; ln -s .agentignore .agentignore`,
		"a link outside":     `mv .agentignore ../rules; ln -s ../rules .agentignore`,
		"a device":           `rm .agentignore; ln -s /dev/null .agentignore`,
		"per agent, a fifo":  `rm .sh.agentignore; mkfifo .sh.agentignore`,
		"read-only a fifo":   `rm .agentreadonly; mkfifo .agentreadonly`,
		"per agent, no file": `rm .sh.agentignore; ln -s /dev/null .sh.agentignore`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, victim()...)
			w.tool(nil, "sh", "-c", `cd "$1"; `+script, "sh", w.project)
			r := w.run("--", "sh", "-c", `grep -rlF -f "$TOOLS/needle" . > "$TOOLS/found"; cat "$TOOLS/found"`)
			if r.code != 125 && name != "a link outside" {
				t.Errorf("%v", r)
			}
			if strings.Contains(r.stdout, "./") {
				t.Errorf("hidden content was shown: %v", r)
			}
			w.noMirrorLeft()
		})
	}
}

// What the user names never leads out of the project or the state directory.
func TestNamesThatClimb(t *testing.T) {
	w := newWorld(t, victim()...)
	before := filepath.Join(w.dir, "before")
	w.copyTree(w.project, before)
	w.watchOutside()
	must(t, os.Symlink(w.project, filepath.Join(w.dir, "alias")))
	mirror := w.create("--name", "m", "--agent", "sh")
	write(t, mirror+"/src/main.go", "agent\n")
	for _, args := range [][]string{
		{"create", "--name", "../../x"}, {"create", "--name", "-x"}, {"create", "--name", "m"}, {"create", "--name", ""},
		{"create", "--mirror-dir", w.project}, {"create", "--mirror-dir", w.project + "/in"}, {"create", "--mirror-dir", w.dir},
		{"create", "--mirror-dir", filepath.Join(w.dir, "alias/in")}, {"create", "--mirror-dir", "/"}, {"create", "--mirror-dir", w.home},
		{"create", "--mirror-dir", w.outside}, {"create", "--agent", "../x"}, {"create", "--agent", "a/b"},
		{"sync", "m", "../outside/target.txt"}, {"sync", "m", w.outside + "/target.txt"}, {"sync", "m", "src/../../outside/target.txt"},
		{"sync", ".."}, {"sync", w.project}, {"sync", w.outside}, {"rm", w.project}, {"rm", "--force", w.outside}, {"rm", "--force", "../../x"}, {"rm", ""},
		{"-C", "/", "create"}, {"-C", w.home, "create"},
	} {
		if r := w.run(args...); r.code != 125 {
			t.Errorf("%q: want 125, got %v", args, r)
		}
	}
	w.same("project", before, w.project)
	w.outsideUntouched()
	if s := w.onlySession(); s.Name != "m" {
		t.Errorf("sessions: %+v", s)
	}
	w.expect(0, "rm", "--force", "m")
	w.noMirrorLeft()
}
