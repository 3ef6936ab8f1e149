package mirror

import (
	"context"
	"errors"
	"io"
	"math"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// copyTries is how often a file that changes while it is copied is copied again. What comes after the last is kept as
// it is: it may be torn, and the zero stamp in the base has it looked at again before anything is decided on it.
const copyTries = 3

// file copies the regular file that the directory's listing names.
func (w *dirWork) file(ctx context.Context, p safety.RelPath, n safety.Dirent, access dotfiles.Access) error {
	from, info, err := w.src.OpenListed(n)
	if err != nil {
		return w.part.leaveOut(p, err)
	}
	defer from.Close()
	return w.fill(ctx, p, n.Name, from, info, access, w.stamp)
}

// follow makes a copy of the regular file at target in place of a link. It is read-only: there is no one path in the
// project that an edit of it could go to. The project's stamp is left zero, since it would be the link's, which does
// not move with its target.
func (w *dirWork) follow(ctx context.Context, p safety.RelPath, name string, target safety.RelPath) error {
	dir, err := w.view.root.OpenDir(target.Dir())
	if err != nil {
		return w.part.leaveOut(p, err)
	}
	defer dir.Close()
	from, info, err := dir.OpenListed(safety.Dirent{Name: target.Base()})
	if err != nil {
		return w.part.leaveOut(p, err)
	}
	defer from.Close()
	return w.fill(ctx, p, name, from, info, dotfiles.ReadOnly, func(safety.Info) Stamp { return Stamp{} })
}

// fill makes the file called name from an open one.
func (w *dirWork) fill(ctx context.Context, p safety.RelPath, name string, from safety.Handle, info safety.Info,
	access dotfiles.Access, stamp func(safety.Info) Stamp) error {
	to, err := w.dst.Make(name, mirrorMode(info, info, access))
	if err != nil {
		return err
	}
	defer to.Close()
	writer := recent(info) && from.HasWriter()
	copied, info, settled, err := w.content(ctx, to, from, info)
	if err != nil {
		return w.afterFailedCopy(ctx, p, name, from, err)
	}
	made, err := w.dressFile(to, from, info, access)
	if err != nil {
		return err
	}
	e := Entry{
		State: State{
			Kind: safety.File, Exec: info.Exec(),
			Content: Content{Size: made.Size, Sum: copied.Sum},
		},
		Project: stamp(info), Mirror: PlacedStamp(made),
	}
	if writer || !settled {
		e.Project = Stamp{}
	}
	w.part.add(p, e)
	w.count(made, access, copied)
	w.part.protect(w.job.scanJob, p, safety.File, access)
	return nil
}

func (w *dirWork) count(made safety.Info, access dotfiles.Access, copied safety.Copied) {
	part := w.part
	part.built.Files++
	part.built.Bytes += copied.Bytes
	part.copiedBy[copied.Method] += copied.Bytes
	if access == dotfiles.ReadOnly {
		part.built.ReadOnly++
		if made.Mode&writeBits != 0 {
			part.built.Unguarded++
		}
	}
	w.progress.tell(w.files.Add(1), w.bytes.Add(copied.Bytes))
}

// content copies until a copy was made during which the file did not change, at most copyTries times. It returns the
// file as it was before the last copy.
func (w *dirWork) content(ctx context.Context, to, from safety.Handle, before safety.Info) (copied safety.Copied, info safety.Info, settled bool, err error) {
	for try := 1; ; try++ {
		copied, err = w.copier.Fill(ctx, to, from, before, w.to.Info().Dev)
		if err != nil {
			return copied, before, false, err
		}
		after, err := from.Stat()
		if err != nil {
			return copied, before, false, err
		}
		if unchanged(before, after) && copied.Bytes == after.Size {
			return copied, after, true, nil
		}
		if try == copyTries {
			return copied, after, false, nil
		}
		before = after
		if err := to.Empty(); err != nil {
			return copied, before, false, err
		}
	}
}

// afterFailedCopy tells a file that can't be read, which is left out, from a mirror that can't be written, which ends
// the build: only reading the file again shows which it was.
func (w *dirWork) afterFailedCopy(ctx context.Context, p safety.RelPath, name string, from safety.Handle, copyErr error) error {
	if ctx.Err() != nil {
		return copyErr
	}
	_, err := hashFile(ctx, io.NewSectionReader(from, 0, math.MaxInt64))
	if err == nil || ctx.Err() != nil {
		return copyErr
	}
	if rmErr := w.dst.Unlink(name); rmErr != nil {
		return errors.Join(copyErr, rmErr)
	}
	return w.part.leaveOut(p, err)
}
