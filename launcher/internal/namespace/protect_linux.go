package namespace

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// The scheme of read-only files, and why it holds.
//
// A read-only file is mounted on itself, read-only: nothing that is done through its path changes it, and while it is a
// mount point nothing in here renames over it or unlinks it. A directory above it can be moved, and the mount moves along.
// But a mount is on a directory entry, and goes with it when the entry is renamed over or unlinked from outside. So the
// engine's new versions are written in place, and before that, for nobody is to see half of one and no descriptor of CMD's
// is to reach one: the whole new version, from a directory that CMD does not have, is mounted over the old one. From then
// on the file in the mirror itself is seen by the engine alone. The old mount stays below; there is no moment without one.

// open finds an entry of the mirror as CMD sees it, through no link.
func (p *place) open(path string) (*os.File, unix.Stat_t, error) {
	var st unix.Stat_t
	fd, err := unix.Openat2(int(p.project.Fd()), path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, st, fmt.Errorf("open %s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	if err := unix.Fstat(fd, &st); err != nil {
		f.Close()
		return nil, st, err
	}
	return f, st, nil
}

// protect mounts a file or directory over itself, read-only.
func (p *place) protect(path string, dir bool) error {
	f, st, err := p.open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	kind := uint32(unix.S_IFREG)
	if dir {
		kind = unix.S_IFDIR
	}
	if st.Mode&unix.S_IFMT != kind {
		return fmt.Errorf("protect %s: it is something else by now", path)
	}
	return p.mountOn(f, f, st, path)
}

// show mounts a version over the file at path, whatever is there.
func (p *place) show(path, version string) error {
	target, st, err := p.open(path)
	if err != nil {
		return err
	}
	defer target.Close()
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("show %s: it is no file by now", path)
	}
	shown := &place{project: p.shown}
	source, st, err := shown.open(version)
	if err != nil {
		return err
	}
	defer source.Close()
	return p.mountOn(source, target, st, path)
}

// mountOn mounts source over target and looks at what path shows then.
func (p *place) mountOn(source, target *os.File, want unix.Stat_t, path string) error {
	tree, err := unix.OpenTree(int(source.Fd()), "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("clone the mount of %s: %w", source.Name(), err)
	}
	defer unix.Close(tree)
	if err := attach(tree, int(target.Fd()), "", false); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	now, st, err := p.open(path)
	if err != nil {
		return err
	}
	defer now.Close()
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(now.Fd()), &fs); err != nil {
		return err
	}
	if st.Dev != want.Dev || st.Ino != want.Ino || fs.Flags&unix.ST_RDONLY == 0 {
		return fmt.Errorf("protect %s: it was moved meanwhile", path)
	}
	return nil
}
