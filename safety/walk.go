package safety

import (
	"errors"
	"fmt"
	"io/fs"
)

// Walk calls visit for each entry below the directory at: sorted by name, a directory ahead of what is in it, with paths
// from the root's top. Where visit returns fs.SkipDir for a directory, what is in it is passed over; another error ends
// the walk. No link is followed. A directory that is gone by the time its turn comes, at included, has nothing in it.
func (r *Root) Walk(at RelPath, visit func(p RelPath, info Info) error) error {
	d, err := r.OpenDir(at)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("walk %s: %w", at, err)
	}
	defer d.Close()
	return d.walk(at, visit)
}

func (d *Dir) walk(at RelPath, visit func(p RelPath, info Info) error) error {
	entries, err := d.ReadDir()
	if err != nil {
		return fmt.Errorf("walk %s: %w", at, err)
	}
	for _, e := range entries {
		p := at.Join(e.Name)
		info, err := d.Lstat(e.Name)
		if err != nil {
			return fmt.Errorf("walk %s: %w", p, err)
		}
		if info.Kind == Absent {
			continue
		}
		err = visit(p, info)
		if info.Kind == Directory && err == nil {
			err = d.walkInto(e.Name, p, visit)
		}
		if err != nil && !(info.Kind == Directory && errors.Is(err, fs.SkipDir)) {
			return err
		}
	}
	return nil
}

func (d *Dir) walkInto(name string, p RelPath, visit func(p RelPath, info Info) error) error {
	sub, err := d.OpenDir(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("walk %s: %w", p, err)
	}
	defer sub.Close()
	return sub.walk(p, visit)
}
