package overlay

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"
)

// Unpack makes the directory dir, which must not exist, of a tar of its content: directories, files, and links as they
// are. Whoever it is given to can write to all of it. Nothing is made outside of dir, whatever names and links the tar
// has; what is none of these kinds, and set-id bits, are left out.
func Unpack(from io.Reader, dir string, owner Owner) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	u := unpacker{root: root, owner: owner}
	archive := tar.NewReader(from)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return u.finish()
		}
		if err == nil {
			err = u.entry(h, archive)
		}
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
	}
}

type unpacker struct {
	root  *os.Root
	owner Owner
	dirs  []*tar.Header // their times are set at the end: what is made in them changes them
}

func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	name := path.Clean(h.Name)
	if name != "." && h.Typeflag != tar.TypeDir {
		if err := u.root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.directory(name, h)
	case tar.TypeReg:
		return u.file(name, h, content)
	case tar.TypeSymlink:
		return errors.Join(u.root.Symlink(h.Linkname, name), u.give(name))
	case tar.TypeLink:
		return u.root.Link(path.Clean(h.Linkname), name)
	}
	return nil
}

func (u *unpacker) directory(name string, h *tar.Header) error {
	if err := u.root.MkdirAll(name, 0o755); err != nil {
		return err
	}
	u.dirs = append(u.dirs, &tar.Header{Name: name, Mode: h.Mode, ModTime: h.ModTime})
	return u.give(name)
}

func (u *unpacker) file(name string, h *tar.Header, content io.Reader) error {
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if u.owner.Give {
		err = errors.Join(err, f.Chown(u.owner.UID, u.owner.GID))
	}
	err = errors.Join(err, f.Chmod(fs.FileMode(h.Mode)&0o777|0o600), f.Close())
	return errors.Join(err, u.root.Chtimes(name, time.Time{}, h.ModTime))
}

func (u *unpacker) give(name string) error {
	if !u.owner.Give {
		return nil
	}
	return u.root.Lchown(name, u.owner.UID, u.owner.GID)
}

func (u *unpacker) finish() error {
	var errs []error
	for i := len(u.dirs) - 1; i >= 0; i-- {
		d := u.dirs[i]
		errs = append(errs, u.root.Chmod(d.Name, fs.FileMode(d.Mode)&0o777|0o700), u.root.Chtimes(d.Name, time.Time{}, d.ModTime))
	}
	return errors.Join(errs...)
}
