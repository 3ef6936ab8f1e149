package safety

import (
	"fmt"
	"os"
)

// use calls do with the descriptor, which stays open meanwhile. do must not call a method of the same Dir.
func (d *Dir) use(do func(fd int) error) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.fd < 0 {
		return os.ErrClosed
	}
	return do(d.fd)
}

// Control calls do with the descriptor, which is the directory's for as long as do runs and not to be closed by it.
func (d *Dir) Control(do func(fd int) error) error { return d.use(do) }

// in is use for an operation on the entry called name.
func (d *Dir) in(what, name string, do func(fd int) error) error {
	if !validName(name) {
		return fmt.Errorf("%s %q in %q: %w", what, name, d.name, ErrBadPath)
	}
	if err := d.use(do); err != nil {
		return explain(what, d.name+"/"+name, err)
	}
	return nil
}

// ReadDir lists the directory, sorted by name.
func (d *Dir) ReadDir() ([]Dirent, error) {
	var list []Dirent
	err := d.readable(func(fd int) (err error) {
		list, err = d.sys.readDir(OpDirRead, fd, d.name)
		return err
	})
	if err != nil {
		return nil, explain("list", d.name, err)
	}
	list = d.tellKinds(list)
	sortDirents(list)
	return list, nil
}

// tellKinds looks at the entries whose kind the file system does not list with their names (ext4 without "filetype", some
// FUSE): a directory that is taken for a file would be hidden by no rule for directories. Those that are gone by now go.
func (d *Dir) tellKinds(list []Dirent) []Dirent {
	told := list[:0]
	for _, n := range list {
		if n.Kind == Absent {
			info, err := d.Lstat(n.Name)
			if err == nil && info.Kind == Absent {
				continue
			}
			n.Kind = info.Kind
		}
		told = append(told, n)
	}
	return told
}

// readable calls do with a descriptor of the directory that nobody else reads from meanwhile: a directory's position
// belongs to the descriptor.
func (d *Dir) readable(do func(fd int) error) error {
	return d.use(func(fd int) error {
		if !d.pathOnly {
			d.listing.Lock()
			defer d.listing.Unlock()
			return do(fd)
		}
		own, pathOnly, err := d.sys.openListable(OpDirOpen, fd, ".")
		if err != nil {
			return err
		}
		defer closeFD(own)
		if pathOnly { // still: else the error would be that such a descriptor can't be read
			return os.ErrPermission
		}
		return do(own)
	})
}

// Lstat describes the entry name; an absent one is Info{} and a nil error.
func (d *Dir) Lstat(name string) (Info, error) {
	var info Info
	err := d.in("look at", name, func(fd int) (err error) {
		info, err = lstatAt(d.sys, fd, name)
		return err
	})
	return info, err
}

// Stat describes the directory itself.
func (d *Dir) Stat() (Info, error) {
	var info Info
	err := d.use(func(fd int) (err error) {
		info, err = d.sys.fstat(OpDirStat, fd, d.name)
		return err
	})
	return info, explain("look at", d.name, err)
}

// OpenDir opens the directory called name. A symbolic link is an error that wraps ErrChanged.
func (d *Dir) OpenDir(name string) (*Dir, error) {
	var sub *Dir
	err := d.in("open directory", name, func(fd int) (err error) {
		sub, err = openDirAt(d.sys, fd, name, d.name+"/"+name)
		return err
	})
	return sub, err
}

// Open opens the regular file called name for reading, as Root.Open does.
func (d *Dir) Open(name string) (*os.File, Info, error) {
	var f *os.File
	var info Info
	err := d.in("open", name, func(fd int) (err error) {
		f, info, err = openRegular(d.sys, fd, name, d.name+"/"+name)
		return err
	})
	return f, info, err
}

// Create makes the file called name, which must not exist, open for writing, with exactly the permission bits of mode
// (no umask). A mode without write permission does not hinder writing through the descriptor.
func (d *Dir) Create(name string, mode uint32) (*os.File, error) {
	var f *os.File
	err := d.in("create", name, func(dirfd int) error {
		fd, err := d.sys.create(OpCreate, dirfd, name, mode&0o700)
		if err != nil {
			return err
		}
		if err := d.sys.fchmod(OpChmod, fd, mode, name); err != nil {
			closeFD(fd)
			d.sys.unlink(OpCreate, dirfd, name)
			return err
		}
		f = os.NewFile(uintptr(fd), d.name+"/"+name)
		return nil
	})
	return f, err
}

// Mkdir makes the directory called name with exactly the permission bits of mode (no umask; a setgid bit that the
// parent hands down stays) and opens it.
func (d *Dir) Mkdir(name string, mode uint32) (*Dir, error) {
	var sub *Dir
	err := d.in("make directory", name, func(dirfd int) error {
		fd, err := mkdirAt(d.sys, dirfd, name, mode)
		if err != nil {
			return err
		}
		sub = &Dir{sys: d.sys, name: d.name + "/" + name, fd: fd}
		return nil
	})
	return sub, err
}

// MakeDir makes and opens the directory called name. It gets of mode's permission bits what umask and the directory's
// default ACL leave: callers look what came out, as those of [Dir.Mkdir] need not.
func (d *Dir) MakeDir(name string, mode uint32) (*Dir, error) {
	var sub *Dir
	err := d.in("make directory", name, func(dirfd int) error {
		if err := d.sys.mkdir(OpMkdir, dirfd, name, mode&0o777); err != nil {
			return err
		}
		fd, pathOnly, err := d.sys.openListable(OpDirOpen, dirfd, name)
		if err != nil {
			return err
		}
		sub = &Dir{sys: d.sys, name: d.name + "/" + name, fd: fd, pathOnly: pathOnly}
		return nil
	})
	return sub, err
}

// Unlink removes the entry called name, which is no directory.
func (d *Dir) Unlink(name string) error {
	return d.in("remove", name, func(fd int) error { return d.sys.unlink(OpRemove, fd, name) })
}

// Chown sets owner and group of the directory itself; ^0 leaves one as it is.
func (d *Dir) Chown(uid, gid uint32) error {
	err := d.use(func(fd int) error { return d.sys.fchown(OpChown, fd, uid, gid, d.name) })
	return explain("chown", d.name, err)
}

// Lchown sets owner and group of the entry called name (of a link: its own); ^0 leaves one as it is.
func (d *Dir) Lchown(name string, uid, gid uint32) error {
	return d.in("chown", name, func(fd int) error { return d.sys.lchown(OpChown, fd, name, uid, gid) })
}

// CopyXattrs copies the directory's extended attributes from another, default ACLs among them, as the function
// CopyXattrs does.
func (d *Dir) CopyXattrs(from *Dir) error {
	err := from.use(func(src int) error {
		return d.use(func(dst int) error { return copyXattrs(d.sys, dst, src, from.name) })
	})
	return explain("copy the attributes of", from.name, err)
}

// Rmdir removes the empty directory called name.
func (d *Dir) Rmdir(name string) error {
	return d.in("remove directory", name, func(fd int) error { return d.sys.rmdir(OpRmdir, fd, name) })
}

// Readlink returns the target of the link called name.
func (d *Dir) Readlink(name string) (string, error) {
	var target string
	err := d.in("read link", name, func(fd int) (err error) {
		target, err = d.sys.readlink(OpReadlink, fd, name)
		return err
	})
	return target, err
}

// Symlink makes a link called name, which must not exist.
func (d *Dir) Symlink(target, name string) error {
	return d.in("make link", name, func(fd int) error { return d.sys.symlink(OpSymlink, target, fd, name) })
}

// SetTimes sets the modification time of the entry called name (of a link: its own), in nanoseconds since 1970.
func (d *Dir) SetTimes(name string, mtime int64) error {
	return d.in("set times", name, func(fd int) error { return d.sys.setTimes(OpSetTimes, fd, name, mtime) })
}

// SetOwnTimes sets the modification time of the directory itself, in nanoseconds since 1970.
func (d *Dir) SetOwnTimes(mtime int64) error {
	err := d.use(func(fd int) error { return d.sys.setTimes(OpSetTimes, fd, ".", mtime) })
	return explain("set times", d.name, err)
}

// Chmod gives the directory itself the permission bits of mode.
func (d *Dir) Chmod(mode uint32) error {
	err := d.use(func(fd int) error { return chmodVerified(d.sys, fd, d.name, mode) })
	return explain("chmod", d.name, err)
}

// Sync makes the names in the directory durable.
func (d *Dir) Sync() error {
	err := d.use(func(fd int) error {
		if !d.pathOnly {
			return d.sys.fsync(OpDirSync, fd, d.name)
		}
		own, _, err := d.sys.openListable(OpDirOpen, fd, ".")
		if err != nil {
			return err
		}
		defer closeFD(own)
		return d.sys.fsync(OpDirSync, own, d.name)
	})
	return explain("sync", d.name, err)
}

// Close releases the directory.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	closeFD(d.fd)
	d.fd = -1
	return nil
}
