//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A race changes a directory as fast as it can while the program syncs. Places are relative to the racing side.
type race struct {
	name  string
	setup func(w *world, side string) // once per round
	step  func(w *world, side string) // again and again; its errors are the race's business
}

func swap(a, b string) { unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE) }

// mirrorRaces run in the mirror.
func mirrorRaces() []race {
	in := filepath.Join
	return []race{
		{name: "directory and link outside",
			setup: func(w *world, m string) { os.Symlink(in(w.outside, "dir"), in(m, "swap")) },
			step:  func(w *world, m string) { swap(in(m, "src"), in(m, "swap")) }},
		{name: "nested directory and link outside",
			setup: func(w *world, m string) { os.Symlink(in(w.outside, "dir/sub"), in(m, "src/swap")) },
			step:  func(w *world, m string) { swap(in(m, "src/sub"), in(m, "src/swap")) }},
		{name: "read-only directory and link outside",
			setup: func(w *world, m string) {
				os.Chmod(in(m, "ro"), 0o755)
				os.Symlink(in(w.outside, "dir"), in(m, "swap"))
			},
			step: func(w *world, m string) { swap(in(m, "ro"), in(m, "swap")) }},
		{name: "file and link outside",
			setup: func(w *world, m string) { os.Symlink(in(w.outside, "target.txt"), in(m, "src/swap")) },
			step:  func(w *world, m string) { swap(in(m, "src/util.go"), in(m, "src/swap")) }},
		{name: "file and link to hidden",
			setup: func(w *world, m string) { os.Symlink("../.env", in(m, "src/swap")) },
			step:  func(w *world, m string) { swap(in(m, "src/util.go"), in(m, "src/swap")) }},
		{name: "file and hard link to a secret",
			setup: func(w *world, m string) { unix.Mkfifo(in(m, "src/fifo"), 0o600) },
			step:  func(w *world, m string) { swap(in(m, "src/main.go"), in(m, "src/fifo")) }},
		{name: "source and hidden name",
			setup: func(w *world, m string) { os.Mkdir(in(m, "secrets"), 0o755) },
			step:  func(w *world, m string) { swap(in(m, "src"), in(m, "secrets")) }},
		{name: "rule file rewritten",
			step: func(w *world, m string) {
				os.WriteFile(in(m, "pwn"), []byte("!*\n"), 0o644)
				swap(in(m, "pwn"), in(m, ".agentreadonly"))
				os.WriteFile(in(m, ".agentignore"), []byte("!*\n"), 0o644)
				os.Remove(in(m, ".agentignore"))
			}},
		{name: "read-only file rewritten",
			step: func(w *world, m string) {
				os.WriteFile(in(m, "pwn"), []byte("pwn\n"), 0o644)
				os.Rename(in(m, "pwn"), in(m, "locked.txt"))
				os.Remove(in(m, "locked.txt"))
			}},
		{name: "hooks",
			step: func(w *world, m string) {
				os.MkdirAll(in(m, ".GIT/hooks"), 0o755)
				os.WriteFile(in(m, ".GIT/hooks/x"), []byte("pwn\n"), 0o755)
				os.Rename(in(m, ".GIT"), in(m, "plain"))
				os.Rename(in(m, "plain"), in(m, ".git"))
				os.Rename(in(m, ".git"), in(m, "docs/.Git"))
				os.RemoveAll(in(m, "docs/.Git"))
			}},
	}
}

// projectRaces run in the project: as if the user, or something the user started, moved things about.
func projectRaces() []race {
	in := filepath.Join
	return []race{
		{name: "directory and link outside",
			setup: func(w *world, p string) { os.Symlink(in(w.outside, "dir"), in(w.dir, "swap")) },
			step:  func(w *world, p string) { swap(in(p, "src"), in(w.dir, "swap")) }},
		{name: "nested directory and link outside",
			setup: func(w *world, p string) { os.Symlink(in(w.outside, "dir/sub"), in(w.dir, "swap")) },
			step:  func(w *world, p string) { swap(in(p, "src/sub"), in(w.dir, "swap")) }},
		{name: "file and link outside",
			setup: func(w *world, p string) { os.Symlink(in(w.outside, "target.txt"), in(w.dir, "swap")) },
			step:  func(w *world, p string) { swap(in(p, "src/main.go"), in(w.dir, "swap")) }},
		{name: "directory moved away and back",
			step: func(w *world, p string) {
				os.Rename(in(p, "src"), in(w.dir, "away"))
				os.Rename(in(w.dir, "away"), in(p, "src"))
			}},
	}
}

// work changes, adds and deletes at all the places where the races are.
const work = `echo more >> src/main.go; echo more >> src/util.go; echo more >> src/sub/x.go; echo new > src/new; echo new > src/sub/new; rm docs/readme.md; echo v2 > src/victim.txt`

// The last sync runs against a racer that nothing of alca-mount's can end, on the mirror's side.
func TestRacesInTheMirror(t *testing.T) {
	for _, r := range mirrorRaces() {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			for round := range count(2, 60) {
				raceOnce(t, round, r, func(w *world, mirror string) string { return mirror })
			}
		})
	}
}

// And on the project's.
func TestRacesInTheProject(t *testing.T) {
	for _, r := range projectRaces() {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			for round := range count(2, 60) {
				raceOnce(t, round, r, func(w *world, mirror string) string { return w.project })
			}
		})
	}
}

func raceOnce(t *testing.T, round int, r race, side func(w *world, mirror string) string) {
	w := newWorld(t, victim()...)
	before := filepath.Join(w.dir, "before")
	w.copyTree(w.project, before)
	w.watchOutside()
	g, gate := w.gated()
	p := w.start("--", "sh", "-c", work+"; "+gate+"; exit 5")
	place := side(w, g.arrived())
	if r.setup != nil {
		r.setup(w, place)
	}
	stop := w.again(func() { r.step(w, place) })
	g.open()
	end := p.wait()
	stop()
	if side(w, "") == w.project {
		w.putBack()
	}
	if end.code != 5 && end.code != 125 {
		t.Errorf("round %d: %v", round, end)
	}
	w.afterAttack(before)
	t.Logf("round %d: %v", round, end)
	if t.Failed() {
		t.FailNow()
	}
}

// again does something in a loop until the returned function is called.
func (w *world) again(do func()) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			default:
				do()
			}
		}
	}()
	return func() { close(quit); <-done }
}

// putBack undoes what a race of the project's side left exchanged or away, as its user would.
func (w *world) putBack() {
	w.t.Helper()
	for _, p := range []string{"src", "src/sub", "src/main.go"} {
		target, err := os.Readlink(filepath.Join(w.project, p))
		if err == nil && strings.HasPrefix(target, w.outside) {
			swap(filepath.Join(w.project, p), filepath.Join(w.dir, "swap"))
		}
	}
	away := filepath.Join(w.dir, "away")
	if _, err := os.Lstat(away); errors.Is(err, os.ErrNotExist) {
		return
	}
	src := filepath.Join(w.project, "src")
	if _, err := os.Lstat(src); err == nil {
		w.tool(nil, "cp", "-an", away+"/.", src) // both are there: the sync made src again meanwhile
		return
	}
	must(w.t, os.Rename(away, src))
}

// A racer that CMD leaves behind is ended before the last sync: what it wrote comes home whole or is refused.
func TestRacerLeftByCMD(t *testing.T) {
	scripts := map[string]string{
		"background":   `%s &`,
		"new session":  `setsid sh -c '%s' &`,
		"ignores all":  `trap "" TERM HUP INT QUIT; setsid sh -c 'trap "" TERM HUP INT QUIT; %s' >/dev/null 2>&1 </dev/null &`,
		"twice forked": `( setsid sh -c '%s' & ) &`,
	}
	loop := `echo \$\$ > "$TOOLS/racer.tmp" && mv "$TOOLS/racer.tmp" "$TOOLS/racer"; ln -s "$OUTSIDE/dir" swap; while :; do mv src keep; mv swap src; mv src swap; mv keep src; done 2>/dev/null`
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, victim()...)
			before := filepath.Join(w.dir, "before")
			w.copyTree(w.project, before)
			w.watchOutside()
			inner := strings.ReplaceAll(loop, `\$\$`, `$$`)
			if name == "background" {
				inner = `sh -c '` + inner + `'`
			}
			r := w.run("--grace", "2s", "--", "sh", "-c", work+"; "+fmt.Sprintf(script, inner)+
				` while ! test -e "$TOOLS/racer"; do :; done; exit 5`)
			if r.code != 5 {
				t.Errorf("%v", r)
			}
			pid := strings.TrimSpace(read(t, filepath.Join(w.dir, "racer")))
			if _, err := os.Stat("/proc/" + pid); err == nil {
				t.Errorf("the racer lives on: %s", w.tool(nil, "ps", "-fp", pid))
				w.tool(nil, "kill", "-KILL", pid)
			}
			w.afterAttack(before)
			if t.Failed() {
				t.Logf("%v", r)
			}
		})
	}
}

// A daemon's write that was made before the end comes home.
func TestDaemonsWriteComesHome(t *testing.T) {
	w := newWorld(t, "a=a")
	w.expect(0, "--", "sh", "-c",
		`setsid sh -c 'trap "" HUP; echo 1 > daemon; echo > "$TOOLS/wrote"; while :; do echo more >> daemon; done' >/dev/null 2>&1 & while ! test -e "$TOOLS/wrote"; do :; done`)
	if got := read(t, filepath.Join(w.project, "daemon")); !strings.HasPrefix(got, "1\n") || !strings.HasSuffix(got, "\n") {
		t.Errorf("the daemon's file: %.20q", got)
	}
	w.noMirrorLeft()
}
