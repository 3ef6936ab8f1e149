package launcher

import (
	"context"
	"errors"
	"path"
	"path/filepath"

	"github.com/alca-mount/alca-mount/launcher/internal/docker"
	"github.com/alca-mount/alca-mount/launcher/internal/overlay"
	"github.com/alca-mount/alca-mount/safety"
)

// look makes a container of the image, which never runs, for do to look into.
func (r *containerRuntime) look(ctx context.Context, do func(id string) error) error {
	if err := r.findable(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // a call that is cut short may leave one behind
	id, _, err := r.engine.Create(ctx, docker.Spec{Image: r.image.ID, Cmd: []string{"true"}, Network: "none", Labels: r.labels()})
	if err != nil {
		return err
	}
	return errors.Join(do(id), r.engine.Remove(ctx, id))
}

// unpack makes dir of what the image has at a path of the mirror; docker.ErrNoDirectory where that is nothing.
func (r *containerRuntime) unpack(ctx context.Context, p safety.RelPath, dir string) error {
	return r.look(ctx, func(id string) error {
		stream, err := r.engine.Directory(ctx, id, path.Join(r.opts.Workdir, string(p)))
		if err != nil {
			return err
		}
		defer stream.Close()
		return overlay.Unpack(stream, dir, r.l.newOwner())
	})
}

// library is the C library that the image's programs take.
func (r *containerRuntime) library(ctx context.Context) (lib overlay.Library, err error) {
	err = r.look(ctx, func(id string) error {
		musl, merr := r.has(ctx, id, overlay.Loader(overlay.Musl))
		glibc, gerr := r.has(ctx, id, overlay.Loader(overlay.Glibc))
		lib = overlay.Glibc
		if musl && !glibc {
			lib = overlay.Musl
		}
		return errors.Join(merr, gerr)
	})
	return lib, err
}

func (r *containerRuntime) has(ctx context.Context, id, file string) (bool, error) {
	if file == "" {
		return false, nil
	}
	return r.engine.Has(ctx, id, file, 0)
}

// fromImage fills an overlay with what the image has at its path.
func (l *launch) fromImage(ctx context.Context, one *laid) (fill func(string) error) {
	return func(dir string) error {
		err := l.docked.unpack(ctx, one.Path, filepath.Join(dir, filepath.FromSlash(string(one.Path))))
		if errors.Is(err, docker.ErrNoDirectory) {
			one.note = "it begins empty: the image has no directory " + path.Join(l.docked.opts.Workdir, string(one.Path))
			return nil
		}
		return err
	}
}
