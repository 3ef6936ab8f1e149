package container

import (
	"testing"

	"github.com/alca-mount/alca-mount/launcher/internal/docker"
)

func TestKindIsWhatTheEngineSays(t *testing.T) {
	for _, c := range []struct {
		facts docker.Facts
		want  Kind
	}{
		{docker.Facts{Name: "docker", OSType: "linux", OperatingSystem: "Debian GNU/Linux 12 (bookworm)"}, DockerEngine},
		{docker.Facts{Name: "docker", OSType: "linux", OperatingSystem: "Fedora Linux 42", Rootless: true}, DockerRootless},
		{docker.Facts{Name: "docker", OSType: "linux", OperatingSystem: "Docker Desktop"}, DockerDesktop},
		{docker.Facts{Name: "docker", OSType: "linux", OperatingSystem: "OrbStack"}, OrbStack},
		{docker.Facts{Name: "podman", OSType: "linux", OperatingSystem: "debian"}, Podman},
		{docker.Facts{Name: "podman", OSType: "linux", OperatingSystem: "debian", Rootless: true}, PodmanRootless},
	} {
		if got, err := kindOf(c.facts); err != nil || got != c.want {
			t.Errorf("%+v: %q, %v; want %q", c.facts, got, err, c.want)
		}
	}
}

func TestWhatCannotBeToldIsAnError(t *testing.T) {
	for _, f := range []docker.Facts{{Name: "docker", OSType: "windows", OperatingSystem: "Windows"}, {Name: "docker", OSType: "linux"}, {}} {
		if got, err := kindOf(f); err == nil {
			t.Errorf("%+v: %q, no error", f, got)
		}
	}
}

// The table of the design, row by row.
func TestPlaceOf(t *testing.T) {
	rules, none := true, false
	for _, c := range []struct {
		goos  string
		kind  Kind
		mode  string
		rules bool
		want  Place
	}{
		{"linux", DockerEngine, "auto", rules, Mirrored},
		{"linux", DockerEngine, "auto", none, Bound},
		{"linux", Podman, "auto", rules, Mirrored},
		{"linux", Podman, "auto", none, Bound},
		{"linux", PodmanRootless, "auto", rules, Mirrored},
		{"linux", PodmanRootless, "auto", none, Bound},
		{"darwin", DockerDesktop, "auto", rules, Mirrored},
		{"darwin", DockerDesktop, "auto", none, Mirrored},
		{"darwin", OrbStack, "auto", rules, Mirrored},
		{"darwin", OrbStack, "auto", none, Bound},
		{"darwin", DockerEngine, "auto", none, Mirrored},
		{"darwin", Podman, "auto", none, Mirrored},
		{"linux", DockerEngine, "always", none, Mirrored},
		{"darwin", OrbStack, "always", none, Mirrored},
		{"linux", DockerEngine, "never", none, Bound},
		{"darwin", DockerDesktop, "never", none, Bound},
	} {
		got, note, err := PlaceOf(c.goos, c.kind, Wish{Mode: c.mode, Rules: c.rules, Dir: true})
		if err != nil || got != c.want {
			t.Errorf("%s %s %s rules %v: %v, %v; want %v", c.goos, c.kind, c.mode, c.rules, got, err, c.want)
		}
		if desktop := c.goos == "darwin" && c.kind == DockerDesktop && got == Mirrored; desktop != (note != "") {
			t.Errorf("%s %s: note %q", c.goos, c.kind, note)
		}
	}
}

func TestAPlainBindNeverComesWithRules(t *testing.T) {
	if _, _, err := PlaceOf("linux", DockerEngine, Wish{Mode: "never", Rules: true, Dir: true}); err == nil {
		t.Error("bound although rules apply")
	}
	if _, _, err := PlaceOf("linux", DockerEngine, Wish{Mode: "always"}); err == nil {
		t.Error("a file was to be mirrored")
	}
}
