package mirror

import (
	"errors"
	"fmt"
	"os"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// dressFile gives a filled file the attributes, time, owner and mode of its source and says what came out: the last
// look at it is the mirror's stamp. Attributes go first, since an ACL moves mode bits; the mode goes after the owner,
// since a change of owner takes set-id bits away. What came out right by itself costs no call.
func (w *dirWork) dressFile(name string, to, from *os.File, source safety.Info, access dotfiles.Access) (safety.Info, error) {
	if err := w.copier.CopyXattrs(to, from); err != nil {
		return safety.Info{}, err
	}
	if err := w.dst.SetTimes(name, source.Mtime); err != nil {
		return safety.Info{}, err
	}
	made, err := safety.Stat(to)
	if err != nil {
		return made, err
	}
	if uid, gid, need := w.owner.change(source, made); need {
		if err := w.owner.settle(to.Chown(asID(uid), asID(gid))); err != nil {
			return made, err
		}
		if made, err = safety.Stat(to); err != nil {
			return made, err
		}
	}
	mode := mirrorMode(source, made, access)
	if made.Mode == mode {
		return made, nil
	}
	if err := to.Chmod(osMode(mode)); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return made, err
	}
	return safety.Stat(to)
}

// dressDir gives a filled directory the attributes and owner of its source, and returns the mode that it is to have
// and the one that it has.
func (b *builder) dressDir(dst *safety.Dir, d *madeDir) (mode, has uint32, err error) {
	if err := b.extras.copyXattrs(d.path); err != nil {
		return 0, 0, err
	}
	made, err := dst.Stat()
	if err != nil {
		return 0, 0, err
	}
	if uid, gid, need := b.owner.change(d.source, made); need {
		if err := b.owner.settle(b.extras.to.Lchown(string(d.path), asID(uid), asID(gid))); err != nil {
			return 0, 0, err
		}
		if made, err = dst.Stat(); err != nil {
			return 0, 0, err
		}
	}
	return mirrorMode(d.source, made, d.access), made.Mode, nil
}

// dressLink gives a new link the time and owner of its source.
func (w *dirWork) dressLink(p safety.RelPath, name string, source safety.Info) (safety.Info, error) {
	if err := w.dst.SetTimes(name, source.Mtime); err != nil {
		return safety.Info{}, err
	}
	made, err := w.dst.Lstat(name)
	if err != nil {
		return made, err
	}
	uid, gid, need := w.owner.change(source, made)
	if !need {
		return made, nil
	}
	if err := w.owner.settle(w.extras.to.Lchown(string(p), asID(uid), asID(gid))); err != nil {
		return made, err
	}
	return w.dst.Lstat(name)
}

// settle is err, unless it says that this process may not give a file away: only root must be able to.
func (o owner) settle(err error) error {
	if !o.root && errors.Is(err, os.ErrPermission) {
		return nil
	}
	return err
}

// asID is an id as chown wants it, where -1 is anyID.
func asID(id uint32) int { return int(int32(id)) }

// osMode is permission bits as package os has them.
func osMode(mode uint32) os.FileMode {
	out := os.FileMode(mode & 0o777)
	if mode&setuid != 0 {
		out |= os.ModeSetuid
	}
	if mode&setgid != 0 {
		out |= os.ModeSetgid
	}
	if mode&0o1000 != 0 {
		out |= os.ModeSticky
	}
	return out
}

// extras does to directories and links what safety.Dir has no call for. It stays below the roots too.
type extras struct {
	from, to *os.Root
}

func openExtras(from, to *safety.Root) (*extras, error) {
	f, err := os.OpenRoot(from.Path())
	if err != nil {
		return nil, err
	}
	t, err := os.OpenRoot(to.Path())
	if err != nil {
		f.Close()
		return nil, err
	}
	return &extras{f, t}, nil
}

func (x *extras) close() {
	x.from.Close()
	x.to.Close()
}

// copyXattrs copies a directory's attributes, default ACLs among them.
func (x *extras) copyXattrs(dir safety.RelPath) error {
	src, err := x.from.Open(string(dir))
	if err != nil {
		return nil // it changed meanwhile; a later look finds it
	}
	defer src.Close()
	if !hasXattrs(src) {
		return nil
	}
	dst, err := x.to.Open(string(dir))
	if err != nil {
		return fmt.Errorf("attributes of %s: %w", dir, err)
	}
	defer dst.Close()
	return safety.CopyXattrs(dst, src)
}
