package safety

import (
	"fmt"
	"io"
)

// Handle is an open regular file of a [Dir] for callers that go through very many: it is its descriptor and no more,
// where an os.File asks the kernel three things before it is ready. It belongs to one goroutine.
type Handle struct {
	sys       *sys
	dir, name string // for messages
	fd        int
}

// OpenListed opens the regular file that the directory's listing names, as Open does. Where the listing says that it is
// a regular file no further look is taken before it is opened: see openRegular's race, which begins with the listing
// then and ends as that does, with a look at what was opened.
func (d *Dir) OpenListed(n Dirent) (h Handle, info Info, err error) {
	err = d.in("open", n.Name, func(dirfd int) error {
		if n.Kind != File {
			if err := mustBeRegular(d.sys, dirfd, n.Name); err != nil {
				return err
			}
		}
		h = Handle{sys: d.sys, dir: d.name, name: n.Name}
		h.fd, info, err = openSeen(d.sys, dirfd, n.Name)
		return err
	})
	return h, info, err
}

// Make makes the file called name, which must not exist, open for writing. It gets of mode's permission bits what umask
// and the directory's default ACL leave: callers look what came out. Create is for an exact mode.
func (d *Dir) Make(name string, mode uint32) (h Handle, err error) {
	err = d.in("create", name, func(dirfd int) error {
		h = Handle{sys: d.sys, dir: d.name, name: name}
		h.fd, err = d.sys.create(OpCreate, dirfd, name, mode&0o777)
		return err
	})
	return h, err
}

// Stat describes the file.
func (h Handle) Stat() (Info, error) {
	info, err := h.sys.fstat(OpFileStat, h.fd, h.name)
	return info, h.explain("look at", err)
}

// HasWriter is the function HasWriter.
func (h Handle) HasWriter() bool { return writing(h.fd) != NoWriter }

// ReadAt reads as io.ReaderAt has it.
func (h Handle) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := h.sys.readAt(OpRead, h.fd, p[done:], off+int64(done), h.name)
		if err != nil {
			return done, h.explain("read", err)
		}
		if n == 0 {
			return done, io.EOF
		}
		done += n
	}
	return done, nil
}

// Empty takes the file's content away.
func (h Handle) Empty() error {
	return h.explain("empty", h.sys.ftruncate(OpCopyWrite, h.fd, 0, h.name))
}

// SetTimes sets the modification time, in nanoseconds since 1970.
func (h Handle) SetTimes(mtime int64) error {
	return h.explain("set times", h.sys.setTimesFD(OpSetTimes, h.fd, mtime, h.name))
}

// Chmod sets the mode, set-id bits included. What came out is for a look to say.
func (h Handle) Chmod(mode uint32) error {
	return h.explain("chmod", h.sys.fchmod(OpChmod, h.fd, mode, h.name))
}

// Chown sets owner and group; ^0 leaves one as it is.
func (h Handle) Chown(uid, gid uint32) error {
	return h.explain("chown", h.sys.fchown(OpChown, h.fd, uid, gid, h.name))
}

// CopyXattrs is the function CopyXattrs.
func (h Handle) CopyXattrs(from Handle) error {
	return h.explain("copy the attributes of", copyXattrs(h.sys, h.fd, from.fd, h.name))
}

// Close releases the file.
func (h Handle) Close() { closeFD(h.fd) }

func (h Handle) explain(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %q: %w", what, h.dir+"/"+h.name, err)
}
