package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	cerrdefs "github.com/containerd/errdefs"
)

// ErrNoDirectory means that a container has no directory at a path.
var ErrNoDirectory = errors.New("no such directory")

// Directory streams what is in a directory of a container, which need not run, as a tar with names relative to it. A link
// to a directory is followed inside of the container.
func (e *Engine) Directory(ctx context.Context, id, path string) (io.ReadCloser, error) {
	if has, err := e.Has(ctx, id, path, fs.ModeDir|fs.ModeSymlink); err != nil || !has {
		return nil, errors.Join(err, fmt.Errorf("%s: %w", path, ErrNoDirectory))
	}
	stream, _, err := e.api.CopyFromContainer(ctx, id, path+"/.")
	if cerrdefs.IsNotFound(err) {
		return nil, fmt.Errorf("%s: %w", path, ErrNoDirectory)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s in the container: %w", path, err)
	}
	return stream, nil
}

// Has reports whether a container, which need not run, has something of one of the kinds at a path. 0: of any kind.
func (e *Engine) Has(ctx context.Context, id, path string, kinds fs.FileMode) (bool, error) {
	info, err := e.api.ContainerStatPath(ctx, id, path)
	if cerrdefs.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at %s in the container: %w", path, err)
	}
	return kinds == 0 || info.Mode&kinds != 0, nil
}
