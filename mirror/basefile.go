package mirror

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/zeebo/xxh3"
)

// A base file is the header, the entries sorted by path, and the xxh3 sum (64 bits, little-endian) of all before it.
//
//	header  "alca-mount base\n", version, flags (1: the README is ours), number of entries
//	entry   shared prefix with the path before, length of the rest, the rest,
//	        kind and bits, [size, sum] of a file, [target] of a link, project stamp, mirror stamp
//	stamp   kind, and unless that is absent: mode, size, mtime, ctime, inode, device
//
// Numbers are varints. Nothing in it depends on the machine.
const (
	baseMagic   = "alca-mount base\n"
	baseVersion = 1
	sumLen      = 8

	flagOwnReadme = 1

	bitExec  = 1 << 3 // beside the kind
	bitKnown = 1 << 4
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
	if err := safety.WriteFileDurably(file, b.encode(), 0o600); err != nil {
		return fmt.Errorf("write the base: %w", err)
	}
	return nil
}

func (b *Base) encode() []byte {
	out := make([]byte, 0, 64+96*b.Len())
	out = append(out, baseMagic...)
	flags := uint64(0)
	if b.ownReadme {
		flags |= flagOwnReadme
	}
	for _, n := range []uint64{baseVersion, flags, uint64(b.Len())} {
		out = binary.AppendUvarint(out, n)
	}
	before := ""
	for p, e := range b.All() {
		shared := sharedPrefix(before, string(p))
		out = binary.AppendUvarint(out, uint64(shared))
		out = appendString(out, string(p[shared:]))
		out = appendEntry(out, e)
		before = string(p)
	}
	return binary.LittleEndian.AppendUint64(out, xxh3.Hash(out))
}

func sharedPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func appendString(out []byte, s string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(s))), s...)
}

func appendEntry(out []byte, e Entry) []byte {
	bits := byte(e.State.Kind)
	if e.State.Exec {
		bits |= bitExec
	}
	if e.State.Content.Known() {
		bits |= bitKnown
	}
	out = append(out, bits)
	if e.State.Kind == safety.File {
		out = binary.AppendVarint(out, e.State.Content.Size)
	}
	if e.State.Content.Known() {
		out = append(out, e.State.Content.Sum[:]...)
	}
	if e.State.Kind == safety.Symlink {
		out = appendString(out, e.State.Target)
	}
	return appendStamp(appendStamp(out, e.Project), e.Mirror)
}

func appendStamp(out []byte, s Stamp) []byte {
	out = append(out, byte(s.Kind))
	if s == (Stamp{}) {
		return out
	}
	out = binary.AppendUvarint(out, uint64(s.Mode))
	for _, n := range []int64{s.Size, s.Mtime, s.Ctime} {
		out = binary.AppendVarint(out, n)
	}
	out = binary.AppendUvarint(out, s.Ino)
	return binary.AppendUvarint(out, s.Dev)
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
	if v := d.uvarint(); v > baseVersion {
		return nil, fmt.Errorf("the base has version %d and this program reads up to %d: use a newer one", v, baseVersion)
	}
	flags, count := d.uvarint(), d.uvarint()
	if count > uint64(len(d.rest)) { // an entry takes more than a byte: no allocation on a lie
		return nil, fmt.Errorf("%w: it promises %d entries", ErrBaseDamaged, count)
	}
	b := newBase(int(count))
	b.ownReadme = flags&flagOwnReadme != 0
	before := ""
	for range count {
		p := d.path(before)
		e := d.entry()
		if d.bad || e.State.Absent() || p <= before {
			return nil, fmt.Errorf("%w: after %q", ErrBaseDamaged, before)
		}
		b.Put(safety.RelPath(p), e)
		before = p
	}
	if d.bad || len(d.rest) > 0 {
		return nil, fmt.Errorf("%w: after its last entry", ErrBaseDamaged)
	}
	return b, nil
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

func (d *decoder) entry() Entry {
	bits := d.byte()
	e := Entry{State: State{Kind: safety.Kind(bits & 7), Exec: bits&bitExec != 0}}
	if e.State.Kind > safety.Special {
		d.fail()
		return Entry{}
	}
	if e.State.Kind == safety.File {
		e.State.Content.Size = d.varint()
	}
	if bits&bitKnown != 0 {
		copy(e.State.Content.Sum[:], d.bytes(16))
	}
	if e.State.Kind == safety.Symlink {
		e.State.Target = d.string()
	}
	e.Project, e.Mirror = d.stamp(), d.stamp()
	return e
}

func (d *decoder) stamp() Stamp {
	s := Stamp{Kind: safety.Kind(d.byte())}
	if s.Kind == safety.Absent {
		return Stamp{}
	}
	s.Mode = uint32(d.uvarint())
	s.Size, s.Mtime, s.Ctime = d.varint(), d.varint(), d.varint()
	s.Ino, s.Dev = d.uvarint(), d.uvarint()
	return s
}
