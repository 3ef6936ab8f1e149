package mirror

import (
	"context"
	"fmt"
	"io"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/zeebo/xxh3"
)

// hashTries is how often a file that changes while it is hashed is hashed again.
const hashTries = 3

// Hash returns the content identity of the regular file p and the Info it had before and after; when it changed
// meanwhile it is hashed again, a few times, and then the error wraps safety.ErrChanged.
func Hash(ctx context.Context, root *safety.Root, p safety.RelPath) (Content, safety.Info, error) {
	for range hashTries {
		content, info, same, err := hashOnce(ctx, root, p)
		if err != nil {
			return Content{}, safety.Info{}, err // it names the call and the path
		}
		if same {
			return content, info, nil
		}
	}
	return Content{}, safety.Info{}, fmt.Errorf("hash %s: %w", p, safety.ErrChanged)
}

func hashOnce(ctx context.Context, root *safety.Root, p safety.RelPath) (Content, safety.Info, bool, error) {
	f, err := root.OpenSource(p)
	if err != nil {
		return Content{}, safety.Info{}, false, err
	}
	defer f.Close()
	content, err := HashSource(ctx, f)
	if err != nil {
		return Content{}, safety.Info{}, false, err
	}
	before := f.Info()
	after, err := f.Stat()
	return content, before, err == nil && unchanged(before, after) && content.Size == before.Size, err
}

// HashSource returns the content identity of what an open file holds.
func HashSource(ctx context.Context, f *safety.Source) (Content, error) {
	sum, size, err := f.Hash(ctx)
	if err != nil {
		return Content{}, err
	}
	return Content{Size: size, Sum: sum}, nil
}

func hashFile(ctx context.Context, f io.Reader) (Content, error) {
	h := xxh3.New()
	buf := make([]byte, 256<<10)
	var size int64
	for {
		if err := ctx.Err(); err != nil {
			return Content{}, err
		}
		n, err := f.Read(buf)
		_, _ = h.Write(buf[:n])
		size += int64(n)
		if err == io.EOF {
			return Content{Size: size, Sum: h.Sum128().Bytes()}, nil
		}
		if err != nil {
			return Content{}, err
		}
	}
}

// unchanged reports whether an open file is as it was: what a reader got in between is one version of it, as far as
// its clock's tick can tell.
func unchanged(before, after safety.Info) bool {
	return before.Size == after.Size && before.Mtime == after.Mtime && before.Ctime == after.Ctime && before.SameFile(after)
}
