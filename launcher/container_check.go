package launcher

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"
)

// check refuses settings that can't be met, before anything is asked or made.
func (c *Container) check() error {
	if c == nil {
		return errors.New("isolation container: no image is named; expected --image IMG, or image in .alca.toml")
	}
	if c.Image == "" {
		return errors.New("container: no image is named; expected --image IMG, or image in .alca.toml")
	}
	switch c.Runtime {
	case "", RuntimeAuto, RuntimeDocker, RuntimePodman:
	default:
		return fmt.Errorf("container runtime %q: expected auto, docker or podman", c.Runtime)
	}
	if c.Workdir != "" {
		if err := checkTarget("workdir", c.Workdir); err != nil {
			return err
		}
	}
	if c.Memory < 0 || c.CPUs < 0 {
		return errors.New("container: memory and cpus are 0 (no limit) or more")
	}
	return c.checkMounts()
}

// meantForNamespace refuses, in a container, what only a namespace does.
func (o Options) meantForNamespace() error {
	if !o.inContainer() {
		return nil
	}
	if len(o.Hide)+len(o.AllowSockets) > 0 || o.ConfineWrites {
		return errors.New("hiding paths, letting sockets through and confining writes is for a namespace: in a container there is only what is mounted")
	}
	if c := o.Container; o.NoNetwork && c != nil && c.Network != "" && c.Network != "none" {
		return fmt.Errorf("container network %q: no network was asked for as well; expected one of both", c.Network)
	}
	return nil
}

// offline is the same container without a network.
func (c *Container) offline() *Container {
	if c == nil {
		return nil
	}
	out := *c
	out.Network = "none"
	return &out
}

func (c *Container) checkMounts() error {
	workdir := c.Workdir
	if workdir == "" {
		workdir = DefaultWorkdir
	}
	taken := map[string]bool{workdir: true}
	for _, m := range c.Mounts {
		if err := checkTarget("mount "+m.Source, m.Target); err != nil {
			return err
		}
		if !filepath.IsAbs(m.Source) {
			return fmt.Errorf("mount %s: expected an absolute path outside", m.Source)
		}
		if taken[m.Target] {
			return fmt.Errorf("mount %s: something else is mounted at %s already", m.Source, m.Target)
		}
		taken[m.Target] = true
		if strings.HasPrefix(m.Target, workdir+"/") {
			return fmt.Errorf("mount %s: %s lies in the project's own directory %s; expected a target outside of it", m.Source, m.Target, workdir)
		}
		switch m.Mirror {
		case "", MirrorAuto, MirrorAlways, MirrorNever:
		default:
			return fmt.Errorf("mount %s: mirror %q: expected always, auto or never", m.Source, m.Mirror)
		}
	}
	return nil
}

// checkTarget refuses what can't be a mount point, or would lie over the system inside.
func checkTarget(what, target string) error {
	if !path.IsAbs(target) || path.Clean(target) != target || target == "/" || strings.ContainsRune(target, 0) {
		return fmt.Errorf("%s: %q: expected an absolute, clean path in the container, not /", what, target)
	}
	for _, system := range []string{"/proc", "/sys", "/dev"} {
		if target == system || strings.HasPrefix(target, system+"/") {
			return fmt.Errorf("%s: %q is the system's in the container", what, target)
		}
	}
	return nil
}
