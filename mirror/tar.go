package mirror

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/alca-mount/alca-mount/safety"
)

// TarOptions of a snapshot as a tar.
type TarOptions struct {
	Options
	Mtime      *time.Time // of every entry; nil: the source's, in whole seconds
	KeepOwners bool       // the source's numeric owners, as far as a copy by this user has them; else 0:0
}

// SnapshotTar writes what Snapshot would to w, as a tar: sorted by path, with nothing in it that the tree does not
// say, so that two of one tree are the same bytes. Hard links are files of their own; attributes stay behind. The tree
// is copied to the session's folder first: an entry is never torn because its file changed meanwhile. The caller has the
// options' Session, and removes it.
func SnapshotTar(ctx context.Context, projectDir string, w io.Writer, opts TarOptions) (Built, error) {
	m, undo, err := snapshot(ctx, projectDir, filepath.Join(opts.Session.Dir(), "snapshot"), opts.Options)
	if err == nil {
		err = m.writeTar(ctx, w, opts)
	}
	if m != nil {
		err = errors.Join(err, m.Root.Close())
	}
	if err != nil {
		return Built{}, errors.Join(fmt.Errorf("snapshot of %s: %w", projectDir, err), undo.run())
	}
	return m.Built, nil
}

func (m *Mirror) writeTar(ctx context.Context, w io.Writer, opts TarOptions) error {
	out := tar.NewWriter(w)
	for p := range m.Base.All() {
		err := ctx.Err()
		if err == nil {
			err = m.writeEntry(out, p, opts)
		}
		if err != nil {
			return fmt.Errorf("tar %s: %w", p, err)
		}
	}
	return out.Close()
}

func (m *Mirror) writeEntry(out *tar.Writer, p safety.RelPath, opts TarOptions) error {
	info, err := m.Root.Lstat(p)
	if err != nil {
		return err
	}
	h := tarHeader(p, info, opts)
	if info.Kind == safety.Symlink {
		if h.Linkname, err = m.Root.Readlink(p); err != nil {
			return err
		}
	}
	if err := out.WriteHeader(h); err != nil || info.Kind != safety.File {
		return err
	}
	f, _, err := m.Root.Open(p)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(out, f)
	return err
}

// tarHeader is pure: no name of a user or group, no time but one, no format but what the entry needs.
func tarHeader(p safety.RelPath, info safety.Info, opts TarOptions) *tar.Header {
	h := &tar.Header{Name: string(p), Mode: int64(info.Mode & 0o1777), ModTime: time.Unix(0, info.Mtime).Truncate(time.Second)}
	if opts.Mtime != nil {
		h.ModTime = *opts.Mtime
	}
	if opts.KeepOwners {
		h.Uid, h.Gid = int(info.UID), int(info.GID)
	}
	switch info.Kind {
	case safety.Directory:
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
	case safety.Symlink:
		h.Typeflag, h.Mode = tar.TypeSymlink, 0o777
	default:
		h.Typeflag, h.Size = tar.TypeReg, info.Size
	}
	return h
}
