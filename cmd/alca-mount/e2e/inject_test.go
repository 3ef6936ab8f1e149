//go:build linux

package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The commands that come after a session, on a disk that fails: strace makes calls of theirs fail, whatever they are made
// for. Then the disk is well again and the command is run anew: it comes to its end, and nothing was lost.

// failingCalls are what is made to fail, by what it does.
var failingCalls = []string{
	"openat,openat2", "renameat,renameat2,linkat", "mkdirat,unlinkat", "fsync,fdatasync", "write,pwrite64,copy_file_range,ftruncate",
	"newfstatat,statx,fstat", "getdents64", "fchmodat,fchmod,fchownat,utimensat", "flock",
}

var injectCases = flag.Int("inject.cases", 2, "how often each command is run on a failing disk")

var failures = []string{"ENOSPC", "EIO", "EACCES", "EROFS", "EDQUOT", "EMFILE"}

// afterwards is a command, what is there before, and what has to hold when it was run again.
type afterwards struct {
	before func(w *world) []string // its arguments
	holds  func(w *world)
	codes  []int // of the second run; nil: 0
}

const (
	usersEnv = "user's own environment"
	madeEnv  = "made by the agent"
)

func afterSessions() map[string]afterwards {
	changes := "echo agent > a; rm -r gone dir; echo new > new; "
	return map[string]afterwards{
		"undo": {
			before: func(w *world) []string {
				w.expect(0, "-q", "--sync", "exit", "--", "sh", "-c", changes)
				return []string{"undo", w.sessions("-a")[0].Session}
			},
			holds: func(w *world) { w.same("after undo", filepath.Join(w.dir, "before"), w.project, "-O", "--no-times") },
		},
		"rm": {
			before: func(w *world) []string {
				w.expect(0, "-q", "--sync", "exit", "--keep", "--name", "k", "--", "sh", "-c", changes+"echo "+madeEnv+" > .env")
				return []string{"rm", "k"}
			},
			codes: []int{0, 125}, // it did all but say so
			holds: func(w *world) {
				w.noMirrorLeft()
				w.isIn(w.state, madeEnv)
				w.expect(0, "undo", "k")
				w.same("after rm and undo", filepath.Join(w.dir, "before"), w.project, "-O", "--no-times")
			},
		},
		"prune": {
			before: func(w *world) []string {
				w.expect(0, "-q", "--", "sh", "-c", "echo agent > a; echo "+madeEnv+" > .env")
				w.expect(0, "-q", "--", "sh", "-c", "echo held > .envrc")
				w.expect(0, "-q", "--keep", "--name", "k", "--", "sh", "-c", "echo in the mirror > .env")
				return []string{"prune", "--older-than", "0s"}
			},
			holds: func(w *world) {
				for _, text := range []string{madeEnv, "held", "in the mirror"} {
					w.isIn(w.state, text)
				}
				if n := len(w.sessions("-a")); n != 2 {
					w.t.Errorf("%d sessions are left, not the one that holds something and the kept one", n)
				}
			},
		},
		"apply": {
			before: func(w *world) []string {
				w.expect(0, "-q", "--", "sh", "-c", "echo held > .envrc")
				return []string{"apply", w.sessions("-a")[0].Session}
			},
			holds: func(w *world) {
				w.isIn(filepath.Join(w.project, ".envrc"), "held")
				w.isIn(w.state, "good")
			},
		},
		"discard": {
			before: func(w *world) []string {
				w.expect(0, "-q", "--", "sh", "-c", "echo held > .envrc")
				return []string{"discard", w.sessions("-a")[0].Session}
			},
			holds: func(w *world) {
				w.isIn(filepath.Join(w.project, ".envrc"), "good")
				w.isIn(w.state, "held")
			},
		},
		"orphans restore": {
			before: func(w *world) []string {
				w.expect(0, "-q", "--", "sh", "-c", "echo "+madeEnv+" > .env")
				must(w.t, os.Mkdir(filepath.Join(w.dir, "to"), 0o755))
				return []string{"orphans", "restore", ".env", "--to", filepath.Join(w.dir, "to")}
			},
			codes: []int{0, 1}, // the first may have done it
			holds: func(w *world) {
				w.isIn(filepath.Join(w.dir, "to/.env"), madeEnv)
				w.isIn(w.state, madeEnv)
			},
		},
		"orphans rm": {
			before: func(w *world) []string {
				w.expect(0, "-q", "--", "sh", "-c", "echo "+madeEnv+" > .env; echo other > secret")
				return []string{"orphans", "rm", "secret"}
			},
			codes: []int{0, 125}, // no such orphan any more
			holds: func(w *world) { w.isIn(w.state, madeEnv) },
		},
	}
}

// isIn fails where no file at or below path has the line: of the state, nor one in a store that could not be there.
func (w *world) isIn(path, line string) {
	w.t.Helper()
	args := []string{"-rlx", line, path}
	if path == w.state {
		args = append(args, w.storesElsewhere()...)
	}
	if w.tool([]int{1, 2}, "grep", args...) == "" {
		w.t.Errorf("lost: nothing in %s has %q", path, line)
	}
}

// storesElsewhere are the stores of sessions that are not in the state's folder: the disk failed while they were probed.
func (w *world) storesElsewhere() []string {
	w.t.Helper()
	records, err := filepath.Glob(filepath.Join(w.state, "alca-mount/*/sessions/*/session.json"))
	must(w.t, err)
	var out []string
	for _, file := range records {
		var record struct{ Stores [2]string }
		text, err := os.ReadFile(file)
		must(w.t, err)
		must(w.t, json.Unmarshal(text, &record))
		for _, store := range record.Stores {
			if store != "" && !strings.HasPrefix(store, w.dir) {
				out = append(out, store)
			}
		}
	}
	return out
}

func (w *world) removeStoresElsewhere() {
	for _, store := range w.storesElsewhere() {
		must(w.t, os.RemoveAll(store))
		_ = os.Remove(filepath.Dir(store)) // when it was the last
	}
}

func TestCommandsOnAFailingDiskLoseNothing(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("needs strace")
	}
	if out, err := exec.Command("strace", "-o", os.DevNull, "-e", "inject=write:error=EIO:when=100", "true").CombinedOutput(); err != nil {
		t.Skipf("strace can't trace here: %v %s", err, out)
	}
	for name, command := range afterSessions() {
		for i := range *injectCases {
			calls, errno := failingCalls[rand.IntN(len(failingCalls))], failures[rand.IntN(len(failures))]
			when := fmt.Sprint(1 + rand.IntN(25))
			if i%2 == 1 {
				when += "+" // and all further ones
			}
			t.Run(fmt.Sprintf("%s %s %s %s", name, calls, errno, when), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, ".agentignore=.env\nsecret", ".env="+usersEnv, "a=a", "gone/g=g", "dir/b=b", ".envrc=good")
				t.Cleanup(w.removeStoresElsewhere)
				w.copyTree(w.project, filepath.Join(w.dir, "before"))
				args := command.before(w)
				failing := *w
				failing.prefix = []string{"strace", "-f", "-qq", "-o", os.DevNull, "-e", "inject=" + calls + ":error=" + errno + ":when=" + when}
				first := failing.run(args...)
				if !slices.Contains([]int{0, 1, 2, 125, 127}, first.code) { // 2: the runtime gave up; 127: the loader
					t.Errorf("%q on a failing disk: %v", args, first)
				}
				// What can't be read stays, so that prune may say in good faith that there is nothing to do.
				if first.code == 0 && !strings.Contains(first.stderr, "prune") && len(command.codes) == 0 {
					command.holds(w) // it said that it was done
				}
				again := w.run(args...)
				if !slices.Contains(append(command.codes, 0), again.code) {
					t.Errorf("%q again: %v\nfirst: %v", args, again, first)
				}
				command.holds(w)
				w.isIn(filepath.Join(w.project, ".env"), usersEnv)
				if n := w.tool(nil, "find", w.project, "-regex", `.*/\.alca.*\|.*/[^/]*alca-mount[^/]*`); n != "" {
					t.Errorf("left in the project: %s", n)
				}
				if t.Failed() {
					t.Logf("first: %v\nagain: %v", first, again)
				}
			})
		}
	}
}
