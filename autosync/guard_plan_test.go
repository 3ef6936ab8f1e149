package autosync

import (
	"slices"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// The agent committed, and meanwhile the user did: what the user's commit changed does not come into the mirror's .git.
func TestPlanFreezesAllOfGit(t *testing.T) {
	version := func(n byte) mirror.State {
		return mirror.State{Kind: safety.File, Content: mirror.Content{Size: 1, Sum: [16]byte{n}}}
	}
	git := func(p safety.RelPath, project, mirrored byte) look {
		return look{path: p, access: dotfiles.OneWay, base: version(1), project: version(project), mirrored: version(mirrored)}
	}
	pl := makePlan([]look{git(".git/HEAD", 1, 2), git(".git/index", 2, 1)}, modelLimits())
	if n := len(pl.put) + len(pl.clear) + len(pl.remove); n > 0 {
		t.Errorf("the plan changes .git: %+v", pl)
	}
	if len(pl.refused) != 1 || pl.refused[0].Path != ".git/HEAD" {
		t.Errorf("refused = %+v", pl.refused)
	}
}

// Whatever planning concludes: what is not writable has no step in the project.
func TestNoStepChangesWhatIsNotWritable(t *testing.T) {
	one, two := mirror.State{Kind: safety.File, Exec: true}, mirror.State{Kind: safety.File}
	for _, access := range []dotfiles.Access{dotfiles.Hidden, dotfiles.Excluded, dotfiles.OneWay, dotfiles.ReadOnly} {
		for _, action := range []Action{CarryToProject, ResolveConflict, DeleteInProject, RecreateInProject} {
			lk := look{path: "p", access: access, base: one, project: one, mirrored: two}
			pl := emit([]outcome{{look: lk, action: action, final: two}, {look: lk, action: action}}, nil, modelLimits())
			for _, s := range slices.Concat(pl.clear, pl.put, pl.remove) {
				if s.side == mirror.ProjectSide {
					t.Errorf("%v, %v: %+v", access, action, s)
				}
			}
		}
	}
}

func TestEarlierDeletionsCountTowardsAMassDelete(t *testing.T) {
	file := mirror.State{Kind: safety.File}
	gone := []look{{path: "a", access: dotfiles.Writable, base: file, project: file}}
	for before, held := range map[int]int{0: 0, massDeleteFloor: 1} {
		pl := makePlan(gone, limits{deletes: true, toMirror: true, startFiles: massDeleteFloor + 2, gone: before})
		if len(pl.held) != held {
			t.Errorf("after %d deletions: held %+v, removed %+v", before, pl.held, pl.remove)
		}
	}
}

// A deletion may be half of a save, and a new name beside a hidden file may hold what that held.
func TestDeletionsAndNewNamesBesideHiddenFilesWait(t *testing.T) {
	file := mirror.State{Kind: safety.File}
	made, edited := look{path: "new", project: file}, look{path: "old", base: file, project: file}
	for _, c := range []struct {
		what   string
		lk     look
		action Action
		hidden bool
		want   time.Duration
	}{
		{"a deletion by the agent", edited, DeleteInProject, false, deleteQuiet},
		{"a deletion by the user", edited, DeleteInMirror, false, deleteQuiet},
		{"a new name beside a hidden file", made, CarryToMirror, true, besideHidden},
		{"a new name", made, CarryToMirror, false, 0},
		{"an edit beside a hidden file", edited, CarryToMirror, true, 0},
	} {
		if got := delayOf(c.lk, c.action, c.hidden); got != c.want {
			t.Errorf("%s waits %v, want %v", c.what, got, c.want)
		}
	}
}
