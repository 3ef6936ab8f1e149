package autosync_test

import (
	"os"
	"path/filepath"
	"testing"
)

// What is written by one name is written to all, and no event tells of the others.
func TestLiveHardLinksAreCarriedByAnyName(t *testing.T) {
	for side, name := range [...]string{"project", "mirror"} {
		t.Run(name, func(t *testing.T) {
			l := newLive(t, "a = 1", "d/b => a", "c = c")
			top := [...]string{l.project, l.mirror}[side]
			if name == "mirror" {
				l.must(os.Remove(filepath.Join(top, "d/b")))
				l.must(os.Link(filepath.Join(top, "a"), filepath.Join(top, "d/b")))
				l.eventually("the agent's link")
			}
			l.must(os.WriteFile(filepath.Join(top, "a"), []byte("new"), 0o644))
			l.eventually("written by one name")
			for _, path := range []string{"a", "d/b"} {
				l.wantProject(path, "new")
				l.wantMirror(path, "new")
			}
		})
	}
}

func TestLiveHardLinkOfTheProjectStaysTogether(t *testing.T) {
	l := newLive(t, "a = 1", "d/b => a", "c = c")
	l.write(l.mirror, "a", "agent")
	l.eventually("written in the mirror")
	l.wantProject("d/b", "agent")
	l.wantMirror("d/b", "agent")
	a, err := os.Stat(filepath.Join(l.project, "a"))
	l.must(err)
	b, err := os.Stat(filepath.Join(l.project, "d/b"))
	l.must(err)
	if !os.SameFile(a, b) {
		t.Error("the names are two files now")
	}
}
