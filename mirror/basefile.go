package mirror

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/zeebo/xxh3"
)

// A base file is the header, the directories sorted by path, and the xxh3 sum (64 bits, little-endian) of all before it.
//
//	header     "alca-mount base\n", version, flags (1: the README is ours), number of entries, of directories
//	directory  shared prefix with the path before, length of the rest, the rest; number of blocks
//	block      its length, and its bytes: see block
//
// Numbers are varints. Nothing in it depends on the machine. What is in memory is what is in the file: nothing is decoded
// but to check it.
const (
	baseMagic   = "alca-mount base\n"
	baseVersion = 2
	sumLen      = 8

	flagOwnReadme = 1
)

// ErrBaseDamaged is wrapped by ReadBase's errors about what a file holds.
var ErrBaseDamaged = errors.New("the base is damaged")

// ReadBase reads what WriteFile wrote; a damaged file is an error that wraps ErrBaseDamaged.
func ReadBase(file string) (*Base, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the base: %w", err)
	}
	b, err := decodeBase(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: without it nobody knows who changed what; `alca-mount recover` tells how to go on", file, err)
	}
	return b, nil
}

// WriteFile writes the base durably to file.
func (b *Base) WriteFile(file string) error {
	if err := safety.WriteDurably(file, 0o600, b.write); err != nil {
		return fmt.Errorf("write the base: %w", err)
	}
	return nil
}

// write writes it piece by piece: a second copy of a million entries would be many.
func (b *Base) write(to io.Writer) error {
	sum := xxh3.New()
	out := bufio.NewWriterSize(io.MultiWriter(to, sum), 1<<16)
	header, dirs := b.snapshot()
	out.Write(header)
	before, piece := "", []byte(nil)
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		blocks := dirs[dir]
		shared := sharedPrefix(before, string(dir))
		piece = appendString(binary.AppendUvarint(piece[:0], uint64(shared)), string(dir[shared:]))
		piece = binary.AppendUvarint(piece, uint64(len(blocks)))
		for _, one := range blocks {
			piece = append(binary.AppendUvarint(piece, uint64(len(one))), one...)
		}
		out.Write(piece)
		before = string(dir)
	}
	if err := out.Flush(); err != nil { // it keeps the first error of all writes
		return err
	}
	_, err := to.Write(binary.LittleEndian.AppendUint64(nil, sum.Sum64()))
	return err
}

// snapshot is the base at one moment: the header of its file, and what is in each directory.
func (b *Base) snapshot() ([]byte, map[safety.RelPath][]block) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	dirs := make(map[safety.RelPath][]block, len(b.dirs))
	for dir, d := range b.dirs {
		dirs[dir] = d.blocks
	}
	flags := uint64(0)
	if b.ownReadme {
		flags |= flagOwnReadme
	}
	out := []byte(baseMagic)
	for _, n := range []uint64{baseVersion, flags, uint64(b.entries), uint64(len(b.dirs))} {
		out = binary.AppendUvarint(out, n)
	}
	return out, dirs
}

func sharedPrefix[A, B string | []byte](a A, b B) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func appendString[S string | []byte](out []byte, s S) []byte {
	return append(binary.AppendUvarint(out, uint64(len(s))), s...)
}

func decodeBase(data []byte) (*Base, error) {
	if len(data) < len(baseMagic)+sumLen || string(data[:len(baseMagic)]) != baseMagic {
		return nil, fmt.Errorf("%w: it does not begin as one", ErrBaseDamaged)
	}
	body := data[:len(data)-sumLen]
	if binary.LittleEndian.Uint64(data[len(body):]) != xxh3.Hash(body) {
		return nil, fmt.Errorf("%w: wrong checksum", ErrBaseDamaged)
	}
	return decodeBody(body[len(baseMagic):])
}

func decodeBody(body []byte) (*Base, error) {
	d := decoder{rest: body}
	version := d.uvarint()
	if version > baseVersion {
		return nil, fmt.Errorf("the base has version %d and this program reads up to %d: use a newer one", version, baseVersion)
	}
	flags, count := d.uvarint(), d.uvarint()
	b := NewBase()
	b.ownReadme = flags&flagOwnReadme != 0
	read := d.directories
	if version == 1 {
		read = d.flatEntries
	}
	if err := read(b, count); err != nil {
		return nil, err
	}
	if d.bad || len(d.rest) > 0 {
		return nil, fmt.Errorf("%w: after its last entry", ErrBaseDamaged)
	}
	if uint64(b.entries) != count {
		return nil, fmt.Errorf("%w: it promises %d entries and has %d", ErrBaseDamaged, count, b.entries)
	}
	return b, nil
}

// directories reads all directories into an empty base. Blocks stay where they are.
func (d *decoder) directories(b *Base, _ uint64) error {
	before := ""
	for n := range d.uvarint() {
		dir := d.path(before)
		blocks, ok := d.blocks()
		if d.bad || !ok || n > 0 && dir <= before {
			return fmt.Errorf("%w: after the directory %q", ErrBaseDamaged, before)
		}
		b.dirs[safety.RelPath(dir)] = &baseDir{blocks}
		b.count(blocks, 1)
		before = dir
	}
	return nil
}

// blocks reads a directory's blocks, and reports whether they may be used without another look: names are valid, and
// sorted over all of them, and each says rightly how many entries it has.
func (d *decoder) blocks() (blocks []block, ok bool) {
	name := ""
	for range d.uvarint() {
		b := block(d.bytes(d.uvarint()))
		if d.bad || len(b) == 0 {
			return nil, false
		}
		if name, ok = b.check(name); !ok {
			return nil, false
		}
		blocks = append(blocks, b)
	}
	return blocks, len(blocks) > 0
}

// check looks whether a block is what it should be, all its names after the one before, and returns its last name.
func (b block) check(before string) (last string, ok bool) {
	r, files := b.read()
	entries := r.left
	name := []byte(before)
	for r.next() {
		if !validEntry(r) || string(r.name) <= string(name) {
			return "", false
		}
		if r.State.Kind == safety.File {
			files--
		}
		name = append(name[:0], r.name...)
	}
	return string(name), entries > 0 && files == 0 && r.left == 0 && !r.d.bad && len(r.d.rest) == 0
}

func validEntry(r blockReader) bool {
	p, err := safety.ParseRelPath(string(r.name))
	return err == nil && p != safety.Top && bytes.IndexByte(r.name, '/') < 0 &&
		!r.State.Absent() && r.State.Kind <= safety.Special
}

// decoder takes values off the front of rest. After the first that is not there, bad stays set and all are zero.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) fail() {
	d.rest, d.bad = nil, true
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.fail()
		return nil
	}
	out := d.rest[:n]
	d.rest = d.rest[n:]
	return out
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) string() string { return string(d.bytes(d.uvarint())) }

// path reads a path and checks it: what a base names is opened.
func (d *decoder) path(before string) string {
	shared := d.uvarint()
	if shared > uint64(len(before)) {
		d.fail()
		return ""
	}
	p := before[:shared] + d.string()
	if _, err := safety.ParseRelPath(p); err != nil || p[len(p)-1] == '/' {
		d.fail()
		return ""
	}
	return p
}
