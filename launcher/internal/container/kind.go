// Package container runs a command in a Docker or Podman container. Its files are what the caller binds into it; it knows
// nothing of mirrors and syncing.
package container

import (
	"fmt"

	"github.com/alca-mount/alca-mount/launcher/internal/docker"
)

// Kind is what sort of engine answered; how files get into its containers, and whom they belong to there, depends on it.
type Kind string

// The kinds.
const (
	DockerEngine   Kind = "docker-engine"
	DockerRootless Kind = "docker-rootless"
	DockerDesktop  Kind = "docker-desktop"
	OrbStack       Kind = "orbstack"
	Podman         Kind = "podman"
	PodmanRootless Kind = "podman-rootless"
)

// kindOf tells an engine by what it says about itself. What it can't tell is an error: a guess could be a weaker launch.
func kindOf(f docker.Facts) (Kind, error) {
	if f.OSType != "linux" {
		return "", fmt.Errorf("its containers are %q ones; expected linux", f.OSType)
	}
	switch {
	case f.Name == "podman" && f.Rootless:
		return PodmanRootless, nil
	case f.Name == "podman":
		return Podman, nil
	case f.OperatingSystem == "Docker Desktop":
		return DockerDesktop, nil
	case f.OperatingSystem == "OrbStack":
		return OrbStack, nil
	case f.OperatingSystem == "":
		return "", fmt.Errorf("it does not say on which system it runs")
	case f.Rootless:
		return DockerRootless, nil
	}
	return DockerEngine, nil
}

// Place is how a mount's files get into a container.
type Place uint8

// Mirrored: a mirror is bound; Bound: the files themselves are.
const (
	Mirrored Place = iota + 1
	Bound
)

// Wish is what is asked for a mount, and what is known of it.
type Wish struct {
	Mode  string // "always", "auto", "never"
	Rules bool   // rules or excludes apply in it
	Dir   bool
}

// PlaceOf decides. note says what is less than one would expect.
func PlaceOf(goos string, k Kind, w Wish) (place Place, note string, err error) {
	switch {
	case !w.Dir && w.Mode == "always":
		return 0, "", fmt.Errorf("a file has no mirror: expected a directory, or mirror = \"auto\" or \"never\"")
	case !w.Dir:
		return Bound, "", nil
	case w.Mode == "never" && w.Rules:
		return 0, "", fmt.Errorf("mirror = \"never\" binds the files themselves, and rules or excludes apply: use \"auto\" or \"always\", or drop them")
	case w.Mode == "never":
		return Bound, "", nil
	case w.Mode == "always", w.Rules, needsMirror(goos, k):
		return Mirrored, transportNote(goos, k), nil
	}
	return Bound, "", nil
}

// needsMirror reports whether a bind of the user's own files is slow or tells nothing of changes, so that a mirror serves
// better also where nothing is to be hidden.
func needsMirror(goos string, k Kind) bool { return goos != "linux" && k != OrbStack }

func transportNote(goos string, k Kind) string {
	if goos != "linux" && k == DockerDesktop {
		return "the mirror is bound through the virtual machine's file sharing; a volume of its own, which is faster, comes later"
	}
	return ""
}
