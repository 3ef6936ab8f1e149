package launcher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/alca-mount/alca-mount/launcher/internal/container"
	"github.com/alca-mount/alca-mount/launcher/internal/namespace"
	"github.com/alca-mount/alca-mount/launcher/internal/plain"
)

// Machine is what launches can use here, as it was found by trying.
type Machine struct {
	Namespace error  // why CMD can't run in a namespace at the project's path; nil: a command just did
	Fix       string // how to allow it, where that is known
	Landlock  int    // the version of the kernel's Landlock; 0: none
	Engines   []FoundEngine
}

// FoundEngine is a container engine, or why there is none of that name.
type FoundEngine struct {
	Runtime ContainerRuntime
	Kind    string // "docker-engine", "podman-rootless", …
	Version string
	Why     string // why this one was asked
	Err     error
}

// What a namespace needs of Landlock, by its version.
const (
	LandlockWrites = 3 // --confine-writes
	LandlockScopes = 6 // signals and abstract sockets stay inside
)

// Probe finds out what a launch on project (real path) could use. It runs a command in a namespace that shows an empty
// directory in the project's place, asks the container engines who they are, and changes nothing.
func Probe(ctx context.Context, project string) Machine {
	m := Machine{Landlock: namespace.Landlock()}
	m.Namespace = tryNamespace(ctx, project)
	var refusal *namespace.Refusal
	if errors.As(m.Namespace, &refusal) {
		m.Namespace, m.Fix = errors.New(refusal.Why), refusal.Fix
	}
	for _, runtime := range []ContainerRuntime{RuntimeDocker, RuntimePodman} {
		m.Engines = append(m.Engines, findEngine(ctx, runtime))
	}
	return m
}

func findEngine(ctx context.Context, runtime ContainerRuntime) FoundEngine {
	found := FoundEngine{Runtime: runtime}
	e, err := container.Find(ctx, string(runtime), engineEnv())
	if err != nil {
		found.Err = err
		return found
	}
	found.Kind, found.Version, found.Why = string(e.Kind), e.Facts.Version, e.Why
	found.Err = e.Close()
	return found
}

// tryNamespace runs a command where the project's path shows an empty directory, and takes its word for that.
func tryNamespace(ctx context.Context, project string) (err error) {
	tmp, err := os.MkdirTemp("", "alca-mount-probe")
	if err == nil {
		tmp, err = filepath.EvalSymlinks(tmp)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	shown, empty := filepath.Join(tmp, shownName), filepath.Join(tmp, "mirror")
	if err := errors.Join(os.Mkdir(shown, 0o700), os.Mkdir(empty, 0o755), ownLike(empty, project)); err != nil {
		return err
	}
	ns, _, err := namespace.Open(ctx, namespace.Options{Project: project, Mirror: empty, State: tmp, Shown: shown})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ns.Close()) }()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	exit, err := ns.Run(ctx, plain.Spec{
		Argv: []string{"/bin/sh", "-c", `test -z "$(ls -A)"`}, Dir: project, Env: append(os.Environ(), "PWD="+project),
		Stdin: null, Stdout: null, Stderr: null,
	})
	if err == nil && exit.Code != 0 {
		err = fmt.Errorf("a command in a namespace ended with %d: it should have seen an empty %s", exit.Code, project)
	}
	return err
}

// ownLike gives dir the owner that a mirror of project has.
func ownLike(dir, project string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	owner := ownerOf(project)
	return os.Chown(dir, owner.UID, owner.GID)
}
