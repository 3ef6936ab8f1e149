package safety

import (
	"context"
	"fmt"
	"path/filepath"
)

// MoveOut moves the entry p, whatever it is (a whole directory too), out of the root to the absolute path dst, where
// nothing may be and whose directory is the caller's own. On another mount than dst's it is copied without following
// anything, special files left out, and then removed.
func (r *Root) MoveOut(ctx context.Context, p RelPath, dst string) error {
	return r.at("move out", p, func(parent int, name string) error {
		fd, _, err := r.sys.openRoot(filepath.Dir(dst))
		if err != nil {
			return err
		}
		to := &Dir{sys: r.sys, name: filepath.Dir(dst), fd: fd}
		defer to.Close()
		err = r.moveTo(fd, filepath.Base(dst), parent, name)
		if !isOtherMount(err) {
			return err
		}
		from := &Dir{sys: r.sys, name: string(p.Dir()), fd: parent} // the descriptor stays the root's: not closed here
		if err := r.copyOut(ctx, from, name, to, filepath.Base(dst)); err != nil {
			return fmt.Errorf("copy to %s: %w", dst, err)
		}
		rm := &remover{ctx: ctx, sys: r.sys, top: parent, free: make(chan struct{})}
		return rm.entry(parent, Dirent{Name: name}, string(p.Dir()), 1)
	})
}

// moveTo renames; a directory needs to be writable itself, since its ".." changes.
func (r *Root) moveTo(to int, toName string, parent int, name string) error {
	move := func() error { return r.sys.rename(OpMoveOut, parent, name, to, toName, noReplace) }
	err := move()
	if !isDenied(err) {
		return err
	}
	rm := &remover{sys: r.sys}
	if rm.open(parent, name) != nil {
		return err
	}
	return move()
}

// copyOut copies one entry and what is below it from one open directory to another.
func (r *Root) copyOut(ctx context.Context, from *Dir, name string, to *Dir, toName string) error {
	info, err := from.Lstat(name)
	if err != nil {
		return err
	}
	switch info.Kind {
	case File:
		return r.copyFileOut(ctx, from, name, to, toName)
	case Symlink:
		target, err := from.Readlink(name)
		if err != nil {
			return err
		}
		return to.Symlink(target, toName)
	case Directory:
		return r.copyDirOut(ctx, from, name, to, toName, info)
	}
	return nil
}

func (r *Root) copyFileOut(ctx context.Context, from *Dir, name string, to *Dir, toName string) (err error) {
	src, info, err := from.Open(name)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := to.Create(toName, info.Mode&0o777|0o600)
	if err != nil {
		return err
	}
	if _, err = r.copier.CopyContent(ctx, dst, src); err == nil {
		err = dst.Sync()
	}
	if cerr := dst.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = to.SetTimes(toName, info.Mtime)
	}
	return err
}

func (r *Root) copyDirOut(ctx context.Context, from *Dir, name string, to *Dir, toName string, info Info) error {
	src, err := from.OpenDir(name)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := to.Mkdir(toName, info.Mode&0o777|0o700)
	if err != nil {
		return err
	}
	defer dst.Close()
	names, err := src.ReadDir()
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := r.copyOut(ctx, src, n.Name, dst, n.Name); err != nil {
			return err
		}
	}
	return nil
}
