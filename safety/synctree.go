package safety

import "fmt"

// SyncTree waits until what lies at p is on the disk: a file's content, or all that is below a directory, content before
// the names that lead to it. Links and special files come with their directory. The name p itself is its directory's:
// see Sync.
func (r *Root) SyncTree(p RelPath) error {
	d, err := r.OpenDir(p.Dir())
	if err != nil {
		return err
	}
	defer d.Close()
	info, err := d.Lstat(p.Base())
	if err != nil {
		return err
	}
	if err := d.syncEntry(p.Base(), info.Kind); err != nil {
		return fmt.Errorf("sync %s: %w", p, err)
	}
	return nil
}

func (d *Dir) syncEntry(name string, kind Kind) error {
	switch kind {
	case File:
		return d.use(func(dirfd int) error {
			fd, _, err := openRegularFD(d.sys, dirfd, name)
			if err != nil {
				return err
			}
			defer closeFD(fd)
			return d.sys.fsync(OpKeepFsync, fd, name)
		})
	case Directory:
		sub, err := d.OpenDir(name)
		if err != nil {
			return err
		}
		defer sub.Close()
		return sub.syncAll()
	}
	return nil
}

func (d *Dir) syncAll() error {
	entries, err := d.ReadDir()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := d.syncEntry(e.Name, e.Kind); err != nil {
			return err
		}
	}
	return d.Sync()
}
