package gitrepo

import (
	"bufio"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// The bounds of what is read into memory from a repository that nobody trusts. A few bytes can say that they stand for
// terabytes, or that they are made of themselves; whoever believes them ends without memory, and what was to be brought
// home with the commits stays behind.
const (
	maxHeld      = 128 << 20 // an object that is made of others, or is one of those; larger ones are streamed
	maxTree      = 64 << 20
	maxChain     = 4096      // how many objects one is made of; git writes 50, and 4095 at most
	maxChainSize = 2 << 30   // of them all
	maxPackIndex = 512 << 20 // of some 19 million objects
)

// bounds looks at objects before they are read. What it lets pass fits into memory.
type bounds struct {
	root  *safety.Root
	packs []*boundedPack
}

// boundedPack is a pack, and what is known of the objects at its offsets.
type boundedPack struct {
	file  *os.File
	index *idxfile.MemoryIndex
	scan  *packfile.Scanner
	known map[int64]chain
}

// chain is what an object is made of, itself included.
type chain struct {
	length int
	size   int64 // of all
}

var errBounds = errors.New("it is damaged, or too large to be read")

// openBounds reads the indexes of the packs in a git directory.
func openBounds(root *safety.Root) (*bounds, error) {
	b := &bounds{root: root}
	err := root.Walk("objects/pack", func(p safety.RelPath, info safety.Info) error {
		name, isIndex := strings.CutSuffix(string(p), ".idx")
		if !isIndex || info.Kind != safety.File {
			return nil
		}
		pack, err := openBounded(root, p, safety.RelPath(name+".pack"))
		if pack != nil {
			b.packs = append(b.packs, pack)
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// openBounded opens a pack; nil where only its index is there.
func openBounded(root *safety.Root, index, pack safety.RelPath) (*boundedPack, error) {
	f, info, err := root.Open(index)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size > maxPackIndex {
		return nil, unsupported("%s: an index of %d bytes", index, info.Size)
	}
	p := &boundedPack{index: idxfile.NewMemoryIndex(), known: map[int64]chain{}}
	if err := idxfile.NewDecoder(f).Decode(p.index); err != nil { // given a file, it compares its size with what it says
		return nil, unsupported("%s: %v", index, err)
	}
	there, err := root.Lstat(pack)
	if err != nil || there.Kind == safety.Absent {
		return nil, err
	}
	if p.file, _, err = root.Open(pack); err != nil {
		return nil, err
	}
	p.scan = packfile.NewScanner(p.file)
	return p, nil
}

func (b *bounds) Close() error {
	var errs []error
	for _, p := range b.packs {
		errs = append(errs, p.file.Close())
	}
	return errors.Join(errs...)
}

// openUntrusted opens the objects of a git directory that nobody trusts.
func openUntrusted(root *safety.Root) (*store, error) {
	b, err := openBounds(root)
	if err != nil {
		return nil, err
	}
	return &store{dirs: []objectDir{openObjects(root.Path(), maxHeld)}, bounds: b}, nil
}

// holds reports whether a store has an object, and not only its name.
func (s *store) holds(id plumbing.Hash) bool {
	o, err := s.object(id)
	if err != nil {
		return false
	}
	in, err := o.Reader()
	if err != nil {
		return false
	}
	defer in.Close()
	sum := plumbing.NewHasher(o.Type(), o.Size())
	_, err = io.Copy(sum, in)
	return err == nil && sum.Sum() == id
}

func looseObject(id plumbing.Hash) safety.RelPath {
	return safety.RelPath("objects/" + id.String()[:2] + "/" + id.String()[2:])
}

// check looks at an object wherever it is. It is an error when it can't be read within bounds; whether it is what its id
// says is another question.
func (b *bounds) check(id plumbing.Hash) error {
	for _, p := range b.packs {
		at, err := p.index.FindOffset(id)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			continue
		}
		if err == nil {
			err = p.check(at)
		}
		if err != nil {
			return fmt.Errorf("object %s: %w", id, err)
		}
	}
	if err := b.checkLoose(looseObject(id)); err != nil {
		return fmt.Errorf("object %s: %w", id, err)
	}
	return nil
}

// check follows what an object is made of down to one that is whole.
func (p *boundedPack) check(at int64) error {
	var above []int64 // what is made of it, and its size
	var sizes []int64
	for {
		if done, ok := p.known[at]; ok {
			return p.note(above, sizes, done)
		}
		h, err := p.scan.SeekObjectHeader(at)
		if err != nil {
			return errors.Join(errBounds, err)
		}
		if h.Type != plumbing.OFSDeltaObject && h.Type != plumbing.REFDeltaObject {
			p.known[at] = chain{1, h.Length}
			return p.note(above, sizes, p.known[at])
		}
		size, err := p.deltaSize(h)
		if err != nil {
			return err
		}
		if above, sizes = append(above, at), append(sizes, size); len(above) > maxChain {
			return errBounds // or it is made of itself
		}
		if at = h.OffsetReference; h.Type == plumbing.REFDeltaObject {
			if at, err = p.index.FindOffset(h.Reference); err != nil {
				return errors.Join(errBounds, err)
			}
		}
	}
}

// note remembers the chains of what is made of an object, from the nearest to the farthest.
func (p *boundedPack) note(above, sizes []int64, base chain) error {
	if len(above) > 0 && base.length == 1 && base.size > maxHeld {
		return errBounds
	}
	for i := len(above) - 1; i >= 0; i-- {
		base = chain{base.length + 1, base.size + sizes[i]}
		if base.length > maxChain || base.size > maxChainSize {
			return errBounds
		}
		p.known[above[i]] = base
	}
	return nil
}

// deltaSize is the size of what a delta makes, which it says at its beginning.
func (p *boundedPack) deltaSize(h *packfile.ObjectHeader) (int64, error) {
	if h.Length > maxHeld {
		return 0, errBounds
	}
	in, err := p.scan.ReadObject()
	if err != nil {
		return 0, errors.Join(errBounds, err)
	}
	defer in.Close()
	head := bufio.NewReaderSize(in, 32)
	if _, err := binary.ReadUvarint(head); err != nil { // of what it is made of
		return 0, errors.Join(errBounds, err)
	}
	size, err := binary.ReadUvarint(head)
	if err != nil || size > maxHeld {
		return 0, errors.Join(errBounds, err)
	}
	return int64(size), nil
}

// checkLoose inflates an object that is held in memory when it is read: it is as long as it says.
func (b *bounds) checkLoose(p safety.RelPath) error {
	there, err := b.root.Lstat(p)
	if err != nil || there.Kind == safety.Absent {
		return err
	}
	f, _, err := b.root.Open(p)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := zlib.NewReader(f)
	if err != nil {
		return errors.Join(errBounds, err)
	}
	defer z.Close()
	in := bufio.NewReaderSize(z, 4096)
	head, err := in.Peek(32)
	if err != nil && !errors.Is(err, io.EOF) {
		return errors.Join(errBounds, err)
	}
	text, _, ended := strings.Cut(string(head), "\x00")
	_, digits, _ := strings.Cut(text, " ")
	size, err := strconv.ParseInt(digits, 10, 64)
	if !ended || err != nil || size < 0 {
		return errBounds
	}
	if size > maxHeld {
		return nil // it is streamed
	}
	n, err := io.Copy(io.Discard, io.LimitReader(in, int64(len(text))+1+size+1))
	if err != nil || n != int64(len(text))+1+size {
		return errors.Join(errBounds, err)
	}
	return nil
}

// fits refuses an object that is held in memory whatever its size.
func fits(o plumbing.EncodedObject) error {
	if o.Type() == plumbing.CommitObject && o.Size() > maxSmall || o.Type() == plumbing.TreeObject && o.Size() > maxTree {
		return fmt.Errorf("object %s: a %s of %d bytes: %w", o.Hash(), o.Type(), o.Size(), errBounds)
	}
	return nil
}
