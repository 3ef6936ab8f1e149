package gitrepo

import (
	"bufio"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// objectDir is one place that objects are read from.
type objectDir = *filesystem.Storage

// streamed is from which size on an object of our own pack is not held in memory.
const streamed = 1 << 20

// openObjects reads the objects of a git directory, borrowing from none. Those above a size are not held in memory.
func openObjects(gitDir string, held int64) objectDir {
	opts := filesystem.Options{ExclusiveAccess: true, MaxOpenDescriptors: 64, LargeObjectThreshold: held}
	return filesystem.NewStorageWithOptions(osfs.New(gitDir), cache.NewObjectLRUDefault(), opts)
}

// packed is a pack that was written, not yet in any repository.
type packed struct {
	objects     int
	name        string // "pack-ID", as git names it
	file, index string
}

// pack writes all objects that the commit leads to and the project does not have into one pack below work, which then
// is an object directory of its own. Each object's id is computed anew from what was read: the names that the other
// repository gave them are not believed.
func (b *bringer) pack(own *store, tip plumbing.Hash, work string) (packed, error) {
	ids, err := b.missing(own, b.theirs, tip)
	if err != nil {
		return packed{}, err
	}
	dir := filepath.Join(work, "objects", "pack")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return packed{}, err
	}
	f, err := os.Create(filepath.Join(dir, "new"))
	if err != nil {
		return packed{}, err
	}
	defer f.Close()
	w, err := newPackWriter(f, len(ids))
	if err != nil {
		return packed{}, err
	}
	for _, id := range ids {
		if err := b.ctx.Err(); err != nil {
			return packed{}, err
		}
		if err := w.add(b.theirs, id); err != nil {
			return packed{}, err
		}
	}
	p, err := w.finish(dir)
	p.objects = len(ids)
	return p, err
}

// missing lists the objects to bring: what the commit leads to, up to what the project has. The project is taken to be
// whole: what it has, it has with all that it leads to.
func (b *bringer) missing(own, theirs *store, tip plumbing.Hash) ([]plumbing.Hash, error) {
	seen := map[plumbing.Hash]bool{}
	var ids []plumbing.Hash
	for todo := []plumbing.Hash{tip}; len(todo) > 0; {
		if err := b.ctx.Err(); err != nil {
			return nil, err
		}
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[id] || own.has(id) {
			continue
		}
		seen[id] = true
		ids = append(ids, id)
		next, err := theirs.leadsTo(id)
		if err != nil {
			return nil, &refusal{commit: tip.String(), why: err.Error()}
		}
		todo = append(todo, next...)
	}
	return ids, nil
}

// leadsTo are the objects that an object names, but for submodules: their commits are in other repositories.
func (s *store) leadsTo(id plumbing.Hash) ([]plumbing.Hash, error) {
	o, err := s.object(id)
	if err == nil {
		err = fits(o)
	}
	if err != nil {
		return nil, err
	}
	switch o.Type() {
	case plumbing.CommitObject:
		c, err := s.commit(id)
		if err != nil {
			return nil, err
		}
		return append(c.ParentHashes, c.TreeHash), nil
	case plumbing.TreeObject:
		entries, err := s.tree(id)
		var out []plumbing.Hash
		for _, e := range entries {
			if e.Mode != filemode.Submodule {
				out = append(out, e.Hash)
			}
		}
		return out, err
	case plumbing.BlobObject:
		return nil, nil
	}
	return nil, fmt.Errorf("object %s is a %s", id, o.Type())
}

// packWriter writes a pack of whole objects, one at a time: none is held in memory. The format is gitformat-pack(5)'s.
type packWriter struct {
	f     *os.File
	out   *bufio.Writer
	sum   hash.Hash
	at    uint64
	index idxfile.Writer
}

func newPackWriter(f *os.File, objects int) (*packWriter, error) {
	w := &packWriter{f: f, sum: sha1.New()}
	w.out = bufio.NewWriterSize(io.MultiWriter(f, w.sum), 64<<10)
	if err := w.index.OnHeader(uint32(objects)); err != nil {
		return nil, err
	}
	head := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), uint32(objects))
	_, err := w.Write(head)
	return w, err
}

func (w *packWriter) Write(p []byte) (int, error) {
	n, err := w.out.Write(p)
	w.at += uint64(n)
	return n, err
}

// add writes the object and makes sure that it is the one that its id says.
func (w *packWriter) add(from *store, id plumbing.Hash) error {
	o, err := from.object(id)
	if err != nil {
		return &refusal{commit: id.String(), why: err.Error()}
	}
	in, err := o.Reader()
	if err != nil {
		return &refusal{commit: id.String(), why: err.Error()}
	}
	defer in.Close()
	began, crc := w.at, crc32.NewIEEE()
	both := io.MultiWriter(w, crc)
	if _, err := both.Write(objectHead(o.Type(), o.Size())); err != nil {
		return err
	}
	z, sum := zlib.NewWriter(both), plumbing.NewHasher(o.Type(), o.Size())
	n, err := io.Copy(io.MultiWriter(z, sum), io.LimitReader(in, o.Size()+1))
	if err := errors.Join(err, z.Close()); err != nil {
		return fmt.Errorf("pack object %s: %w", id, err)
	}
	if got := sum.Sum(); got != id || n != o.Size() {
		return &refusal{commit: id.String(), why: "a damaged object"}
	}
	return w.index.OnInflatedObjectContent(id, int64(began), crc.Sum32(), nil)
}

// objectHead is an object's type and size before its content.
func objectHead(kind plumbing.ObjectType, size int64) []byte {
	first := byte(kind)<<4 | byte(size&0x0f)
	if size >>= 4; size == 0 {
		return []byte{first}
	}
	return binary.AppendUvarint([]byte{first | 0x80}, uint64(size))
}

func (w *packWriter) finish(dir string) (packed, error) {
	if err := w.out.Flush(); err != nil {
		return packed{}, err
	}
	sum := w.sum.Sum(nil)
	if _, err := w.f.Write(sum); err != nil {
		return packed{}, err
	}
	if err := w.index.OnFooter(plumbing.Hash(sum)); err != nil {
		return packed{}, err
	}
	name := "pack-" + hex.EncodeToString(sum)
	p := packed{name: name, file: filepath.Join(dir, name+".pack"), index: filepath.Join(dir, name+".idx")}
	if err := os.Rename(w.f.Name(), p.file); err != nil {
		return packed{}, err
	}
	return p, w.writeIndex(p.index)
}

func (w *packWriter) writeIndex(file string) error {
	index, err := w.index.Index()
	if err != nil {
		return fmt.Errorf("index pack: %w", err)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = idxfile.NewEncoder(f).Encode(index)
	return errors.Join(err, f.Close())
}
