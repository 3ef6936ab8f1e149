package namespace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// builder makes the mounts, from inside the new namespaces and before any process of CMD is there.
type builder struct {
	Options
	user    user
	root    bool // CMD is root of this machine or container
	mounts  []mount
	mirror  *os.File // handles from before their paths are covered
	shown   *os.File
	binds   []*os.File // of Binds, in their order
	lent    []*os.File // mounts to be used in place of those of mirror and binds; none: the paths
	secrets []string   // what is covered because it shows what is hidden
	facts   Facts
	built   *place // what later changes are made on
}

// place is the finished mounts, as init holds them.
type place struct {
	project *os.File // the mirror at the project's path
	shown   *os.File
}

func (b *builder) build() (err error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to ourselves: %w", err)
	}
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	if b.mounts, err = parseMounts(string(text)); err != nil {
		return err
	}
	if err := b.openSources(); err != nil {
		return err
	}
	if b.shown, err = openPath(b.Shown); err != nil {
		return err
	}
	for _, step := range []func() error{b.devices, b.processes, b.coverSecrets, b.hideSockets, b.ownSSH, b.loopback, b.showMirror, b.protect, b.showBinds, b.guard} {
		if err := step(); err != nil {
			return err
		}
	}
	return b.verify()
}

// openSources takes hold of the mirror and of what is bound over it, before their paths are covered.
func (b *builder) openSources() (err error) {
	if len(b.lent) > 0 {
		b.mirror, b.binds = b.lent[0], b.lent[1:]
		return nil
	}
	if b.mirror, err = openPath(b.Mirror); err != nil {
		return err
	}
	for _, m := range b.Binds {
		source, err := openPath(m.Source)
		if err != nil {
			return err
		}
		b.binds = append(b.binds, source)
	}
	return nil
}

// place mounts a source.
func (b *builder) place(source *os.File, to string) error {
	if len(b.lent) == 0 {
		return bind(procPath(source), to)
	}
	if err := unix.MoveMount(int(source.Fd()), "", unix.AT_FDCWD, to, unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_SYMLINKS); err != nil {
		return fmt.Errorf("mount %s on %s: %w", source.Name(), to, err)
	}
	return nil
}

func openPath(p string) (*os.File, error) {
	fd, err := unix.Open(p, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", p, err)
	}
	return os.NewFile(uintptr(fd), p), nil
}

// procPath leads to an open file by mount's and others' path arguments.
func procPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

func tmpfs(at, options string, flags uintptr) error {
	if err := unix.Mount("tmpfs", at, "tmpfs", flags|unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mount an empty file system on %s: %w", at, err)
	}
	return nil
}

// cover puts nothing where something is: an empty directory, or a file that is a device which swallows and gives nothing.
func cover(p string) error {
	var st unix.Stat_t
	if err := unix.Lstat(p, &st); err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
			return nil
		}
		return fmt.Errorf("cover %s: %w", p, err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return tmpfs(p, "size=4k,nr_inodes=2,mode=0555", unix.MS_RDONLY)
	case unix.S_IFLNK:
		return nil // what it leads to is covered
	}
	return bind("/dev/null", p)
}

func bind(from, to string) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s on %s: %w", from, to, err)
	}
	return nil
}

// processes gives CMD a /proc of its own processes only, and covers all that show others.
func (b *builder) processes() error {
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount a fresh /proc: %w", err)
	}
	for _, m := range b.mounts {
		if m.fstype == "proc" && m.point != "/proc" && !within("/proc", m.point) && !within(b.Project, m.point) {
			if err := cover(m.point); err != nil {
				return err
			}
		}
	}
	if err := b.kernel(); err != nil || !b.root {
		return err
	}
	// Root may write here without any capability, and the kernel runs what some of it names.
	for _, p := range []string{"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs"} {
		if err := readOnly(p, false); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, p := range []string{"/proc/kcore", "/proc/keys", "/proc/kmsg"} {
		if err := cover(p); err != nil {
			return err
		}
	}
	return nil
}

// kernel makes the kernel's settings in /sys unchangeable, with the control groups: a user's own can freeze and kill what
// runs in them, and that is more than CMD. A control group file system of CMD's own is not to be had either.
func (b *builder) kernel() error {
	err := os.WriteFile("/proc/sys/user/max_cgroup_namespaces", []byte("0"), 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forbid control group namespaces: %w", err)
	}
	if err := readOnly("/sys", true); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// readOnly remounts a path so that nobody writes through it.
func readOnly(p string, all bool) error {
	var st unix.Stat_t
	if err := unix.Stat(p, &st); err != nil {
		return err
	}
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if all {
		flags |= unix.AT_RECURSIVE
	}
	tree, err := unix.OpenTree(unix.AT_FDCWD, p, flags)
	if err != nil {
		return fmt.Errorf("clone the mount of %s: %w", p, err)
	}
	defer unix.Close(tree)
	return attach(tree, unix.AT_FDCWD, p, all)
}

// attach mounts a cloned tree, read-only, on a path or with p "" on the file at.
func attach(tree, at int, p string, all bool) error {
	flags := uint(unix.AT_EMPTY_PATH)
	if all {
		flags |= unix.AT_RECURSIVE
	}
	if err := unix.MountSetattr(tree, "", flags, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		return fmt.Errorf("make a mount read-only: %w", err)
	}
	move := unix.MOVE_MOUNT_F_EMPTY_PATH
	if p == "" {
		move |= unix.MOVE_MOUNT_T_EMPTY_PATH
	}
	if err := unix.MoveMount(tree, "", at, p, move); err != nil {
		return fmt.Errorf("mount read-only: %w", err)
	}
	return nil
}

// coverSecrets takes away every path but the project's own to the project, to the mirror, and to our state.
func (b *builder) coverSecrets() error {
	secrets := []secret{{path: b.Project, keep: true}, {path: b.State}, {path: b.Mirror}, {path: b.Shown}}
	for _, p := range b.Hide {
		secrets = append(secrets, secret{path: p})
	}
	paths, err := covers(b.mounts, secrets, resolve)
	if err != nil {
		return err
	}
	b.secrets = paths
	for _, p := range append(stagingPlaces(b.Project), paths...) {
		if err := cover(p); err != nil {
			return err
		}
	}
	return nil
}

func resolve(p string) string {
	if !filepath.IsAbs(p) {
		return "" // of a directory that was somebody's when it was mounted
	}
	real, err := filepath.EvalSymlinks(p)
	if err != nil {
		return ""
	}
	return real
}

// hideSockets puts an empty directory of CMD's own where sockets of programs outside are.
func (b *builder) hideSockets() error {
	var allowed []*os.File
	defer func() { closeAll(allowed) }()
	for _, p := range b.AllowSockets {
		f, err := openPath(resolve(p))
		if err != nil {
			return fmt.Errorf("--allow-socket %s: %w", p, err)
		}
		allowed = append(allowed, f)
	}
	for _, p := range places(refuges(b.user)) {
		if slices.Contains(b.AllowSockets, p) {
			continue
		}
		if within(p, b.Project) {
			b.facts.Warnings = append(b.facts.Warnings, p+" is not hidden, because the project lies in it: sockets there can be reached")
			continue
		}
		if err := b.hideSocket(p); err != nil {
			return err
		}
	}
	for _, f := range allowed {
		if err := b.keepSocket(f); err != nil {
			return fmt.Errorf("--allow-socket %s: %w", f.Name(), err)
		}
	}
	return nil
}

// lets reports whether a place is not the guard's: the project, or a socket that is allowed, lies in it.
func (b *builder) lets(p string) bool {
	return within(p, b.Project) || slices.ContainsFunc(b.AllowSockets, func(s string) bool { return within(p, resolve(s)) || within(p, s) })
}

// places are the real paths of refuges that are there, sorted.
func places(list []refuge) []string {
	var out []string
	for _, r := range list {
		if r.made {
			_ = os.Mkdir(r.path, 0o700) // where it can't be made, nobody of ours can listen
		}
		paths := []string{r.path}
		if r.all {
			paths, _ = filepath.Glob(r.path)
		}
		for _, p := range paths {
			if p = resolve(p); p != "" && p != "/" {
				out = append(out, p)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (b *builder) hideSocket(p string) error {
	info, err := os.Lstat(p)
	if err != nil {
		return nil // not ours to see
	}
	if !info.IsDir() {
		return bind("/dev/null", p)
	}
	return tmpfs(p, "size=64m,mode=0700,uid="+strconv.Itoa(os.Getuid())+",gid="+strconv.Itoa(os.Getgid()), 0)
}

func (b *builder) keepSocket(f *os.File) error {
	p := f.Name()
	if _, err := os.Lstat(p); err == nil {
		return nil // nothing hides it
	}
	if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(p, nil, 0o600); err != nil {
		return err
	}
	return bind(procPath(f), p)
}

// ownSSH gives CMD copies that it owns of ssh's system settings: where only our own user is known, root's files look like
// nobody's, and ssh refuses to read them.
func (b *builder) ownSSH() error {
	const dir = "/etc/ssh/ssh_config.d"
	if b.root {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return nil // nothing there for ssh to refuse
	}
	copies := map[string][]byte{}
	for _, e := range entries {
		if data, err := os.ReadFile(filepath.Join(dir, e.Name())); err == nil {
			copies[e.Name()] = data
		}
	}
	if err := tmpfs(dir, "size=4m,mode=0755", 0); err != nil {
		return err
	}
	for name, data := range copies {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	return unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "")
}

// loopback brings up the one interface that an empty network has.
func (b *builder) loopback() error {
	if !b.NoNetwork {
		return nil
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("bring up the loopback interface: %w", err)
	}
	return nil
}

// showMirror makes the project's path the mirror.
func (b *builder) showMirror() error {
	if err := os.MkdirAll(b.Project, 0o700); err != nil { // in a place that is hidden by itself
		return err
	}
	if err := b.place(b.mirror, b.Project); err != nil {
		return err
	}
	project, err := openPath(b.Project)
	if err != nil {
		return err
	}
	b.built = &place{project: project, shown: b.shown}
	return nil
}

// showBinds mounts the other directories over the mirror's. Also over what is read-only as a whole: its own mount would
// cover them.
func (b *builder) showBinds() error {
	for i, m := range b.Binds {
		if err := b.bindOver(b.binds[i], b.built.project, string(m.Path)); err != nil {
			return err
		}
	}
	return nil
}

// bindOver mounts a directory on one of the project's, to which no link leads.
func (b *builder) bindOver(source, project *os.File, p string) error {
	fd, err := unix.Openat2(int(project.Fd()), p, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC | unix.O_DIRECTORY, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS})
	if err != nil {
		return fmt.Errorf("open %s: %w", p, err)
	}
	target := os.NewFile(uintptr(fd), p)
	defer target.Close()
	return b.place(source, procPath(target))
}

// protect mounts what is read-only over itself.
func (b *builder) protect() error {
	for _, r := range b.ReadOnly {
		if err := b.built.protect(string(r.Path), r.Dir); err != nil {
			return err
		}
	}
	return nil
}

// verify looks whether what was mounted is what is seen.
func (b *builder) verify() error {
	var want, got unix.Stat_t
	if err := errors.Join(unix.Fstat(int(b.mirror.Fd()), &want), unix.Lstat(b.Project, &got)); err != nil {
		return err
	}
	if want.Dev != got.Dev || want.Ino != got.Ino {
		return fmt.Errorf("%s does not show the mirror", b.Project)
	}
	for _, p := range []string{b.State, b.Mirror, b.Shown} {
		if names, err := os.ReadDir(p); err == nil && len(names) > 0 {
			return fmt.Errorf("%s can still be read", p)
		}
	}
	return nil
}
