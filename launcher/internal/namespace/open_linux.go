package namespace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// setup is what the init is told before anything else.
type setup struct {
	Options
	Env  map[string]string // the variables that say where sockets are
	Home string
}

// Start starts the namespaces' first process, which takes a while to come up: whoever has something else to do meanwhile
// does it before Build. An error says why it can't be done here, and how to allow it where that is known.
func Start(noNetwork bool) (*Namespace, error) {
	if !entered.Load() {
		return nil, fmt.Errorf("this program's main does not call launcher.Inside: %w", errors.ErrUnsupported)
	}
	return start(noNetwork)
}

// Build makes the mounts. After an error there is nothing to be used any more.
func (n *Namespace) Build(ctx context.Context, o Options) (Facts, error) {
	if err := fit(o); err != nil {
		return Facts{}, errors.Join(err, n.Close())
	}
	conf, err := packed(setup{Options: o, Env: socketEnv(), Home: os.Getenv("HOME")})
	if err != nil {
		return Facts{}, errors.Join(err, n.Close())
	}
	defer conf.Close()
	files := []*os.File{conf}
	defer func() { closeAll(files[1:]) }()
	n.shown = o.Shown
	if n.lent, err = lender(o.Mirror); err == nil && n.lent != (lent{}) {
		files, err = n.lent.trees(files, o)
	}
	if err != nil {
		return Facts{}, errors.Join(err, n.Close())
	}
	stop := context.AfterFunc(ctx, n.hangUp)
	answer, _, err := n.ask(message{Op: "build", Left: len(files) - 1}, files...)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Facts{}, errors.Join(fmt.Errorf("build the namespace: %w", err), n.Close())
	}
	return *answer.Facts, nil
}

// fit refuses what would not work inside.
func fit(o Options) error {
	if o.ConfineWrites && landlockABI() < abiTruncate {
		return fmt.Errorf("confine writes: this kernel's Landlock is too old, or off (6.2 has it): %w", errors.ErrUnsupported)
	}
	return nil
}

// start clones the init into its namespaces.
func start(noNetwork bool) (*Namespace, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(ends[1]), "init's end")
	defer theirs.Close()
	attr, err := cloneAttr(noNetwork)
	if err != nil {
		unix.Close(ends[0])
		return nil, err
	}
	process, err := os.StartProcess("/proc/self/exe", []string{initName}, &os.ProcAttr{
		Dir: "/", Env: []string{}, Files: []*os.File{null, null, null, theirs}, Sys: attr,
	})
	if err != nil {
		unix.Close(ends[0])
		return nil, refusal(err)
	}
	return newNamespace(process, link{ends[0]}), nil
}

// socketEnv are the variables that sockets outside are found by.
func socketEnv() map[string]string {
	env := map[string]string{}
	for _, name := range []string{"XDG_RUNTIME_DIR", "TMUX_TMPDIR", "TMUX", "SCREENDIR", "DOCKER_HOST"} {
		if value := os.Getenv(name); value != "" {
			env[name] = value
		}
	}
	return env
}

// cloneAttr asks for the namespaces, with our own user in them: root keeps all users' names, others have no more than one.
func cloneAttr(noNetwork bool) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC,
		Setsid:     true,
	}
	if noNetwork {
		attr.Cloneflags |= unix.CLONE_NEWNET
	}
	if os.Getuid() != 0 {
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
		attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_SETPCAP, unix.CAP_SYS_RESOURCE}
		return attr, nil
	}
	var err error
	if attr.UidMappings, err = ownMap("/proc/self/uid_map"); err != nil {
		return nil, err
	}
	if attr.GidMappings, err = ownMap("/proc/self/gid_map"); err != nil {
		return nil, err
	}
	attr.GidMappingsEnableSetgroups = readSetting("/proc/self/setgroups") != "deny" // once denied, for all below
	return attr, nil
}

// ownMap maps every id that we know ourselves to itself.
func ownMap(file string) ([]syscall.SysProcIDMap, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var ids []syscall.SysProcIDMap
	for line := range strings.Lines(string(text)) {
		var inside, outside, size int
		if _, err := fmt.Sscan(line, &inside, &outside, &size); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		ids = append(ids, syscall.SysProcIDMap{ContainerID: inside, HostID: inside, Size: size})
	}
	return ids, nil
}

// refusal says why the kernel would not make the namespaces, as far as it can be found out, and how to allow it.
func refusal(err error) error {
	switch {
	case readSetting("/proc/sys/user/max_user_namespaces") == "0":
		return &Refusal{"user namespaces are switched off: sysctl user.max_user_namespaces is 0", "sysctl -w user.max_user_namespaces=15000", err}
	case readSetting("/proc/sys/kernel/unprivileged_userns_clone") == "0" && os.Getuid() != 0:
		return &Refusal{"user namespaces are root's alone", "sysctl -w kernel.unprivileged_userns_clone=1", err}
	case restrictedByAppArmor():
		return appArmorRefusal(err)
	case errors.Is(err, unix.ENOSPC):
		return &Refusal{"no more user namespaces are allowed: their number is limited, and their nesting", "a higher sysctl user.max_user_namespaces, or fewer containers around this one", err}
	case errors.Is(err, unix.EPERM):
		return &Refusal{"user namespaces are not permitted here: by a seccomp filter, as in most containers, or a security module", "in a container, --security-opt seccomp=unconfined for it", err}
	}
	return fmt.Errorf("start in new namespaces: %w", err)
}

func restrictedByAppArmor() bool {
	return readSetting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" && os.Getuid() != 0
}

func appArmorRefusal(err error) error {
	return &Refusal{"AppArmor restricts user namespaces", "an AppArmor profile for alca-mount with the rule userns, or sysctl -w kernel.apparmor_restrict_unprivileged_userns=0", err}
}

func readSetting(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
