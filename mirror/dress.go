package mirror

import (
	"errors"
	"os"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// dressFile gives a filled file the attributes, time, owner and mode of its source and says what came out: the last
// look at it is the mirror's stamp. Attributes go first, since an ACL moves mode bits; the mode goes after the owner,
// since a change of owner takes set-id bits away. What came out right by itself costs no call.
func (w *dirWork) dressFile(to, from safety.Handle, source safety.Info, access dotfiles.Access) (safety.Info, error) {
	if err := to.CopyXattrs(from); err != nil {
		return safety.Info{}, err
	}
	if err := to.SetTimes(source.Mtime); err != nil {
		return safety.Info{}, err
	}
	made, err := to.Stat()
	if err != nil {
		return made, err
	}
	if uid, gid, need := w.owner.change(source, made); need {
		if err := w.owner.settle(to.Chown(uid, gid)); err != nil {
			return made, err
		}
		if made, err = to.Stat(); err != nil {
			return made, err
		}
	}
	mode := mirrorMode(source, made, access)
	if made.Mode == mode {
		return made, nil
	}
	if err := to.Chmod(mode); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return made, err
	}
	return to.Stat()
}

// dressDir gives a filled directory the attributes and owner of its source, and returns the mode that it is to have
// and the one that it has. Without a source it keeps what it was made with.
func (b *builder) dressDir(src, dst *safety.Dir, p *place) (mode, has uint32, err error) {
	if src != nil {
		if err := dst.CopyXattrs(src); err != nil {
			return 0, 0, err
		}
	}
	made, err := dst.Stat()
	if err != nil {
		return 0, 0, err
	}
	if uid, gid, need := b.owner.change(p.source, made); need {
		if err := b.owner.settle(dst.Chown(uid, gid)); err != nil {
			return 0, 0, err
		}
		if made, err = dst.Stat(); err != nil {
			return 0, 0, err
		}
	}
	return mirrorMode(p.source, made, p.access), made.Mode, nil
}

// setMode returns the mode that came out: some file systems have no modes.
func setMode(dir *safety.Dir, mode uint32) (uint32, error) {
	err := dir.Chmod(mode)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return 0, err
	}
	info, err := dir.Stat()
	return info.Mode, err
}

// dressLink gives a new link the time and owner of its source.
func (w *dirWork) dressLink(name string, source safety.Info) (safety.Info, error) {
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
	if err := w.owner.settle(w.dst.Lchown(name, uid, gid)); err != nil {
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
