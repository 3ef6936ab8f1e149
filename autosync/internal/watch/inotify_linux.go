package watch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/alca-mount/alca-mount/safety"
	"golang.org/x/sys/unix"
)

func newAuto(w *Watcher) (backend, error) { return newInotify(w) }

// inotify is the backend over inotify(7): one watch per directory.
//
// Which directory a watch belongs to is learned from the kernel alone: setting the watch of what is at a path now
// returns the same number for the same directory, whatever it was called before. So each event that may have put
// another directory at a path leads to setting the watch there again, and renames need no pairing by cookie.
//
// Invariant: a directory is known at a name only if it was seen there, in the directory known above it, while both had
// their watches. When that ends an event of the one above tells so. Hence no watch stays behind on what has left.
type inotify struct {
	w      *Watcher
	places places
	base   string // the root's own name in the directory above it
	reader sync.WaitGroup

	mu     sync.Mutex // held from opening a directory until its watch has its place: the later look wins
	dirs   *dirs
	file   *os.File // the inotify instance; nil while the system allows none
	conn   syscall.RawConn
	above  int32 // the watch of the directory above the root; -1: none
	closed bool
}

func newInotify(w *Watcher) (backend, error) {
	places, err := openPlaces(w.root)
	if err != nil {
		return nil, err
	}
	return &inotify{w: w, places: places, base: filepath.Base(w.root.Path()), dirs: newDirs(), above: -1}, nil
}

// instance makes the inotify instance, when there is none yet.
func (in *inotify) instance() error {
	if in.closed {
		return ErrClosed
	}
	if in.file != nil {
		return nil
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return explainInit(err)
	}
	file := os.NewFile(uintptr(fd), "inotify") // non-blocking: Close ends a Read
	if in.conn, err = file.SyscallConn(); err != nil {
		return errors.Join(err, file.Close())
	}
	in.file = file
	in.watchAbove()
	in.reader.Go(func() { in.read(in.file) })
	return nil
}

// watchAbove watches the directory above the root for the root's own removal: while somebody has the root open, and we
// do, removing it raises nothing on itself. Where the one above can't be read the callers' own checks have to do.
func (in *inotify) watchAbove() {
	wd, err := in.control(func(fd int) (int, error) {
		return unix.InotifyAddWatch(fd, filepath.Dir(in.w.root.Path()), unix.IN_DELETE|unix.IN_MOVED_FROM|unix.IN_ONLYDIR)
	})
	if err == nil {
		in.above = wd
	}
}

// control makes a call with the instance's descriptor, which stays open meanwhile.
func (in *inotify) control(call func(fd int) (int, error)) (wd int32, err error) {
	failed := in.conn.Control(func(fd uintptr) {
		n := -1
		for n, err = call(int(fd)); err == unix.EINTR; n, err = call(int(fd)) {
		}
		wd = int32(n)
	})
	return wd, errors.Join(failed, err)
}

func (in *inotify) watch(p safety.RelPath, d *safety.Dir) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if err := in.instance(); err != nil {
		return err
	}
	done, err := in.watchHeld(p, d)
	if !done {
		err = in.watchPath(p)
	}
	if errors.Is(err, errNoDir) && p != safety.Top {
		// RACE: it may just have been renamed. The event of its new name, or the listing of a directory above it,
		// watches it again.
		in.dropAt(p)
	}
	return err
}

// watchHeld watches p by the descriptor that d has of it: half the calls. It reports false where that can't be.
func (in *inotify) watchHeld(p safety.RelPath, d *safety.Dir) (done bool, err error) {
	if d == nil || p == safety.Top {
		return false, nil
	}
	err = d.Control(func(fd int) error {
		held, err := heldPlace(p, fd)
		if err == nil {
			done, err = true, in.watchAt(p, held)
		}
		return err
	})
	return done, err
}

func (in *inotify) watchPath(p safety.RelPath) error {
	place, err := in.places.open(p)
	if err != nil {
		return err
	}
	defer place.close()
	return in.watchAt(p, place)
}

// watchAt watches the directory that place holds open. The kernel takes it from the descriptor, not from a path that
// could lead elsewhere by now.
func (in *inotify) watchAt(p safety.RelPath, place place) error {
	if up := in.dirs.at(p.Dir()); p != safety.Top && up != nil && up.wd != 0 && up.id != place.above {
		return errNoDir // the directory above is another than the one known there; its own event comes
	}
	name := "/proc/self/fd/" + strconv.Itoa(place.fd)
	wd, err := in.control(func(fd int) (int, error) { return unix.InotifyAddWatch(fd, name, maskOf(p)) })
	switch {
	case errors.Is(err, unix.EACCES):
		return errUnreadable
	case err != nil:
		return explainAdd(p, err)
	}
	d := in.dirs.byWD[wd]
	if !place.holds() {
		if d == nil {
			in.unwatch([]int32{wd})
		}
		return errNoDir
	}
	if d != nil && d != in.dirs.at(p) {
		if q := in.dirs.path(d); in.places.names(q, place.id) {
			return fmt.Errorf("%q and %q are one directory (a bind mount): changes are found by scans", q, p)
		}
	}
	dropped, ok := in.dirs.place(p, wd, place.id)
	in.unwatch(dropped)
	if !ok {
		return fmt.Errorf("%q is a directory that holds it: changes are found by scans", p)
	}
	return nil
}

func (in *inotify) dropAt(p safety.RelPath) {
	if d := in.dirs.at(p); d != nil && p != safety.Top {
		in.unwatch(in.dirs.drop(d))
	}
}

// explainAdd says which limit kept the directory p unwatched, and what to do.
func explainAdd(p safety.RelPath, err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC):
		return limit("watched directories", "fs.inotify.max_user_watches", unix.ENOSPC)
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("watching needs /proc: %w", err)
	}
	return fmt.Errorf("watch %q: %w", p, err)
}

func explainInit(err error) error {
	if err == unix.EMFILE {
		return limit("watching programs", "fs.inotify.max_user_instances", err)
	}
	return fmt.Errorf("start watching: %w", err)
}

func limit(what, sysctl string, err error) error {
	value := "?"
	if b, readErr := os.ReadFile("/proc/sys/" + strings.ReplaceAll(sysctl, ".", "/")); readErr == nil {
		value = strings.TrimSpace(string(b))
	}
	return fmt.Errorf("the system's limit of %s is reached: raise %s (now %s): %w", what, sysctl, value, err)
}

func (in *inotify) forget(p safety.RelPath) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.dropAt(p)
}

// unwatch takes watches away. Those whose directory is gone already are no more (EINVAL).
func (in *inotify) unwatch(wds []int32) {
	for _, wd := range wds {
		in.control(func(fd int) (int, error) { return unix.InotifyRmWatch(fd, uint32(wd)) })
	}
}

func (in *inotify) rewatched(walk func()) {
	in.mu.Lock()
	in.dirs.gen++
	in.mu.Unlock()
	walk()
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.closed && in.w.ctx.Err() == nil {
		in.unwatch(in.dirs.unmet())
	}
}

// close ends the reader. The kernel drops all watches with the instance.
func (in *inotify) close() error {
	in.mu.Lock()
	file := in.file
	in.closed = true
	in.mu.Unlock()
	var err error
	if file != nil {
		err = file.Close()
	}
	in.reader.Wait()
	in.mu.Lock()
	defer in.mu.Unlock()
	in.places.close()
	return err
}
