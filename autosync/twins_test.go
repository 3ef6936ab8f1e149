package autosync

import (
	"testing"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// version is a file; two numbers are two contents.
func version(n byte) mirror.State {
	return mirror.State{Kind: safety.File, Content: mirror.Content{Size: 1, Sum: [16]byte{n}}}
}

// renamed are the looks at a path and the twin that stood in its way when the agent renamed it.
func renamed(from, to safety.RelPath) []look {
	file := version(1)
	came := look{path: to, access: dotfiles.Writable, mirrored: file, twins: twins{mirror.ProjectSide: from}}
	gone := look{path: from, access: dotfiles.Writable, base: file, project: file, movedTo: to}
	if from < to {
		return []look{gone, came}
	}
	return []look{came, gone}
}

// Where case is folded, a renamed file has to go from its old name before it can come to the new one.
func TestPlanMakesRoomForAnotherCase(t *testing.T) {
	for _, names := range [][2]safety.RelPath{{"readme", "README"}, {"README", "readme"}} {
		pl := makePlan(renamed(names[0], names[1]), modelLimits())
		if len(pl.clear) != 1 || pl.clear[0].path != names[0] || len(pl.put) != 1 || pl.put[0].path != names[1] || len(pl.remove) > 0 {
			t.Errorf("%s: %+v", names, pl)
		}
	}
}

// What stays in the way keeps the other name out, and what was moved there is not deleted for that.
func TestPlanRefusesTheSecondOfTwoNames(t *testing.T) {
	looks := renamed("lib", "Lib")
	looks[1].project = version(2) // the user changed it meanwhile: it comes back in the mirror
	pl := makePlan(looks, modelLimits())
	if len(pl.refused) != 1 || pl.refused[0].Path != "Lib" || len(pl.clear)+len(pl.remove) > 0 {
		t.Errorf("%+v", pl)
	}
	looks = append(renamed("lib", "Lib"), look{path: "lib/x", access: dotfiles.Writable, project: version(2)})
	looks[1].project, looks[1].base = mirror.State{Kind: safety.Directory}, mirror.State{Kind: safety.Directory}
	pl = makePlan(looks, modelLimits())
	if len(pl.refused) != 1 || len(pl.clear)+len(pl.remove) > 0 || len(pl.held) != 1 || pl.held[0].Path != "lib" {
		t.Errorf("a directory with something new in it: %+v", pl)
	}
}
