package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// told returns what tellEnd prints of e.
func told(e ending, quiet, verbose bool) string {
	var b bytes.Buffer
	tellEnd(&output{w: &b, quiet: quiet, verbose: verbose}, e)
	return b.String()
}

func manyNotes(n int) []autosync.PathNote {
	var out []autosync.PathNote
	for i := range n {
		out = append(out, autosync.PathNote{Path: safety.RelPath(fmt.Sprintf("f%02d", i))})
	}
	return out
}

func TestEndNamesAllThatNeedsTheUser(t *testing.T) {
	e := ending{
		session: "s1", store: "/store", mirror: "/m", whyKept: "disk full", left: 1, took: 2 * time.Second, listAll: "list it",
		changes: autosync.Changes{
			ToProject: []safety.RelPath{"a", "b"}, ToMirror: []safety.RelPath{"c"},
			Deleted:       []autosync.PathNote{{Path: "gone"}},
			Conflicts:     []autosync.PathNote{{Path: "x\ny", Kept: "/store/1"}},
			Refused:       []autosync.PathNote{{Path: "ro", Why: "read-only"}},
			Held:          []autosync.PathNote{{Path: ".envrc", Why: "guarded", Hold: autosync.HoldGuarded}},
			Orphans:       []autosync.PathNote{{Path: ".env", Kept: "/o/1"}},
			Failed:        []autosync.PathNote{{Path: "big", Why: "no space\nleft"}},
			NewInExcluded: []safety.RelPath{"build/new.c"},
			PendingDelete: []safety.RelPath{"p"},
			Halted:        "the mirror is gone",
		},
	}
	urgent := `alca-mount: conflicts: 1; the mirror's version is in the project, the other one is kept:
    "x\ny"  kept: /store/1
alca-mount: refused: 1; the agent may not change these:
    ro  read-only
alca-mount: held for your word: 1:
    .envrc  guarded
alca-mount: to let it pass: alca-mount apply s1 [PATH…]
alca-mount: orphans: 1; made at hidden paths, kept, not brought home:
    .env  kept: /o/1
alca-mount: failed: 1; still in the mirror:
    big  no space; left
alca-mount: not brought home: 1; new in directories that are left out:
    build/new.c
alca-mount: syncing halted: the mirror is gone
alca-mount: ended 1 process that outlived the command
alca-mount: overwritten, deleted and refused versions are kept in /store; to take it all back: alca-mount undo s1
alca-mount: the mirror is kept (disk full): /m
alca-mount: go on with: alca-mount sync s1, then alca-mount rm s1
`
	line := "alca-mount: brought home: 2 changed, 1 deleted · to the mirror: 1 · 1 deletion not carried · session s1 · 2s\n"
	if diff := cmp.Diff(line+urgent, told(e, false, false)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(urgent, told(e, true, false)); diff != "" {
		t.Errorf("-q: %s", diff)
	}
}

func TestEndOfNothingIsOneLineAndNoneWhenQuiet(t *testing.T) {
	e := ending{session: "s1", store: "/store", took: time.Second}
	if got := told(e, false, false); strings.Count(got, "\n") != 1 {
		t.Errorf("got %q", got)
	}
	if got := told(e, true, false); got != "" {
		t.Errorf("-q: %q", got)
	}
	if got := told(ending{}, false, false); got != "" {
		t.Errorf("without a session: %q", got)
	}
}

func TestEndNamesTwentyPathsThenTheCommandThatListsAll(t *testing.T) {
	e := ending{session: "s1", changes: autosync.Changes{Refused: manyNotes(25)}, listAll: "alca-mount ls s1"}
	got := told(e, false, false)
	if !strings.Contains(got, "    f19\n    … and 5 more: alca-mount ls s1\n") || strings.Contains(got, "f20") {
		t.Errorf("got %s", got)
	}
	if got := told(e, false, true); !strings.Contains(got, "    f24\n") {
		t.Errorf("-v: %s", got)
	}
	e.changes.Refused = manyNotes(20)
	if got := told(e, false, false); strings.Contains(got, "more") || !strings.Contains(got, "f19") {
		t.Errorf("20: %s", got)
	}
	// Where no command can list them they are all named here.
	e.changes.Refused, e.listAll = manyNotes(25), ""
	if got := told(e, false, false); !strings.Contains(got, "f24") {
		t.Errorf("no command: %s", got)
	}
}

func TestShowQuotesWhatCouldMoveTheCursor(t *testing.T) {
	for in, want := range map[string]string{
		"a b.txt": "a b.txt", "é/世": "é/世", "-rf": "-rf",
		"a\nb": `"a\nb"`, "\x1b[2J": `"\x1b[2J"`, "\xff": `"\xff"`, "": `""`, " a": `" a"`, "a\u202eb": `"a\u202eb"`, "\u0085": `"\u0085"`,
	} {
		if got := show(in); got != want {
			t.Errorf("show(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestHumanUnits(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999949: "999.9 kB", 999999: "1.0 MB", 12_345_678: "12.3 MB", 5e18: "5.0 EB"} {
		if got := humanBytes(n); got != want {
			t.Errorf("humanBytes(%d) = %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int]string{0: "0 files", 1: "1 file", 999: "999 files", 1000: "1,000 files", 1234567: "1,234,567 files"} {
		if got := count(n, "file"); got != want {
			t.Errorf("count(%d) = %s, want %s", n, got, want)
		}
	}
	if got := count(2, "directory") + count(2, "process"); got != "2 directories2 processes" {
		t.Error(got)
	}
}

// A branch's name is the agent's: the command that takes it over is pasted into a shell.
func TestCommandOfABranchIsOneWord(t *testing.T) {
	for name, want := range map[string]string{
		"feature/x-1": "feature/x-1", "$(reboot)": "'$(reboot)'", "a;b": "'a;b'", "it's`id`": `'it'\''s` + "`id`'", "ä": "'ä'",
	} {
		if got := shellWord(name); got != want {
			t.Errorf("%q is shown as %s, want %s", name, got, want)
		}
		items := commitItems([]mirror.BroughtBranch{{Branch: "b", Ref: "refs/alca/s/" + name}})
		if !strings.HasSuffix(items[0], "git merge "+shellWord("refs/alca/s/"+name)) {
			t.Errorf("%s", items[0])
		}
	}
}

func TestWhatFailedWithoutAMirrorIsNotSaidToBeInOne(t *testing.T) {
	e := ending{session: "s1", mirrorless: true, changes: autosync.Changes{Failed: []autosync.PathNote{{Path: "f", Why: "no space"}}}}
	if got := told(e, false, false); !strings.Contains(got, "failed: 1; still kept:\n    f  no space\n") {
		t.Errorf("got %s", got)
	}
}
