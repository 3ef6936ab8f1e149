//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What happens to the mirror while CMD runs: never does the project lose a file by it.
func TestMirrorThatVanishesDeletesNothing(t *testing.T) {
	type vanish struct {
		name, script string
	}
	all := []vanish{
		{name: "removed", script: `cd /; rm -rf "$M"`},
		{name: "emptied", script: `cd /; find "$M" -mindepth 1 -delete`},
		{name: "emptied but for the marker", script: `cd "$M"; find . -mindepth 1 ! -name .alca-mount -delete`},
		{name: "renamed away", script: `mv "$M" "$M.away"`},
		{name: "replaced by an empty directory", script: `mv "$M" "$M.away"; mkdir "$M"`},
		{name: "replaced by a directory with the marker", script: `mv "$M" "$M.away"; mkdir "$M"; cp -a "$M.away/.alca-mount" "$M/"`},
		{name: "replaced by a link outside", script: `mv "$M" "$M.away"; ln -s "$OUTSIDE" "$M"`},
		{name: "replaced by a link outside with the marker", script: `mkdir "$TOOLS/other"; cp -a "$M/.alca-mount" "$TOOLS/other/"; cp -a "$M" "$M.away"; rm -rf "$M"; ln -s "$TOOLS/other" "$M"`},
		{name: "replaced by a file", script: `mv "$M" "$M.away"; echo file > "$M"`},
		{name: "replaced by a fifo", script: `mv "$M" "$M.away"; mkfifo "$M"`},
		{name: "marker removed", script: `rm -f "$M/.alca-mount"`},
		{name: "marker a link", script: `mv "$M/.alca-mount" "$TOOLS/marker"; ln -s "$TOOLS/marker" "$M/.alca-mount"`},
		{name: "marker a directory", script: `rm -f "$M/.alca-mount"; mkdir "$M/.alca-mount"`},
		{name: "the whole session's folder removed", script: `cd /; rm -rf "$(dirname "$M")"`},
	}
	for _, v := range all {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, victim()...)
			before := filepath.Join(w.dir, "before")
			w.copyTree(w.project, before)
			w.watchOutside()
			r := w.run("--", "sh", "-c", `M=$PWD; `+v.script+`; exit 0`)
			w.outsideUntouched()
			w.keptIsThere(r)
			w.nothingLost(versions()...)
			if v.name == "emptied but for the marker" {
				return // looks like rm -rf *: what is deleted then is kept, see TestAttacks
			}
			w.same("project", before, w.project)
			if strings.Contains(r.stderr, "versions are kept in") && v.name == "the whole session's folder removed" {
				t.Errorf("it tells of what is gone: %v", r)
			}
			if r.code == 0 {
				t.Errorf("the last sync could not be done, and the exit code hides it: %v", r)
			}
			if strings.Contains(r.stderr, "panic") || strings.Contains(r.stderr, "goroutine ") {
				t.Errorf("%v", r)
			}
		})
	}
}

// The same from outside, while the last sync runs.
func TestMirrorRemovedDuringTheLastSync(t *testing.T) {
	for _, how := range []string{"removed", "renamed", "project renamed"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			for round := range count(4, 60) {
				w := newWorld(t, victim()...)
				for i := range 60 {
					write(t, filepath.Join(w.project, "many", strings.Repeat("x", i+1)), "many\n")
				}
				before := filepath.Join(w.dir, "before")
				w.copyTree(w.project, before)
				w.watchOutside()
				g, gate := w.gated()
				p := w.start("--", "sh", "-c", work+`; for f in many/*; do echo more >> "$f"; done; `+gate)
				mirror := g.arrived()
				g.open()
				switch how {
				case "removed":
					w.afterSome(p, round)
					w.tool([]int{1}, "rm", "-rf", mirror)
				case "renamed":
					w.afterSome(p, round)
					os.Rename(mirror, filepath.Join(w.dir, "away"))
				case "project renamed":
					w.afterSome(p, round)
					must(t, os.Rename(w.project, filepath.Join(w.dir, "away")))
				}
				r := p.wait()
				if how == "project renamed" {
					if _, err := os.Lstat(w.project); err == nil {
						t.Errorf("round %d: the project was made again where it was moved away: %v", round, r)
					}
					os.RemoveAll(w.project)
					must(t, os.Rename(filepath.Join(w.dir, "away"), w.project))
				}
				w.outsideUntouched()
				w.nothingLost("mixed visible", "mixed locked", "top locked", "ro a", "ro b", "src main", "src util", "src x")
				gone := w.tool(nil, "sh", "-c", `cd "$1" && find . -type f ! -name readme.md -exec sh -c 'test -e "$0/$1" || echo "$1"' "$2" {} \;`, "sh", before, w.project)
				if gone != "" {
					t.Errorf("round %d: files of the project are gone:\n%s%v", round, gone, r)
				}
				if t.Failed() {
					return
				}
			}
		})
	}
}

// afterSome waits for the sync to have come a different way in each round.
func (w *world) afterSome(p *running, round int) {
	w.until("the sync", func() bool {
		select {
		case <-p.done:
			return true
		default:
		}
		return len(w.holding("more", w.project)) > round*12
	})
}
