package namespace

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// confinement is the second layer: what Landlock keeps from CMD, as far as this kernel has it.
type confinement struct {
	Writes   bool     // confined to these
	Writable []string // directories and files
}

func (in *initial) confinement() confinement {
	c := confinement{Writes: in.ConfineWrites}
	if !c.Writes {
		return c
	}
	c.Writable = []string{in.Project, "/tmp", "/var/tmp", "/dev", "/proc"}
	if dir := in.Env["XDG_RUNTIME_DIR"]; dir != "" {
		c.Writable = append(c.Writable, dir)
	}
	if filepath.IsAbs(in.Env["TMPDIR"]) {
		c.Writable = append(c.Writable, in.Env["TMPDIR"])
	}
	c.Writable = append(c.Writable, in.Writable...)
	for _, p := range agentPlaces() {
		if filepath.IsAbs(in.Home) {
			c.Writable = append(c.Writable, filepath.Join(in.Home, p))
		}
	}
	return c
}

// Landlock is the version of Landlock that this kernel has; 0: none, or switched off.
func Landlock() int { return landlockABI() }

// landlockABI is the version of Landlock that this kernel has; 0: none.
func landlockABI() int {
	v, err := ll.LandlockGetABIVersion()
	if err != nil {
		return 0
	}
	return v
}

// The versions of Landlock that things came with.
const (
	abiTruncate = 3
	abiScopes   = 6
)

// enforce takes the rights from this process, and from all that it starts.
func (c confinement) enforce() error {
	if landlockABI() >= abiScopes {
		if err := landlock.V6.RestrictScoped(); err != nil {
			return fmt.Errorf("scope signals and abstract sockets: %w", err)
		}
	}
	if !c.Writes {
		return nil
	}
	rules := []landlock.Rule{landlock.RODirs("/")}
	for _, p := range c.Writable {
		info, err := os.Stat(p)
		switch {
		case err != nil:
		case info.IsDir():
			rules = append(rules, landlock.RWDirs(p).WithRefer().WithIoctlDev())
		default:
			rules = append(rules, landlock.RWFiles(p))
		}
	}
	if err := landlock.V5.BestEffort().RestrictPaths(rules...); err != nil {
		return fmt.Errorf("confine writes: %w", err)
	}
	return nil
}
