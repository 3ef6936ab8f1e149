package namespace

import (
	"fmt"
	"os"
	"path/filepath"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
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
	for _, p := range in.Places {
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
	abiIoctl    = 5
	abiScopes   = 6
)

// The rights of Landlock that a confined command has everywhere, where it may write, and in a file it may write to.
const (
	mayRead      = ll.AccessFSExecute | ll.AccessFSReadFile | ll.AccessFSReadDir
	mayWrite     = mayRead | ll.AccessFSWriteFile | ll.AccessFSRemoveDir | ll.AccessFSRemoveFile | mayMake | ll.AccessFSRefer | ll.AccessFSTruncate | ll.AccessFSIoctlDev
	mayMake      = ll.AccessFSMakeChar | ll.AccessFSMakeDir | ll.AccessFSMakeReg | ll.AccessFSMakeSock | ll.AccessFSMakeFifo | ll.AccessFSMakeBlock | ll.AccessFSMakeSym
	mayWriteFile = ll.AccessFSExecute | ll.AccessFSReadFile | ll.AccessFSWriteFile | ll.AccessFSTruncate
)

// enforce takes the rights from this thread, and from all that it starts. The thread has no_new_privs.
func (c confinement) enforce() error {
	var attr ll.RulesetAttr
	abi := landlockABI()
	if abi >= abiScopes {
		attr.Scoped = ll.ScopeAbstractUnixSocket | ll.ScopeSignal
	}
	if c.Writes {
		attr.HandledAccessFS = mayWrite
		if abi < abiIoctl {
			attr.HandledAccessFS &^= ll.AccessFSIoctlDev
		}
	}
	if attr == (ll.RulesetAttr{}) {
		return nil
	}
	rules, err := ll.LandlockCreateRuleset(&attr, 0)
	if err != nil {
		return fmt.Errorf("make Landlock's rules: %w", err)
	}
	defer unix.Close(rules)
	if err := c.allow(rules, attr.HandledAccessFS); err != nil {
		return fmt.Errorf("confine writes: %w", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(rules), 0, 0); errno != 0 {
		return fmt.Errorf("enforce Landlock's rules: %w", errno)
	}
	return nil
}

// allow makes a rule for each place that a confined command has rights in. One that is not there needs none.
func (c confinement) allow(rules int, handled uint64) error {
	if handled == 0 {
		return nil
	}
	if err := permit(rules, "/", mayRead&handled); err != nil {
		return err
	}
	for _, p := range c.Writable {
		info, err := os.Stat(p)
		if err != nil {
			continue
		}
		rights := uint64(mayWriteFile)
		if info.IsDir() {
			rights = mayWrite
		}
		if err := permit(rules, p, rights&handled); err != nil {
			return err
		}
	}
	return nil
}

func permit(rules int, p string, rights uint64) error {
	fd, err := unix.Open(p, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", p, err)
	}
	defer unix.Close(fd)
	if err := ll.LandlockAddPathBeneathRule(rules, &ll.PathBeneathAttr{ParentFd: fd, AllowedAccess: rights}, 0); err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	return nil
}
