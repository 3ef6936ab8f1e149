package autosync

import (
	"slices"
	"testing"

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
