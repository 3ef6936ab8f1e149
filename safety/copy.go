package safety

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/zeebo/xxh3"
)

// Method is how the bytes of a file were copied.
type Method uint8

// The methods, from cheapest to dearest.
const (
	Nothing   Method = iota // an empty file
	Reflink                 // FICLONE: the file system shares the extents
	CopyRange               // copy_file_range: inside the kernel
	ReadWrite               // through this process
)

var methodNames = [...]string{"nothing", "reflink", "copy_file_range", "copy"}

func (m Method) String() string { return methodNames[m] }

// Copied tells how a copy went.
type Copied struct {
	Method Method
	Bytes  int64    // the size of the copy
	Sum    [16]byte // 128-bit xxh3 of the content when all bytes passed through this process; else zero
}

const (
	copyBuffer = 256 << 10 // of one read and write
	copyChunk  = 16 << 20  // of one copy_file_range: how much is copied before ctx is looked at again
)

// Copier copies file content. It remembers which pairs of devices cannot share extents, and keeps its buffers.
// The zero value is ready; its methods may be called concurrently. [Root.Copier] returns a root's own.
type Copier struct {
	sys       *sys                       // nil: all that the platform has
	noReflink sync.Map                   // devicePair → struct{}
	never     atomic.Pointer[devicePair] // the latest of noReflink: of most trees the only one
	buffers   sync.Pool
}

// do is where the copier's calls go.
func (c *Copier) do() *sys {
	if c.sys == nil {
		return &sys{}
	}
	return c.sys
}

type devicePair struct{ dst, src uint64 }

// CopyContent copies all that src holds to the empty file dst. Callers that copy many files use a [Copier].
func CopyContent(ctx context.Context, dst, src *os.File) (Copied, error) {
	return new(Copier).CopyContent(ctx, dst, src)
}

// CopyContent copies all that src holds to the empty file dst: as a reflink, else by copy_file_range for large
// files, else by read and write (which also hashes). Holes stay holes. It checks ctx between chunks.
// src may change meanwhile: callers compare its Info before and after.
func (c *Copier) CopyContent(ctx context.Context, dst, src *os.File) (Copied, error) {
	out, err := c.copyTo(ctx, OpCopyWrite, int(dst.Fd()), src, func(Info) int64 { return -1 })
	if err != nil {
		return out, fmt.Errorf("copy %q: %w", src.Name(), err)
	}
	return out, nil
}

// copyTo copies up to where end says for what src is.
func (c *Copier) copyTo(ctx context.Context, op Op, dfd int, src descriptor, end func(Info) int64) (Copied, error) {
	if err := ctx.Err(); err != nil {
		return Copied{}, err
	}
	sfd := int(src.Fd())
	info, err := c.do().fstat(OpFileStat, sfd, src.Name())
	if err != nil {
		return Copied{}, err
	}
	to, err := c.do().fstat(OpFileStat, dfd, src.Name())
	if err != nil {
		return Copied{}, err
	}
	k := copying{c: c, ctx: ctx, op: op, dst: dfd, src: sfd, name: src.Name(), end: end(info)}
	return k.do(info, to.Dev)
}

// Fill copies what src holds to the empty file dst, as CopyContent does, but asks nothing that the caller knows: info is
// src as it was when it was opened, and dst lies on the device dstDev. No byte beyond info.Size is read; that src has
// grown, shrunk or changed shows when it is looked at afterwards.
func (c *Copier) Fill(ctx context.Context, dst, src Handle, info Info, dstDev uint64) (Copied, error) {
	k := copying{c: c, ctx: ctx, op: OpCopyWrite, dst: dst.fd, src: src.fd, name: src.name, end: endOf(info)}
	out, err := Copied{}, ctx.Err()
	if err == nil {
		out, err = k.do(info, dstDev)
	}
	return out, src.explain("copy", err)
}

// endOf is where the copy of a file stops; -1: at its end. Some file systems do not know their sizes.
func endOf(src Info) int64 {
	if src.Size == 0 {
		return -1
	}
	return src.Size
}

// copying is one copy on its way.
type copying struct {
	c        *Copier
	ctx      context.Context
	op       Op
	dst, src int
	name     string
	end      int64 // where to stop; -1: at the end of src
}

func (k *copying) do(info Info, dstDev uint64) (Copied, error) {
	if info.Size > 0 && k.share(devicePair{dstDev, info.Dev}) {
		return k.shared()
	}
	if info.Size > copyBuffer && info.Blocks*512 < info.Size {
		return k.sparse(info.Size)
	}
	if info.Size > copyBuffer {
		return k.large()
	}
	return k.throughUs()
}

// share tries a reflink. Whatever goes wrong, another way will do, or will say what is wrong.
func (k *copying) share(pair devicePair) bool {
	c := k.c
	if last := c.never.Load(); last != nil && *last == pair {
		return false
	}
	if _, never := c.noReflink.Load(pair); never { // of a tree over several devices
		return false
	}
	err := c.do().reflink(k.op, k.dst, k.src, k.name)
	// EINVAL may be about this one file (inline data, alignment): not remembered.
	if isNoReflink(err) {
		last := pair
		c.noReflink.Store(pair, struct{}{})
		c.never.Store(&last)
	}
	return err == nil
}

func (k *copying) shared() (Copied, error) {
	info, err := k.c.do().fstat(OpFileStat, k.dst, k.name)
	return Copied{Method: Reflink, Bytes: info.Size}, err
}

// large copies inside the kernel, and by ourselves from where the kernel stops.
func (k *copying) large() (Copied, error) {
	done, err := k.kernelCopy(0, k.end)
	if err != nil {
		return Copied{}, err
	}
	if done == 0 {
		return k.throughUs()
	}
	end, err := k.readWrite(done, k.end, nil)
	return Copied{Method: CopyRange, Bytes: end}, err
}

// kernelCopy copies [off, end) (end < 0: all) by copy_file_range and returns where it stopped. Where the file systems
// can't, it stops at off without an error.
func (k *copying) kernelCopy(off, end int64) (int64, error) {
	for end < 0 || off < end {
		if err := k.ctx.Err(); err != nil {
			return off, err
		}
		n := int64(copyChunk)
		if end >= 0 {
			n = min(n, end-off)
		}
		done, err := k.c.do().copyRange(k.op, k.dst, k.src, off, n, k.name)
		if isNoCopyRange(err) {
			return off, nil
		}
		if err != nil || done == 0 {
			return off, err
		}
		off += done
	}
	return off, nil
}

// throughUs reads and writes all, and hashes what passes.
func (k *copying) throughUs() (Copied, error) {
	if k.end > 0 && k.end <= copyBuffer {
		return k.atOnce()
	}
	sum := xxh3.New128()
	end, err := k.readWrite(0, k.end, sum)
	if err != nil {
		return Copied{}, err
	}
	if end == 0 {
		return Copied{Method: Nothing, Sum: sum.Sum128().Bytes()}, nil
	}
	return Copied{Method: ReadWrite, Bytes: end, Sum: sum.Sum128().Bytes()}, nil
}

// atOnce reads what is wanted into one buffer, and writes and hashes it from there: a hasher that takes parts is as large
// as many a file.
func (k *copying) atOnce() (Copied, error) {
	buf := k.c.buffer()
	defer k.c.buffers.Put(buf)
	data, err := k.read((*buf)[:k.end])
	if err != nil {
		return Copied{}, err
	}
	out := Copied{Method: ReadWrite, Bytes: int64(len(data)), Sum: xxh3.Hash128(data).Bytes()}
	if len(data) == 0 {
		out.Method = Nothing
	}
	return out, k.c.do().writeAll(k.op, k.dst, data, 0, k.name)
}

// read fills buf from the beginning of src, as far as that goes.
func (k *copying) read(buf []byte) ([]byte, error) {
	done := 0
	for done < len(buf) {
		n, err := k.c.do().readAt(OpRead, k.src, buf[done:], int64(done), k.name)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		done += n
	}
	return buf[:done], nil
}

// readWrite copies [off, end) (end < 0: to the end of the file) and returns where it stopped.
func (k *copying) readWrite(off, end int64, sum *xxh3.Hasher128) (int64, error) {
	buf := k.c.buffer()
	defer k.c.buffers.Put(buf)
	for end < 0 || off < end {
		if err := k.ctx.Err(); err != nil {
			return off, err
		}
		part := (*buf)[:]
		if end >= 0 {
			part = part[:min(int64(len(part)), end-off)]
		}
		n, err := k.c.do().readAt(OpRead, k.src, part, off, k.name)
		if err != nil || n == 0 {
			return off, err
		}
		if sum != nil {
			sum.Write(part[:n])
		}
		if err := k.c.do().writeAll(k.op, k.dst, part[:n], off, k.name); err != nil {
			return off, err
		}
		off += int64(n)
	}
	return off, nil
}

func (c *Copier) buffer() *[]byte {
	if b, ok := c.buffers.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, copyBuffer)
	return &b
}

// sparse copies the extents that hold data and leaves the rest a hole.
func (k *copying) sparse(size int64) (Copied, error) {
	out := Copied{Method: CopyRange}
	for off := int64(0); off < size; {
		data, hole, err := k.c.do().nextData(k.op, k.src, off, k.name)
		if err != nil && off == 0 {
			return k.large() // a file system that does not know about holes
		}
		if err != nil {
			return out, err
		}
		if data < 0 {
			break
		}
		off, err = k.kernelCopy(data, hole)
		if err != nil {
			return out, err
		}
		if off < hole {
			out.Method = ReadWrite
			if _, err = k.readWrite(off, hole, nil); err != nil {
				return out, err
			}
		}
		off = hole
	}
	return k.sized(out, size)
}

// sized gives dst its whole length: the last part may be a hole.
func (k *copying) sized(out Copied, size int64) (Copied, error) {
	now, err := k.c.do().fstat(OpFileStat, k.dst, k.name)
	if err != nil {
		return out, err
	}
	out.Bytes = max(size, now.Size)
	if now.Size < size {
		err = k.c.do().ftruncate(k.op, k.dst, size, k.name)
	}
	return out, err
}
