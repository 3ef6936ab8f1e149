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
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Ino != root.Info().Ino || st.Dev != root.Info().Dev {
		unix.Close(fd)
		return places{}, errors.Join(safety.ErrGone, err)
	}
	return places{fd}, nil
}

func openPath(dirfd int, name string) (fd int, err error) {
	err = unix.EINTR
	for err == unix.EINTR {
		fd, err = unix.Openat(dirfd, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	}
	return fd, err
}

// open opens the directory p. Without openat2, or where p is longer than one call takes, it goes element by element.
func (pl places) open(p safety.RelPath) (int, error) {
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

// same reports whether p is the directory that fd is open on.
func (pl places) same(p safety.RelPath, fd int) bool {
	other, err := pl.open(p)
	if err != nil {
		return false
	}
	defer unix.Close(other)
	var a, b unix.Stat_t
	return unix.Fstat(fd, &a) == nil && unix.Fstat(other, &b) == nil && a.Ino == b.Ino && a.Dev == b.Dev
}

func (pl places) close() { unix.Close(pl.fd) }
