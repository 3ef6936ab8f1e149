package container

import (
	"testing"

	"github.com/alca-mount/alca-mount/launcher/internal/docker"
)

// A container that was made for something else is never used: its protections would be those of before.
func TestPreparedContainerFitsOnlyWhatItWasMadeFor(t *testing.T) {
	bind := docker.Bind{Source: "/m/ro", Target: "/workspace/ro", ReadOnly: true}
	made := docker.Spec{Image: "i", Cmd: []string{"x"}, User: "1:1", Rows: 1, Cols: 1, Binds: []docker.Bind{bind}}
	e := &Engine{Engine: &docker.Engine{}}
	p := &Prepared{engine: &Engine{Engine: e.Engine}, spec: made}
	resized := made
	resized.Rows, resized.Cols = 20, 80
	if !p.fits(e, made) || !p.fits(e, resized) {
		t.Error("it does not fit what it was made for")
	}
	if (*Prepared)(nil).fits(e, made) || p.fits(&Engine{Engine: &docker.Engine{}}, made) {
		t.Error("none fits, or one of another engine")
	}
	for name, change := range map[string]func(*docker.Spec){
		"a bind more":     func(s *docker.Spec) { s.Binds = append([]docker.Bind{bind}, docker.Bind{Source: "/m/b", Target: "/b"}) },
		"a bind less":     func(s *docker.Spec) { s.Binds = nil },
		"a writable bind": func(s *docker.Spec) { s.Binds = []docker.Bind{{Source: bind.Source, Target: bind.Target}} },
		"another command": func(s *docker.Spec) { s.Cmd = []string{"y"} },
		"another user":    func(s *docker.Spec) { s.User = "0:0" },
		"a terminal":      func(s *docker.Spec) { s.TTY = true },
	} {
		other := made
		if change(&other); p.fits(e, other) {
			t.Errorf("%s, and it fits", name)
		}
	}
}
