package safety

import (
	"context"

	"github.com/zeebo/xxh3"
)

// Source is a regular file of a Root, open for reading. It is what [Root.Open] opens, without the calls by which an
// os.File finds out whether its descriptor can be polled. One goroutine at a time uses it.
type Source struct {
	root *Root
	path RelPath
	fd   int
	info Info
}

// descriptor is an open file that content is read from by position: a Source or an os.File.
type descriptor interface {
	Fd() uintptr
	Name() string
}

// OpenSource opens the regular file p for reading, as Open does.
func (r *Root) OpenSource(p RelPath) (*Source, error) {
	src := &Source{root: r, path: p, fd: -1}
	err := r.at("open", p, func(dirfd int, name string) (err error) {
		src.fd, src.info, err = openRegularFD(r.sys, dirfd, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return src, nil
}

// Info describes the file as it was when it was opened.
func (f *Source) Info() Info { return f.info }

// Name is the file's path below its root.
func (f *Source) Name() string { return string(f.path) }

// Fd is the descriptor, which is the Source's until Close.
func (f *Source) Fd() uintptr { return uintptr(f.fd) }

// Stat describes the file as it is now.
func (f *Source) Stat() (Info, error) {
	info, err := f.root.sys.fstat(OpFileStat, f.fd, f.Name())
	return info, explain("look at", f.Name(), err)
}

// Writing is [Writing] of the file.
func (f *Source) Writing() WriterState { return writing(f.fd) }

// Hash returns the 128-bit xxh3 sum of the whole content and its length. The file may change meanwhile: callers compare
// its Info before and after. It checks ctx between reads.
func (f *Source) Hash(ctx context.Context) (sum [16]byte, size int64, err error) {
	sum, size, err = f.root.sum(ctx, OpRead, f.fd, f.Name(), f.info.Size)
	return sum, size, explain("read", f.Name(), err)
}

// sum hashes what is open at fd, and says how much that is. Where the first read brings size bytes that is taken for all:
// a look at the file afterwards tells whether it grew.
func (r *Root) sum(ctx context.Context, op Op, fd int, name string, size int64) (sum [16]byte, done int64, err error) {
	buf := r.copier.buffer()
	defer r.copier.buffers.Put(buf)
	var h *xxh3.Hasher128 // as large as many a file: only for what does not come at once
	for {
		if err := ctx.Err(); err != nil {
			return sum, done, err
		}
		n, err := r.sys.readAt(op, fd, *buf, done, name)
		if err != nil {
			return sum, done, err
		}
		done += int64(n)
		switch {
		case h == nil && n < len(*buf) && done == size:
			return xxh3.Hash128((*buf)[:n]).Bytes(), done, nil
		case h == nil:
			h = xxh3.New128()
		}
		if n == 0 {
			return h.Sum128().Bytes(), done, nil
		}
		_, _ = h.Write((*buf)[:n])
	}
}

// Close releases the file.
func (f *Source) Close() {
	closeFD(f.fd)
	f.fd = -1
}

// Writing is [Writing] of the file p: false where there is no such file, or it can't be told.
func (r *Root) Writing(p RelPath) bool {
	src, err := r.OpenSource(p)
	if err != nil {
		return false
	}
	defer src.Close()
	return src.Writing() == Writes
}

// Writing reports whether the file in slot seq is open for writing: false where there is none, or it can't be told.
func (s *Store) Writing(seq uint64) bool {
	writes := false
	_ = s.folder.use(func(folder int) error {
		fd, _, err := openRegularFD(s.root.sys, folder, slotName(seq))
		if err == nil {
			writes = writing(fd) == Writes
			closeFD(fd)
		}
		return err
	})
	return writes
}

// openRegularFD is openRegular without an os.File.
func openRegularFD(s *sys, dirfd int, name string) (int, Info, error) {
	if err := mustBeRegular(s, dirfd, name); err != nil {
		return -1, Info{}, err
	}
	return openSeen(s, dirfd, name)
}
