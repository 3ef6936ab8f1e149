package container

import (
	"testing"

	"github.com/alca-mount/alca-mount/launcher/internal/docker"
)

func TestIdentityOf(t *testing.T) {
	plain, mapped := docker.Facts{Version: "20.10.24"}, docker.Facts{Version: "20.10.24", UserNamespace: true}
	for _, c := range []struct {
		kind  Kind
		facts docker.Facts
		wish  string
		want  Identity
		note  bool
	}{
		{DockerEngine, plain, "", Identity{User: "1000:100"}, false},
		{DockerEngine, mapped, "", Identity{User: "1000:100", NS: "host"}, false},
		{DockerEngine, plain, "1000", Identity{User: "1000"}, false},
		{DockerEngine, plain, "root", Identity{User: "root"}, true},
		{Podman, plain, "", Identity{User: "1000:100"}, false},
		{DockerRootless, plain, "", Identity{User: "0:0"}, false},
		{DockerRootless, plain, "1000", Identity{User: "1000"}, true},
		{PodmanRootless, plain, "", Identity{User: "1000:100", NS: "keep-id"}, false},
		{PodmanRootless, plain, "root", Identity{User: "root"}, false},
		{PodmanRootless, plain, "1000:7", Identity{User: "1000:7", NS: "keep-id"}, false},
		{PodmanRootless, docker.Facts{Version: "4.3.1"}, "55", Identity{User: "55:55", NS: "keep-id:uid=55,gid=55"}, false},
		{PodmanRootless, docker.Facts{Version: "5.0"}, "node", Identity{User: "node", NS: "keep-id"}, true},
	} {
		got, err := IdentityOf("linux", c.kind, c.facts, c.wish, Owner{1000, 100})
		noted := got.Note != ""
		got.Note = ""
		if err != nil || got != c.want || noted != c.note {
			t.Errorf("%s %q: %+v, noted %v, %v; want %+v", c.kind, c.wish, got, noted, err, c.want)
		}
	}
	if id, err := IdentityOf("linux", PodmanRootless, docker.Facts{Version: "4.2.9"}, "55", Owner{1000, 100}); err == nil {
		t.Errorf("an old Podman: %+v", id)
	}
}
