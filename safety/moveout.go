package safety

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// MoveOut moves the entry p, whatever it is (a whole directory too), out of the root to q in the root to, where nothing
// may be. On another mount than to's it is copied without following anything, special files left out, and then removed.
// Like all else it follows nothing on either side: a link that was moved out before leads nowhere.
func (r *Root) MoveOut(ctx context.Context, p RelPath, to *Root, q RelPath) error {
	return r.at("move out", p, func(parent int, name string) error {
		dst, err := to.OpenDir(q.Dir())
		if err != nil {
			return err
		}
		defer dst.Close()
		err = dst.use(func(fd int) error { return r.moveTo(fd, q.Base(), parent, name) })
		if !isOtherMount(err) {
			return err
		}
		from := &Dir{sys: r.sys, name: string(p.Dir()), fd: parent} // the descriptor stays the root's: not closed here
		if err := r.copyOut(ctx, from, name, dst, q.Base()); err != nil {
			return fmt.Errorf("copy to %s: %w", q, err)
		}
		rm := &remover{ctx: ctx, sys: r.sys, top: parent, free: make(chan struct{})}
		return rm.entry(parent, Dirent{Name: name}, string(p.Dir()), 1)
	})
}

// CopyOut is MoveOut that leaves the entry where it is. Special files are left out.
func (r *Root) CopyOut(ctx context.Context, p RelPath, to *Root, q RelPath) error {
	return r.at("copy out", p, func(parent int, name string) error {
		dst, err := to.OpenDir(q.Dir())
		if err != nil {
			return err
		}
		defer dst.Close()
		from := &Dir{sys: r.sys, name: string(p.Dir()), fd: parent} // the descriptor stays the root's: not closed here
		return r.copyOut(ctx, from, name, dst, q.Base())
	})
}

// MoveSlot moves what lies in slot seq to p in the root to, where nothing may be.
func (s *Store) MoveSlot(seq uint64, to *Root, p RelPath) error {
	return to.at("move slot to", p, func(parent int, name string) error {
		return s.folder.use(func(folder int) error {
			return s.root.sys.renameToFree(OpMoveOut, folder, slotName(seq), parent, name)
		})
	})
}

// renameToFree renames to a name that is free. Where a file system can't see to that (bindfs, some network ones), a look
// before has to do: it is for folders of ours alone, in which nobody else makes names.
func (s *sys) renameToFree(op Op, fromfd int, from string, tofd int, to string) error {
	err := s.rename(op, fromfd, from, tofd, to, noReplace)
	if !isLacking(err) {
		return err
	}
	there, lookErr := lstatAt(s, tofd, to)
	if lookErr != nil || there.Kind != Absent {
		return errors.Join(fmt.Errorf("%s: %w", to, os.ErrExist), lookErr)
	}
	return s.rename(op, fromfd, from, tofd, to, overwrite)
}

// MkdirAll makes the directory p and those above it that are not there. Something else in the way is an error that
// wraps ErrChanged.
func (r *Root) MkdirAll(p RelPath, mode uint32) error {
	for _, dir := range append(p.Parents(), p) {
		if dir == Top {
			continue
		}
		info, err := r.Lstat(dir)
		if err == nil && info.Kind == Absent {
			err = r.Mkdir(dir, mode)
		} else if err == nil && info.Kind != Directory {
			err = fmt.Errorf("make directory %s: a %v is there: %w", dir, info.Kind, ErrChanged)
		}
		if err != nil && !isExist(err) {
			return err
		}
	}
	return nil
}

// moveTo renames; a directory needs to be writable itself, since its ".." changes.
func (r *Root) moveTo(to int, toName string, parent int, name string) error {
	move := func() error { return r.sys.renameToFree(OpMoveOut, parent, name, to, toName) }
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
	if err != nil {
		return errors.Join(err, to.Unlink(toName)) // half of a file is worse than none, and in the way of the next try
	}
	return nil
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
	for i, n := range names {
		if err := r.copyOut(ctx, src, n.Name, dst, n.Name); err != nil {
			return errors.Join(err, dropCopies(src, names[:i], dst), to.Rmdir(toName))
		}
	}
	return nil
}

// dropCopies removes the copies of entries, and nothing else: somebody may have put something beside them.
func dropCopies(from *Dir, names []Dirent, to *Dir) error {
	var errs []error
	for _, n := range names {
		switch n.Kind {
		case File, Symlink:
			errs = append(errs, to.Unlink(n.Name))
		case Directory:
			errs = append(errs, dropDirCopy(from, n.Name, to))
		}
	}
	return errors.Join(errs...)
}

func dropDirCopy(from *Dir, name string, to *Dir) error {
	src, err := from.OpenDir(name)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := to.OpenDir(name)
	if err != nil {
		return err
	}
	defer dst.Close()
	names, err := src.ReadDir()
	return errors.Join(err, dropCopies(src, names, dst), to.Rmdir(name))
}
