package safety

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// maxDepth is how deep removal goes before it moves what is below to the top: each level holds a descriptor open.
const maxDepth = 200

// RemoveMirror removes the directory and all in it, when it carries session's marker and is still the directory that
// root opened. Directories without write permission are made writable first; links are not followed; mounts are not
// entered, and are an error. The marker goes last, so that an interrupted removal can be run again.
func RemoveMirror(ctx context.Context, root *Root, session string) error {
	if err := root.Verify(); err != nil {
		return fmt.Errorf("remove mirror: %w", err)
	}
	owner, err := ReadMarker(root)
	if err != nil {
		return fmt.Errorf("remove mirror: %w", err)
	}
	if owner != session {
		return fmt.Errorf("remove mirror %q: it belongs to session %q: %w", root.path, owner, ErrNoMarker)
	}
	err = root.top.use(func(fd int) error {
		r := &remover{ctx: ctx, sys: root.sys, top: fd, free: make(chan struct{}, runtime.NumCPU())}
		return r.all()
	})
	if err != nil {
		return fmt.Errorf("remove mirror %q: %w", root.path, err)
	}
	return removeTop(root)
}

// removeTop removes the directory itself. It is empty but for the marker, so that nothing can be lost by it.
func removeTop(root *Root) error {
	err := root.at("remove", MarkerName, func(dirfd int, name string) error {
		return root.sys.unlink(OpRemove, dirfd, name)
	})
	if err != nil {
		return err
	}
	parent, _, err := root.sys.openRoot(filepath.Dir(root.path))
	if err != nil {
		return fmt.Errorf("remove %q: %w", root.path, err)
	}
	defer closeFD(parent)
	name := filepath.Base(root.path)
	now, err := root.sys.lstat(OpRemove, parent, name)
	if err == nil && !now.SameFile(root.info) {
		err = ErrGone
	}
	if err == nil {
		err = root.sys.rmdir(OpRemove, parent, name)
	}
	return explain("remove", root.path, err)
}

// remover empties one mirror.
type remover struct {
	ctx   context.Context
	sys   *sys
	top   int           // the mirror's directory
	free  chan struct{} // a place for each directory that is emptied beside others
	moved atomic.Int64  // how many deep directories were moved to the top
}

// all empties the top but for the marker, again for as long as deep directories are moved there.
func (r *remover) all() error {
	own, _, err := r.sys.openListable(OpRemove, r.top, ".")
	if err != nil && isDenied(err) {
		if err = r.sys.chmodPinned(OpRemove, r.top, 0o700, "."); err == nil {
			own, _, err = r.sys.openListable(OpRemove, r.top, ".")
		}
	}
	if err != nil {
		return err
	}
	defer closeFD(own)
	for {
		before := r.moved.Load()
		if err := r.empty(own, "", 0); err != nil || r.moved.Load() == before {
			return err
		}
	}
}

// empty removes what is in the directory. It goes on after an error, so that as much as possible goes.
func (r *remover) empty(dirfd int, path string, depth int) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	list, err := r.sys.readDir(OpRemove, dirfd, path)
	if err != nil {
		return fmt.Errorf("list %q: %w", path, err)
	}
	sortDirents(list)
	errs := make([]error, len(list))
	var wg sync.WaitGroup
	for i, e := range list {
		if depth == 0 && e.Name == MarkerName {
			continue
		}
		if e.Kind != Directory && e.Kind != Absent {
			errs[i] = r.entry(dirfd, e, path, depth)
			continue
		}
		select {
		case r.free <- struct{}{}:
			wg.Go(func() {
				errs[i] = r.entry(dirfd, e, path, depth)
				<-r.free
			})
		default:
			errs[i] = r.entry(dirfd, e, path, depth)
		}
	}
	wg.Wait()
	return firstFew(errs)
}

// firstFew keeps an error message readable.
func firstFew(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	return errors.Join(errs[:min(len(errs), 3)]...)
}

func (r *remover) entry(dirfd int, e Dirent, path string, depth int) error {
	full := path + "/" + e.Name
	if e.Kind != Directory {
		err := r.allowed(dirfd, func() error { return r.sys.unlink(OpRemove, dirfd, e.Name) })
		if err == nil || isAbsent(err) {
			return nil
		}
		if !isDirectory(r.sys, dirfd, e.Name) {
			return fmt.Errorf("remove %q: %w", full, err)
		}
	}
	if depth >= maxDepth {
		return r.moveUp(dirfd, e.Name, full)
	}
	return r.dir(dirfd, e.Name, full, depth)
}

func isDirectory(s *sys, dirfd int, name string) bool {
	info, err := s.lstat(OpRemove, dirfd, name)
	return err == nil && info.Kind == Directory
}

// dir empties and removes one directory.
func (r *remover) dir(dirfd int, name, full string, depth int) error {
	fd, err := r.enter(dirfd, name)
	if isAbsent(err) {
		return nil
	}
	if isOtherTree(err) { // RACE: it became a link or a file since it was listed
		err = r.allowed(dirfd, func() error { return r.sys.unlink(OpRemove, dirfd, name) })
		return explain("remove", full, err)
	}
	if isOtherMount(err) {
		return fmt.Errorf("remove %q: something is mounted there: %w", full, err)
	}
	if err != nil {
		return fmt.Errorf("open %q: %w", full, err)
	}
	err = r.empty(fd, full, depth+1)
	closeFD(fd)
	if err != nil {
		return err
	}
	err = r.allowed(dirfd, func() error { return r.sys.rmdir(OpRemove, dirfd, name) })
	if err != nil && !isAbsent(err) {
		return fmt.Errorf("remove %q: %w", full, err)
	}
	return nil
}

// enter opens the directory for listing, making it ours to list first where need be, and never another mount.
func (r *remover) enter(dirfd int, name string) (int, error) {
	fd, err := r.sys.openNoMount(OpRemove, dirfd, name)
	if !isDenied(err) {
		return fd, err
	}
	if err := r.open(dirfd, name); err != nil {
		return -1, err
	}
	return r.sys.openNoMount(OpRemove, dirfd, name)
}

// open gives the directory called name, and nothing else, the owner's bits.
func (r *remover) open(dirfd int, name string) error {
	if mounted, err := r.sys.isMountRoot(dirfd, name); err != nil || mounted {
		return errors.Join(fmt.Errorf("it may be a mount"), err)
	}
	pin, err := r.sys.pin(OpRemove, dirfd, name)
	if err != nil {
		return err
	}
	defer closeFD(pin)
	info, err := r.sys.fstat(OpRemove, pin, name)
	if err != nil || info.Kind != Directory {
		return errors.Join(ErrChanged, err)
	}
	return r.sys.chmodPinned(OpRemove, pin, 0o700, name)
}

// allowed makes the directory writable when a call in it is denied, and makes the call again.
func (r *remover) allowed(dirfd int, call func() error) error {
	err := call()
	if !isDenied(err) {
		return err
	}
	if r.sys.chmodPinned(OpRemove, dirfd, 0o700, ".") != nil {
		return err
	}
	return call()
}

// moveUp takes a directory that is too deep to the mirror's top, to be removed from there.
func (r *remover) moveUp(dirfd int, name, full string) error {
	for {
		to := reservedPrefix + "deep-" + strconv.FormatInt(r.moved.Add(1), 10)
		err := r.allowed(dirfd, func() error { return r.sys.rename(OpRemove, dirfd, name, r.top, to, noReplace) })
		if isDenied(err) && r.open(dirfd, name) == nil { // its own ".." must be writable too
			err = r.sys.rename(OpRemove, dirfd, name, r.top, to, noReplace)
		}
		if isExist(err) {
			continue
		}
		if err != nil && !isAbsent(err) {
			return fmt.Errorf("remove %q: %w", full, err)
		}
		return nil
	}
}
