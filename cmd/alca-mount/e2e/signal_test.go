//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A signal to the program reaches CMD; edits come home, the mirror goes, the code says which signal it was.
func TestSignalsEndInSyncAndCleanUp(t *testing.T) {
	for _, s := range []syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT} {
		for _, cmd := range []struct {
			name, script string
			code         int
		}{
			{"CMD dies of it", `echo edit > new; echo more >> a; %s`, 128 + int(s)},
			{"CMD has an end of its own", `trap 'echo late > late; exit 9' TERM INT HUP QUIT; echo edit > new; echo more >> a; %s; exit 8`, 9},
			{"CMD ignores it", `trap "" TERM INT HUP QUIT; echo edit > new; echo more >> a; %s; sleep 1000; exit 8`, 128 + int(unix.SIGKILL)},
		} {
			if cmd.code == 128+int(unix.SIGKILL) && (s == unix.SIGINT || s == unix.SIGQUIT) {
				continue // CMD's own business: an agent at its prompt takes ^C for a word
			}
			t.Run(unix.SignalName(s)+" "+cmd.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, "a=a")
				_, gate := w.gated() // never opened
				p := w.start("--grace", "300ms", "--", "sh", "-c", fmt.Sprintf(cmd.script, gate))
				w.appears(filepath.Join(w.dir, "at"))
				p.signal(s)
				r := p.wait()
				if r.code != cmd.code {
					t.Errorf("want exit %d, got %v", cmd.code, r)
				}
				if read(t, filepath.Join(w.project, "new")) != "edit\n" || read(t, filepath.Join(w.project, "a")) != "a\nmore\n" {
					t.Errorf("edits did not come home: %v", r)
				}
				if _, err := os.Lstat(filepath.Join(w.project, "late")); cmd.code == 9 && err != nil {
					t.Errorf("the edit of CMD's own end did not come home: %v", r)
				}
				w.noMirrorLeft()
			})
		}
	}
}

// Many signals, of all kinds, also during the last sync: the sync is done all the same.
func TestStormOfSignals(t *testing.T) {
	w := newWorld(t, "a=a")
	for i := range 200 {
		write(t, filepath.Join(w.project, fmt.Sprintf("f%d", i)), "old\n")
	}
	g, gate := w.gated()
	p := w.start("--grace", "300ms", "--", "sh", "-c", `trap "" TERM INT HUP QUIT; for f in f*; do echo new > $f; done; `+gate)
	g.arrived()
	g.open()
	stop := w.again(func() {
		for _, s := range []syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT} {
			p.cmd.Process.Signal(s)
		}
		unix.Select(0, nil, nil, nil, &unix.Timeval{Usec: 2000}) // a rate, not a synchronisation
	})
	r := p.wait()
	stop()
	for i := range 200 {
		if got := read(t, filepath.Join(w.project, fmt.Sprintf("f%d", i))); got != "new\n" {
			t.Fatalf("f%d is %q: %v", i, got, r)
		}
	}
	w.noMirrorLeft()
}

func TestSignalDuringTheBuild(t *testing.T) {
	w := newWorld(t)
	for i := range count(1500, 20000) {
		write(t, filepath.Join(w.project, fmt.Sprintf("d%d/f%d", i%50, i)), "old\n")
	}
	before := filepath.Join(w.dir, "before")
	w.copyTree(w.project, before)
	for round := range count(4, 40) {
		p := w.start("--", "sh", "-c", `echo ran > "$TOOLS/ran"`)
		w.until("the build", func() bool {
			found, _ := filepath.Glob(filepath.Join(w.state, "alca-mount/*/sessions/*/mirror/d*"))
			select {
			case <-p.done:
				return true
			default:
				return len(found) > round*4
			}
		})
		p.cmd.Process.Signal(unix.SIGTERM)
		r := p.wait()
		if r.code != 128+int(unix.SIGTERM) && r.code != 0 {
			t.Errorf("round %d: %v", round, r)
		}
		w.noMirrorLeft()
		if len(w.sessions()) != 0 {
			t.Errorf("round %d: sessions left: %v", round, r)
		}
	}
	w.same("project", before, w.project)
}

// kill -9 of CMD is a code; of the program itself, a session that goes on.
func TestKilled(t *testing.T) {
	w := newWorld(t, "a=a")
	w.expect(137, "--", "sh", "-c", `echo edit > new; kill -9 $$`)
	if got := read(t, filepath.Join(w.project, "new")); got != "edit\n" {
		t.Errorf("new: %q", got)
	}
	w.noMirrorLeft()
}

func TestProgramKilledWhileCMDRuns(t *testing.T) {
	w := newWorld(t, victim()...)
	before := filepath.Join(w.dir, "before")
	w.copyTree(w.project, before)
	w.watchOutside()
	_, gate := w.gated()
	p := w.start("--sync", "exit", "--", "sh", "-c", `echo $$ > "$TOOLS/pid"; `+work+"; "+gate)
	w.appears(filepath.Join(w.dir, "at"))
	p.signal(unix.SIGKILL)
	w.same("project", before, w.project)
	pid := strings.TrimSpace(read(t, filepath.Join(w.dir, "pid")))
	w.tool([]int{1}, "kill", "-KILL", pid) // CMD may live on
	p.wait()
	w.endOf(pid)
	w.goesOn(before)
}

// endOf waits until a process that is no child of ours is no more, or is a zombie nobody reaps.
func (w *world) endOf(pid string) {
	w.t.Helper()
	w.until("the end of "+pid, func() bool {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

// goesOn: ls shows the session, sync brings the work home, rm ends it.
func (w *world) goesOn(before string) {
	w.t.Helper()
	s := w.onlySession()
	if s.State != "crashed" {
		w.t.Errorf("ls says %+v", s)
	}
	r := w.expect(0, "sync", "--delete", s.Session)
	expected := filepath.Join(w.dir, "expected")
	w.copyTree(before, expected)
	w.tool(nil, "sh", "-c", "cd "+expected+" && "+work)
	w.same("project", expected, w.project, "--no-times")
	w.afterAttack(before)
	if w.t.Failed() {
		w.t.Logf("%v", r)
	}
	w.expect(0, "rm", s.Session)
	w.noMirrorLeft()
}

// Killed at any moment of the last sync: each file is old or new, and sync finishes.
func TestProgramKilledDuringTheLastSync(t *testing.T) {
	for round := range count(8, 300) {
		w := newWorld(t, victim()...)
		for i := range 40 {
			write(t, filepath.Join(w.project, fmt.Sprintf("many/f%02d", i)), fmt.Sprintf("old %d\n", i))
		}
		before := filepath.Join(w.dir, "before")
		w.copyTree(w.project, before)
		w.watchOutside()
		g, gate := w.gated()
		const edits = `for f in many/f?[02468]; do echo new > $f; done; rm many/f?[159]; ` + work
		p := w.start("--", "sh", "-c", edits+"; "+gate)
		g.arrived()
		g.open()
		var at string
		switch round % 4 {
		case 0:
			at = "the journal" // just begun
			w.until(at, func() bool {
				found, _ := filepath.Glob(w.state + "/alca-mount/*/sessions/*/journal")
				return len(found) > 0
			})
		case 1, 2:
			at = "some files"
			w.until(at, func() bool { return ended(p) || len(w.holding("new", w.project+"/many")) > round })
		case 3:
			at = "the end"
			w.until(at, func() bool {
				_, err := os.Lstat(filepath.Join(w.project, "docs/readme.md"))
				return ended(p) || err != nil
			})
		}
		p.cmd.Process.Kill()
		r := p.wait()
		for i := range 40 {
			b, err := os.ReadFile(filepath.Join(w.project, fmt.Sprintf("many/f%02d", i)))
			old := fmt.Sprintf("old %d\n", i)
			if err == nil && string(b) != old && string(b) != "new\n" || err != nil && i%10 != 1 && i%10 != 5 && i%10 != 9 {
				t.Errorf("round %d, at %s: f%02d is %q %v", round, at, i, b, err)
			}
		}
		for i := range 40 {
			w.nothingLost(fmt.Sprintf("old %d\n", i)[:len(fmt.Sprintf("old %d", i))])
		}
		if all := w.sessions(); len(all) > 0 {
			r := w.run("sync", "--delete", all[0].Session)
			if r.code != 0 && !strings.Contains(r.stderr, "half removed, after all was synced") {
				t.Errorf("round %d, at %s: sync afterwards: %v", round, at, r)
			}
		}
		expected := filepath.Join(w.dir, "expected")
		w.copyTree(before, expected)
		w.tool(nil, "sh", "-c", "cd "+expected+" && "+edits)
		w.same(fmt.Sprintf("round %d, at %s, project", round, at), expected, w.project, "--no-times")
		w.afterAttack(before)
		if t.Failed() {
			t.Fatalf("round %d, at %s: %v", round, at, r)
		}
		for _, s := range w.sessions() {
			w.expect(0, "rm", s.Session)
		}
		w.noMirrorLeft()
	}
}

func ended(p *running) bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Killed during the build: nothing of the project is touched, and what is left can be removed.
func TestProgramKilledDuringTheBuild(t *testing.T) {
	w := newWorld(t)
	for i := range 1500 {
		write(t, filepath.Join(w.project, fmt.Sprintf("d%d/f%d", i%50, i)), "old\n")
	}
	before := filepath.Join(w.dir, "before")
	w.copyTree(w.project, before)
	for round := range count(4, 40) {
		p := w.start("create")
		w.until("the build", func() bool {
			found, _ := filepath.Glob(filepath.Join(w.state, "alca-mount/*/sessions/*/mirror/d*"))
			return ended(p) || len(found) > round*5
		})
		p.cmd.Process.Kill()
		p.wait()
		for _, s := range w.sessions() {
			r := w.run("sync", "--delete", s.Session)
			if r.code != 0 && r.code != 125 {
				t.Errorf("round %d: %v", round, r)
			}
			w.expect(0, "rm", "--force", s.Session)
		}
		w.same("project", before, w.project)
		w.noMirrorLeft()
		if t.Failed() {
			return
		}
	}
}
