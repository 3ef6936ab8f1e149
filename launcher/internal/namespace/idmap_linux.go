package namespace

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Root has no power over others' files in a namespace. So where root launches on the project of an ordinary user, the
// mirror is mounted with that user and root exchanged: root's command owns the files that it sees, and what it makes is the
// user's.

// lent is the owner whose files are root's in the namespace; zero for nobody.
type lent struct{ uid, gid int }

// lender is the owner of dir, where the namespace's command has no power over such files by itself.
func lender(dir string) (lent, error) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return lent{}, fmt.Errorf("look at %s: %w", dir, err)
	}
	if os.Getuid() != 0 || st.Uid == 0 {
		return lent{}, nil
	}
	return lent{int(st.Uid), int(st.Gid)}, nil
}

// owner is who has to own a file outside, for the command to see it as the one of uid and gid.
func (l lent) owner(uid, gid int) (int, int) {
	if l.uid != 0 && uid == l.uid {
		uid = 0
	}
	if l.gid != 0 && gid == l.gid {
		gid = 0
	}
	return uid, gid
}

// tree is dir as a mount of nobody's, in which the lender and root are exchanged.
func (l lent) tree(dir string) (*os.File, error) {
	users, err := l.exchange()
	if err != nil {
		return nil, fmt.Errorf("exchange user %d and root: %w", l.uid, err)
	}
	defer users.Close()
	fd, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("clone the mount of %s: %w", dir, err)
	}
	attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(users.Fd())}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, attr); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("show %s as root's (the file system can't, or we may not): %w", dir, err)
	}
	return os.NewFile(uintptr(fd), dir), nil
}

// trees adds those of the mirror, and of what is bound over it.
func (l lent) trees(files []*os.File, o Options) ([]*os.File, error) {
	dirs := []string{o.Mirror}
	for _, b := range o.Binds {
		dirs = append(dirs, b.Source)
	}
	for _, dir := range dirs {
		tree, err := l.tree(dir)
		if err != nil {
			return files, fmt.Errorf("the project belongs to user %d, and root has no power over others' files in a namespace: start alca-mount as that user: %w", l.uid, err)
		}
		files = append(files, tree)
	}
	return files, nil
}

// exchange is a user namespace that exchanges the lender and root. It takes a process to make one.
func (l lent) exchange() (*os.File, error) {
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ours.Close()
	defer theirs.Close()
	holder, err := os.StartProcess("/proc/self/exe", []string{initName}, &os.ProcAttr{
		Dir: "/", Env: []string{}, Files: []*os.File{nil, nil, nil, ours},
		Sys: &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWUSER, UidMappings: swapped(l.uid), GidMappings: swapped(l.gid), Pdeathsig: unix.SIGKILL,
		},
	})
	if err != nil {
		return nil, err
	}
	users, err := os.Open("/proc/" + strconv.Itoa(holder.Pid) + "/ns/user")
	_ = holder.Kill()
	_, _ = holder.Wait()
	return users, err
}

// swapped maps id to 0, 0 to id, and each other id to itself.
func swapped(id int) []syscall.SysProcIDMap {
	const all = 1<<32 - 1
	if id == 0 {
		return []syscall.SysProcIDMap{{Size: all}}
	}
	list := []syscall.SysProcIDMap{
		{ContainerID: 0, HostID: id, Size: 1}, {ContainerID: 1, HostID: 1, Size: id - 1},
		{ContainerID: id, HostID: 0, Size: 1}, {ContainerID: id + 1, HostID: id + 1, Size: all - id - 1},
	}
	return slices.DeleteFunc(list, func(m syscall.SysProcIDMap) bool { return m.Size <= 0 })
}
