package launcher

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alca-mount/alca-mount/launcher/internal/overlay"
	"github.com/alca-mount/alca-mount/safety"
)

// What goes on of a plain launch that was killed keeps the overlay that is in its mirror: until it has ended, others get
// one of their own.
func TestOverlayStaysWithACommandThatOutlivedItsLaunch(t *testing.T) {
	o := plainOptions(t)
	dead := dies(t, o, "", "")
	mirrored, err := safety.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer mirrored.Close()
	kept, err := overlay.Open(projectDirOf(dead), "", "node_modules")
	if err == nil {
		err = errors.Join(safety.WriteMarker(mirrored, dead.ID), kept.Make(nil), kept.PutInto(t.Context(), mirrored, dead.ID), kept.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	cat := exec.Command("cat")
	cat.Env = []string{"ALCA_MOUNT_SESSION=" + dead.ID}
	stdin, err := cat.StdinPipe()
	if err == nil {
		err = cat.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	o.Overlays = []Overlay{{Path: "node_modules", Seed: SeedEmpty}}
	for _, runs := range []bool{true, false} {
		if !runs {
			stdin.Close()
			if err := cat.Wait(); err != nil {
				t.Fatal(err)
			}
		}
		list, err := Overlays(o.State, o.Project)
		if err != nil || len(list) != 1 || list[0].InUse != runs || runs && (list[0].Remove() == nil || list[0].Refresh() == nil) {
			t.Errorf("runs %v: listed %+v, %v", runs, list, err)
		}
		var start Start
		o.AfterBuild = func(s Start) { start = s }
		if _, err := Launch(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		_, err = os.Lstat(filepath.Join(mirrored.Path(), "node_modules"))
		told := slices.ContainsFunc(start.Warnings, func(w string) bool { return strings.Contains(w, "still has it") })
		if (err == nil) != runs || told != runs {
			t.Errorf("runs %v: in the mirror: %v, told %q", runs, err, start.Warnings)
		}
	}
}
