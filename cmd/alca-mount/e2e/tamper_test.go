//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Launched plainly, CMD can write the state files of its own session. That is no boundary that the program claims; but what
// it finds there afterwards may not make it write elsewhere, show hidden content or lose the project's files.
func TestTamperedSession(t *testing.T) {
	all := map[string]string{
		"record removed":            `rm "$S/session.json"`,
		"record empty":              `: > "$S/session.json"`,
		"record cut":                `head -c 100 "$S/session.json" > "$S/x"; mv "$S/x" "$S/session.json"`,
		"record a directory":        `rm "$S/session.json"; mkdir "$S/session.json"`,
		"record a fifo":             `rm "$S/session.json"; mkfifo "$S/session.json"`,
		"record a link":             `mv "$S/session.json" "$S/other.json"; ln -s other.json "$S/session.json"`,
		"record names the outside":  `sed -i "s#\"project\": .*#\"project\": \"$OUTSIDE\",#" "$S/session.json"`,
		"record without rules":      `sed -i 's/"pattern": "[^"]*"/"pattern": "nothing"/' "$S/session.json"`,
		"record's mirror outside":   `sed -i "s#\"mirror\": .*#\"mirror\": \"$OUTSIDE\",#" "$S/session.json"`,
		"record's stores outside":   `sed -i "s#^    \"\"#    \"$OUTSIDE\"#" "$S/session.json"`,
		"base removed":              `rm "$S/base"`,
		"base empty":                `: > "$S/base"`,
		"base cut":                  `head -c 200 "$S/base" > "$S/x"; mv "$S/x" "$S/base"`,
		"base garbage":              `head -c 9000 /dev/urandom > "$S/base"`,
		"base a bit flipped":        `n=$(stat -c %s "$S/base"); printf '\377' | dd of="$S/base" bs=1 seek=$((n/2)) conv=notrunc status=none`,
		"base huge lengths":         `{ head -c 40 "$S/base"; head -c 4000 /dev/zero | tr '\0' '\377'; } > "$S/x"; mv "$S/x" "$S/base"`,
		"journal garbage":           `head -c 9000 /dev/urandom > "$S/journal"`,
		"journal a directory":       `rm -f "$S/journal"; mkdir "$S/journal"`,
		"journal a link outside":    `rm -f "$S/journal"; ln -s "$OUTSIDE/target.txt" "$S/journal"`,
		"journal a fifo":            `rm -f "$S/journal"; mkfifo "$S/journal"`,
		"store a link outside":      `rm -rf "$S/store"; ln -s "$OUTSIDE/dir" "$S/store"`,
		"store a file":              `rm -rf "$S/store"; : > "$S/store"`,
		"mirror's store a link":     `rm -rf "$S/mirror-store"; ln -s "$OUTSIDE/dir" "$S/mirror-store"`,
		"refused a link outside":    `ln -s "$OUTSIDE/dir" "$S/refused"; ln -s "$OUTSIDE/dir" "$S/conflicts"; ln -s "$OUTSIDE/dir" "$S/held"; chmod u+w locked.txt; echo pwn > locked.txt; chmod u+w ro/sub; echo pwn > ro/sub/new`,
		"orphans a link outside":    `ln -s "$OUTSIDE/dir" "$S/../../orphans"; echo pwn > .env; mkdir secrets; echo pwn > secrets/x`,
		"lock removed":              `rm -f "$S/lock"`,
		"lock a link outside":       `rm -f "$S/lock"; ln -s "$OUTSIDE/target.txt" "$S/lock"`,
		"changes a link outside":    `ln -s "$OUTSIDE/target.txt" "$S/changes.json"`,
		"temporaries links outside": `for f in session.json base changes.json journal; do for x in .tmp .new "~"; do ln -s "$OUTSIDE/target.txt" "$S/$f$x"; done; done`,
		"folder not writable":       `chmod 0500 "$S"`,
		"folder a copy":             `cp -a "$S" "$S.x"; mv "$S" "$S.away"; mv "$S.x" "$S"`,
	}
	for name, script := range all {
		for _, then := range []string{"at the end", "by sync"} {
			t.Run(name+" "+then, func(t *testing.T) {
				t.Parallel()
				tamper(t, script, then == "by sync")
			})
		}
	}
}

func tamper(t *testing.T, script string, later bool) {
	w := newWorld(t, victim()...)
	before := filepath.Join(w.dir, "before")
	w.copyTree(w.project, before)
	w.watchOutside()
	const edits = `echo "agent's work" >> src/main.go; echo "agent's new" > src/new`
	var ends []result
	if later {
		mirror := w.create("--agent", "sh")
		w.env = append(w.env, "M="+mirror)
		w.tool(nil, "sh", "-c", `cd "$M"; S=$(dirname "$M"); `+edits+"; "+script)
		ends = append(ends, w.run("sync", mirror), w.run("sync", "--delete", filepath.Base(filepath.Dir(mirror))))
	} else {
		ends = append(ends, w.run("--", "sh", "-c", `S=$(dirname "$PWD"); `+edits+"; "+script))
	}
	ends = append(ends, w.run("ls"), w.run("ls", "-a", "--json"))
	for _, r := range ends {
		if r.code > 1 && r.code != 125 || strings.Contains(r.stderr, "panic") || strings.Contains(r.stderr, "goroutine ") {
			t.Errorf("%v", r)
		}
	}
	w.afterAttack(before)
	// Each of the user's files is there as it was, or with the agent's edit.
	expected := filepath.Join(w.dir, "expected")
	w.copyTree(before, expected)
	w.tool(nil, "sh", "-c", `cd "$1"; `+edits, "sh", expected)
	for name, was := range plainFiles(t, before) {
		now := plainFiles(t, w.project)[name]
		if now != was && now != plainFiles(t, expected)[name] {
			t.Errorf("%s: %q, was %q", name, now, was)
		}
	}
	// The agent's work is at home, or somewhere still.
	if len(w.holding("agent's work", w.project))+len(w.holding("agent's work", w.state)) == 0 {
		t.Errorf("the agent's work is gone")
	}
	if t.Failed() {
		for _, r := range ends {
			t.Logf("%v", r)
		}
	}
}

// plainFiles are the regular files of a tree and what is in them.
func plainFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			rel, _ := filepath.Rel(dir, p)
			all[rel] = read(t, p)
		}
		return err
	}))
	return all
}

// A mirror that could not be removed wholly is no source of deletions: what is missing in it was not deleted by anybody.
func TestHalfRemovedMirrorDeletesNothing(t *testing.T) {
	root(t)
	w := newWorld(t, victim()...)
	before := filepath.Join(w.dir, "before")
	w.copyTree(w.project, before)
	g, gate := w.gated()
	p := w.start("--", "sh", "-c", `mkdir stuck; `+gate)
	stuck := filepath.Join(g.arrived(), "stuck")
	w.tool(nil, "mount", "--bind", w.outside, stuck)
	t.Cleanup(func() { w.tool([]int{32}, "umount", "-l", stuck) })
	w.watchOutside()
	g.open()
	r := p.wait()
	w.outsideUntouched()
	w.tool([]int{32}, "umount", "-l", stuck)
	for _, s := range w.sessions() {
		again := w.run("sync", "--delete", s.Session)
		t.Logf("%v\n%v", r, again)
	}
	if d := w.differences(before, w.project, "--no-times", "--exclude=/stuck"); d != "" {
		t.Errorf("the project changed:\n%s", d)
	}
	for _, s := range w.sessions() {
		w.expect(0, "rm", "--force", s.Session)
	}
	w.noMirrorLeft()
	w.outsideUntouched()
}

// Two sessions at once on one project, and one session's folder in use: nobody steps on the other.
func TestSessionInUseIsLeftAlone(t *testing.T) {
	w := newWorld(t, "a=a")
	g, gate := w.gated()
	p := w.start("--name", "busy", "--", "sh", "-c", "echo b > b; "+gate)
	mirror := g.arrived()
	for _, args := range [][]string{{"sync", "busy"}, {"rm", "busy"}, {"rm", "--force", "busy"}, {"sync", mirror},
		{"create", "--name", "busy"}, {"create", "--mirror-dir", mirror}, {"-C", mirror, "create"}} {
		if r := w.run(args...); r.code != 125 {
			t.Errorf("%q on a running session: %v", args, r)
		}
	}
	g.open()
	if r := p.wait(); r.code != 0 {
		t.Errorf("%v", r)
	}
	if got := fmt.Sprint(plainFiles(t, w.project)); got != "map[a:a\n b:b\n]" {
		t.Errorf("project: %s", got)
	}
}
