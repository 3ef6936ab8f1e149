package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/safety"
)

// A mass deletion is told by where it was, not by twenty of a thousand files; with -v, and where no command lists them, by
// all of them.
func TestMassDeletionIsToldByDirectories(t *testing.T) {
	held := []autosync.PathNote{{Path: ".envrc", Hold: autosync.HoldGuarded, Why: "a tool may execute it"}, {Path: "d", Hold: autosync.HoldBlocked, Why: "something below it stays"}}
	for i := range 60 {
		held = append(held, autosync.PathNote{Path: safety.RelPath(fmt.Sprintf("d/%02d", i)), Hold: autosync.HoldMassDelete, Why: "one of many"})
	}
	held = append(held, autosync.PathNote{Path: "e", Hold: autosync.HoldBlocked, Why: "another"}, autosync.PathNote{Path: "z", Hold: autosync.HoldMassDelete, Why: "one of many"})
	e := ending{session: "s1", listAll: "list it", changes: autosync.Changes{Held: held}}
	want := `alca-mount: held for your word: 64:
    .envrc  a tool may execute it
    d/  60 deletions of more than half of all files; --allow-mass-delete lets that pass
    e  another
    ./  1 deletion of more than half of all files; --allow-mass-delete lets that pass
    each of them: list it
alca-mount: to let it pass: alca-mount apply s1 [PATH…]
`
	if diff := cmp.Diff(want, told(e, true, false)); diff != "" {
		t.Error(diff)
	}
	if all := told(e, true, true); strings.Count(all, "one of many") != 61 {
		t.Errorf("with -v: %s", all)
	}
	e.listAll = ""
	if all := told(e, true, false); strings.Count(all, "one of many") != 61 {
		t.Errorf("without a command that lists them: %s", all)
	}
}

// The end names what helps: the user's word lifts no hold for hidden files, and none of what it did not lift already;
// nothing of the agent's waits where only a file of the project's stays hidden.
func TestAdviceOnWhatIsHeldIsWhatHelps(t *testing.T) {
	note := func(p safety.RelPath, hold autosync.HoldKind) autosync.PathNote {
		return autosync.PathNote{Path: p, Hold: hold}
	}
	pass, moved, down := "to let it pass: alca-mount apply s1", "passes only when you have moved those", "to turn it down: alca-mount discard s1"
	for name, c := range map[string]struct {
		held       []autosync.PathNote
		applied    bool
		has, hasNo []string
	}{
		"guarded":        {held: []autosync.PathNote{note("a", autosync.HoldGuarded)}, has: []string{"held for your word: 1", pass}, hasNo: []string{moved, down}},
		"hidden":         {held: []autosync.PathNote{note("a", autosync.HoldHidden)}, has: []string{"held for your word: 1", moved, down}, hasNo: []string{pass}},
		"both":           {held: []autosync.PathNote{note("a", autosync.HoldHidden), note("b", autosync.HoldMoved)}, has: []string{"held for your word: 2", pass, moved, down}},
		"after an apply": {held: []autosync.PathNote{note("a", autosync.HoldGuarded)}, applied: true, has: []string{down}, hasNo: []string{pass, moved}},
		"renamed": {held: []autosync.PathNote{note("a", autosync.HoldRenamed)},
			has: []string{"not given to the mirror: 1; hidden under another name before:\n    a\n"}, hasNo: []string{"held for your word", pass, moved, down}},
	} {
		text := told(ending{session: "s1", changes: autosync.Changes{Held: c.held}, applied: c.applied}, true, false)
		for _, want := range c.has {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in %s", name, want, text)
			}
		}
		for _, bad := range c.hasNo {
			if strings.Contains(text, bad) {
				t.Errorf("%s: %q in %s", name, bad, text)
			}
		}
	}
}

// What failed is named by the end lines; the last word is how many, and anything else that went wrong.
func TestPathsThatFailedAreNamedOnce(t *testing.T) {
	partial := &launcher.PartialSyncError{Failed: []autosync.PathNote{{Path: "a", Why: "stage a: permission denied"}, {Path: "b", Why: "disk full"}}}
	if got := toldBefore(errors.Join(nil, partial)).Error(); got != "2 paths could not be brought home" {
		t.Error(got)
	}
	if err := errors.Join(errors.New("the events"), partial); toldBefore(err) != err {
		t.Error("something else went wrong, and is not told")
	}
}
