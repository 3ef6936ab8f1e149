package watch

import (
	"errors"
	"fmt"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
	"golang.org/x/sys/unix"
)

// places opens directories below the root for nothing but to be watched: without following any link, so that no
// watch is ever set outside, whatever is renamed meanwhile.
type places struct{ fd int }

// openPlaces opens the directory that root has open. Where another one is at its path now the error wraps
// safety.ErrGone.
func openPlaces(root *safety.Root) (places, error) {
	fd, err := openPath(unix.AT_FDCWD, root.Path())
	if err != nil {
		return places{}, fmt.Errorf("open %q: %w", root.Path(), err)
	}
	if id, err := idOf(fd, ""); err != nil || id != (inodeID{root.Info().Dev, root.Info().Ino}) {
		unix.Close(fd)
		return places{}, errors.Join(safety.ErrGone, err)
	}
	return places{fd}, nil
}

func openPath(dirfd int, name string) (fd int, err error) {
	for err = unix.EINTR; err == unix.EINTR; {
		fd, err = unix.Openat(dirfd, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	}
	return fd, err
}

// place is an open directory, and where it is looked for.
type place struct {
	fd        int
	parent    int    // open; -1: none
	name      string // of the directory, seen from parent
	above, id inodeID
}

// heldPlace is the directory p, not the top, that somebody has open: what is above it is found through itself. That takes
// the right to search it.
func heldPlace(p safety.RelPath, fd int) (pc place, err error) {
	pc = place{fd: fd, parent: fd, name: "../" + p.Base()}
	if pc.above, err = idOf(fd, ".."); err == nil {
		pc.id, err = idOf(fd, "")
	}
	return pc, err
}

// open opens the directory p. The error is errNoDir, errUnreadable or trouble.
func (pl places) open(p safety.RelPath) (pc place, err error) {
	pc = place{parent: -1, fd: -1, name: p.Base()}
	defer func() {
		if err != nil {
			pc.close()
			err = explainOpen(p, err)
		}
	}()
	if pc.parent, err = pl.openDir(p.Dir()); err != nil {
		return pc, err
	}
	if pc.fd, err = openPath(pc.parent, pc.name); err != nil {
		return pc, err
	}
	if pc.above, err = idOf(pc.parent, ""); err != nil {
		return pc, err
	}
	pc.id, err = idOf(pc.fd, "")
	return pc, err
}

func explainOpen(p safety.RelPath, err error) error {
	switch err {
	case unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.EXDEV:
		return errNoDir
	case unix.EACCES:
		return errUnreadable
	}
	return fmt.Errorf("open %q to watch it: %w", p, err)
}

// holds reports whether the directory still is where it was opened.
func (pc place) holds() bool {
	id, err := idOf(pc.parent, pc.name)
	return err == nil && id == pc.id
}

func (pc place) close() {
	for _, fd := range []int{pc.parent, pc.fd} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// idOf tells which inode is called name in dirfd, or dirfd itself is.
func idOf(dirfd int, name string) (inodeID, error) {
	var st unix.Stat_t
	var err error = unix.EINTR
	for err == unix.EINTR {
		if name == "" {
			err = unix.Fstat(dirfd, &st)
		} else {
			err = unix.Fstatat(dirfd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
		}
	}
	return inodeID{uint64(st.Dev), uint64(st.Ino)}, err
}

// names reports whether p is the directory id.
func (pl places) names(p safety.RelPath, id inodeID) bool {
	pc, err := pl.open(p)
	if err != nil {
		return false
	}
	defer pc.close()
	return pc.id == id
}

// openDir opens the directory p. Without openat2, or where p is longer than one call takes, it goes element by element.
func (pl places) openDir(p safety.RelPath) (int, error) {
	how := unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	for {
		fd, err := unix.Openat2(pl.fd, string(p), &how)
		switch err {
		case nil:
			return fd, nil
		case unix.EINTR, unix.EAGAIN: // EAGAIN: a rename somewhere made the kernel unsure
		case unix.ENOSYS, unix.EPERM, unix.ENAMETOOLONG:
			return pl.walk(p)
		default:
			return -1, err
		}
	}
}

// walk opens p one element at a time, none of which may be a link; without ".." in p no step leads up.
func (pl places) walk(p safety.RelPath) (int, error) {
	at := pl.fd
	for name := range strings.SplitSeq(string(p), "/") {
		fd, err := openPath(at, name)
		if at != pl.fd {
			unix.Close(at)
		}
		if err != nil {
			return -1, err
		}
		at = fd
	}
	return at, nil
}

func (pl places) close() { unix.Close(pl.fd) }
