package autosync

import (
	"testing"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// states are enough values that every pattern of equal and different, absent and present, and of kinds occurs.
func states() []mirror.State {
	file := func(sum byte, exec bool) mirror.State {
		return mirror.State{Kind: safety.File, Exec: exec, Content: mirror.Content{Size: 1, Sum: [16]byte{sum}}}
	}
	return []mirror.State{
		{},
		file(1, false), file(1, true), file(2, false), file(3, false),
		{Kind: safety.Directory},
		{Kind: safety.Symlink, Target: "a"}, {Kind: safety.Symlink, Target: "b"},
	}
}

func everyTriple(t *testing.T, access dotfiles.Access, check func(base, p, m mirror.State, got Action)) {
	t.Helper()
	for _, base := range states() {
		for _, p := range states() {
			for _, m := range states() {
				check(base, p, m, Decide(access, base, p, m))
			}
		}
	}
}

// effect is what an action makes of both sides.
func effect(a Action, base, p, m mirror.State) (newBase, newP, newM mirror.State) {
	switch a {
	case Adopt:
		return p, p, m
	case CarryToProject, ResolveConflict, DeleteInProject, RecreateInProject:
		return m, m, m
	case CarryToMirror, DeleteInMirror, RecreateInMirror, RestoreMirror:
		return p, p, p
	case Withdraw:
		return mirror.State{}, p, mirror.State{}
	}
	return base, p, m
}

func TestDecideWritable(t *testing.T) {
	everyTriple(t, dotfiles.Writable, func(base, p, m mirror.State, got Action) {
		newBase, newP, newM := effect(got, base, p, m)
		if newP != newM || newBase != newP {
			t.Fatalf("base %v, project %v, mirror %v: %v does not settle in one step", base, p, m, got)
		}
		if Decide(dotfiles.Writable, newBase, newP, newM) != Nothing {
			t.Fatalf("base %v, project %v, mirror %v: %v is not stable", base, p, m, got)
		}
		if p != base && newP != p && got != ResolveConflict && !p.Absent() {
			t.Fatalf("base %v, project %v, mirror %v: %v drops the user's edit unreported", base, p, m, got)
		}
		if m != base && newM != m && !m.Absent() {
			t.Fatalf("base %v, project %v, mirror %v: %v drops the agent's edit", base, p, m, got)
		}
		if p == base && newP != p && m == base {
			t.Fatalf("base %v: %v changes an idle side", base, got)
		}
		if conflict := p != base && m != base && p != m && !p.Absent() && !m.Absent(); conflict != (got == ResolveConflict) {
			t.Fatalf("base %v, project %v, mirror %v: %v", base, p, m, got)
		}
		if p == base && newP.Absent() && !p.Absent() && !m.Absent() {
			t.Fatalf("base %v, project %v, mirror %v: %v deletes what the mirror still has", base, p, m, got)
		}
	})
}

func TestDecideReadOnlyNeverTouchesTheProject(t *testing.T) {
	everyTriple(t, dotfiles.ReadOnly, func(base, p, m mirror.State, got Action) {
		_, newP, newM := effect(got, base, p, m)
		if newP != p {
			t.Fatalf("base %v, project %v, mirror %v: %v changes a read-only path of the project", base, p, m, got)
		}
		if newM != p && got != RefuseNew {
			t.Fatalf("base %v, project %v, mirror %v: %v leaves the mirror different", base, p, m, got)
		}
		if (got == RefuseNew) != (base.Absent() && p.Absent() && !m.Absent()) {
			t.Fatalf("base %v, project %v, mirror %v: %v", base, p, m, got)
		}
		if got == RestoreMirror && (p != base || m == base) {
			t.Fatalf("base %v, project %v, mirror %v: reported as refused, but the agent did nothing", base, p, m)
		}
	})
}

func TestDecideOneWayFreezesOnTheAgentsFirstWrite(t *testing.T) {
	everyTriple(t, dotfiles.OneWay, func(base, p, m mirror.State, got Action) {
		_, newP, newM := effect(got, base, p, m)
		if newP != p {
			t.Fatalf("base %v, project %v, mirror %v: %v changes the project's .git", base, p, m, got)
		}
		if m != base && newM != m {
			t.Fatalf("base %v, project %v, mirror %v: %v overwrites what the agent wrote in .git", base, p, m, got)
		}
		if (got == FreezeGit) != (m != base && m != p) {
			t.Fatalf("base %v, project %v, mirror %v: %v", base, p, m, got)
		}
		if m == base && newM != p {
			t.Fatalf("base %v, project %v, mirror %v: %v does not carry the project's change", base, p, m, got)
		}
	})
}

func TestDecideHiddenNeverCrosses(t *testing.T) {
	for _, access := range []dotfiles.Access{dotfiles.Hidden, dotfiles.Excluded} {
		everyTriple(t, access, func(base, p, m mirror.State, got Action) {
			_, newP, newM := effect(got, base, p, m)
			if newP != p || newM != m && !newM.Absent() {
				t.Fatalf("%v: base %v, project %v, mirror %v: %v crosses", access, base, p, m, got)
			}
			if m != base && newM != m {
				t.Fatalf("%v: base %v, project %v, mirror %v: %v drops the agent's version", access, base, p, m, got)
			}
			if access == dotfiles.Hidden && !m.Absent() && m != base && got != SetAside {
				t.Fatalf("base %v, project %v, mirror %v: %v, want an orphan", base, p, m, got)
			}
		})
	}
}

// TestDecideTable spells out the rows of the decision table with the words of the table.
func TestDecideTable(t *testing.T) {
	s := states()
	none, a, b, c := s[0], s[1], s[3], s[4]
	for _, row := range []struct {
		access     dotfiles.Access
		base, p, m mirror.State
		want       Action
	}{
		{dotfiles.Writable, a, a, a, Nothing},
		{dotfiles.Writable, a, b, b, Adopt},
		{dotfiles.Writable, a, a, b, CarryToProject},
		{dotfiles.Writable, none, none, b, CarryToProject},
		{dotfiles.Writable, a, b, a, CarryToMirror},
		{dotfiles.Writable, none, b, none, CarryToMirror},
		{dotfiles.Writable, a, b, c, ResolveConflict},
		{dotfiles.Writable, none, b, c, ResolveConflict},
		{dotfiles.Writable, a, a, none, DeleteInProject},
		{dotfiles.Writable, a, none, a, DeleteInMirror},
		{dotfiles.Writable, a, none, b, RecreateInProject},
		{dotfiles.Writable, a, b, none, RecreateInMirror},
		{dotfiles.ReadOnly, a, b, a, CarryToMirror},
		{dotfiles.ReadOnly, a, b, c, CarryToMirror},
		{dotfiles.ReadOnly, none, b, none, CarryToMirror},
		{dotfiles.ReadOnly, a, none, b, DeleteInMirror},
		{dotfiles.ReadOnly, a, a, b, RestoreMirror},
		{dotfiles.ReadOnly, a, a, none, RestoreMirror},
		{dotfiles.ReadOnly, none, none, b, RefuseNew},
		{dotfiles.OneWay, a, b, a, CarryToMirror},
		{dotfiles.OneWay, a, none, a, DeleteInMirror},
		{dotfiles.OneWay, a, a, b, FreezeGit},
		{dotfiles.OneWay, a, b, c, FreezeGit},
		{dotfiles.Hidden, none, a, none, Nothing},
		{dotfiles.Hidden, none, a, b, SetAside},
		{dotfiles.Hidden, a, a, a, Withdraw},
		{dotfiles.Excluded, none, none, a, Nothing},
	} {
		if got := Decide(row.access, row.base, row.p, row.m); got != row.want {
			t.Errorf("%v: base %v, project %v, mirror %v: %v, want %v", row.access, row.base, row.p, row.m, got, row.want)
		}
	}
}
