package mirror

import (
	"encoding/binary"

	"github.com/alca-mount/alca-mount/safety"
)

// block is some entries of one directory of a base, sorted by name, each as what differs from the one before: how many
// there are and how many of them are files, then for each
//
//	name     bytes shared with the name before, length of the rest, the rest
//	bits     kind, and which of the next are there: exec, sum, size, target
//	stamps   the project's, the mirror's: bits of what follows; what does not is as it usually is
//
// Numbers are varints. A block is never changed: who has it may read it without a lock. Entries of a million files
// take 28 bytes each this way, and ten times that as they are.
type block []byte

// blockLen is how many entries a block has at most: as many are read to find one.
const blockLen = 16

// The bits of an entry, beside its kind.
const (
	entryExec = 1 << (3 + iota)
	entrySum
	entrySize
	entryTarget
)

// The bits of a stamp. None: it is the zero stamp.
const (
	stampThere    = 1 << iota
	stampKind     // not the entry's kind
	stampMode     // not the mode of the last stamp of that kind on this side
	stampSize     // not the entry's size
	stampMtime    // not the time that is near: the last one's, or for the mirror the project's
	stampChain    // the ctime is told from the last one's, and not from the mtime
	stampDev      // not the last one's device
	stampTimeless // no size, time, inode and device: a directory's
)

// lastStamp is what a stamp is told from.
type lastStamp struct {
	mode         [8]uint32 // by kind
	mtime, ctime int64
	ino, dev     uint64
}

// toldStamps are the last stamps of both sides.
type toldStamps struct{ project, mirrored lastStamp }

// blockWriter makes blocks.
type blockWriter struct {
	entries      []byte
	count, files int
	name         []byte
	last         toldStamps
}

func (w *blockWriter) add(name []byte, e Entry) {
	shared := sharedPrefix(w.name, name)
	w.entries = appendString(binary.AppendUvarint(w.entries, uint64(shared)), name[shared:])
	w.name = append(w.name[:0], name...)
	w.count++
	if e.State.Kind == safety.File {
		w.files++
	}
	w.entries = w.last.appendEntry(w.entries, e)
}

// cut returns what was added as a block, and begins the next.
func (w *blockWriter) cut() block {
	out := make([]byte, 0, len(w.entries)+4)
	out = binary.AppendUvarint(binary.AppendUvarint(out, uint64(w.count)), uint64(w.files))
	out = append(out, w.entries...)
	*w = blockWriter{entries: w.entries[:0], name: w.name[:0]}
	return out
}

func (t *toldStamps) appendEntry(out []byte, e Entry) []byte {
	s := e.State
	bits := byte(s.Kind)
	size := s.Content.Size
	for _, b := range [...]struct {
		is  bool
		bit byte
	}{{s.Exec, entryExec}, {s.Content.Known(), entrySum}, {size != 0, entrySize}, {s.Target != "", entryTarget}} {
		if b.is {
			bits |= b.bit
		}
	}
	out = append(out, bits)
	if size != 0 {
		out = binary.AppendVarint(out, size)
	}
	if s.Content.Known() {
		out = append(out, s.Content.Sum[:]...)
	}
	if s.Target != "" {
		out = appendString(out, s.Target)
	}
	out = t.project.append(out, e.Project, s, t.project.mtime)
	return t.mirrored.append(out, e.Mirror, s, t.project.mtime) // that is this entry's by now
}

// usualSize is what a stamp's size is of an entry in that state.
func usualSize(s State) int64 {
	if s.Kind == safety.Symlink {
		return int64(len(s.Target))
	}
	return s.Content.Size
}

func (l *lastStamp) append(out []byte, s Stamp, of State, near int64) []byte {
	if s == (Stamp{}) {
		return append(out, 0)
	}
	if s == (Stamp{Kind: s.Kind, Mode: s.Mode}) {
		return l.appendKindAndMode(append(out, stampThere|stampTimeless), len(out), s, of)
	}
	at := len(out)
	out = l.appendKindAndMode(append(out, stampThere), at, s, of)
	if s.Size != usualSize(of) {
		out[at] |= stampSize
		out = binary.AppendVarint(out, s.Size)
	}
	if s.Mtime != near {
		out[at] |= stampMtime
		out = binary.AppendVarint(out, s.Mtime-near)
	}
	ctime := s.Ctime - s.Mtime
	if chained := s.Ctime - l.ctime; zigzag(chained) < zigzag(ctime) {
		out[at] |= stampChain
		ctime = chained
	}
	out = binary.AppendVarint(out, ctime)
	out = binary.AppendVarint(out, int64(s.Ino-l.ino))
	if s.Dev != l.dev {
		out[at] |= stampDev
		out = binary.AppendUvarint(out, s.Dev)
	}
	l.mtime, l.ctime, l.ino, l.dev = s.Mtime, s.Ctime, s.Ino, s.Dev
	return out
}

func (l *lastStamp) appendKindAndMode(out []byte, at int, s Stamp, of State) []byte {
	if s.Kind != of.Kind {
		out[at] |= stampKind
		out = append(out, byte(s.Kind))
	}
	if mode := &l.mode[s.Kind&7]; *mode != s.Mode {
		out[at] |= stampMode
		out = binary.AppendUvarint(out, uint64(s.Mode))
		*mode = s.Mode
	}
	return out
}

// zigzag is what a varint writes: small for what is near to zero.
func zigzag(n int64) uint64 { return uint64(n)<<1 ^ uint64(n>>63) }

// blockReader reads a block's entries one after the other.
type blockReader struct {
	d    decoder
	left int
	last toldStamps
	name []byte // of the entry; good until next
	Entry
}

func (b block) read() (r blockReader, files int) {
	r.d = decoder{rest: b}
	r.left = int(r.d.uvarint())
	files = int(r.d.uvarint())
	return r, files
}

// size is how many entries a block has, and how many of them are files.
func (b block) size() (entries, files int) {
	r, files := b.read()
	return r.left, files
}

// first is the name of the first entry.
func (b block) first() []byte {
	r, _ := b.read()
	r.d.uvarint() // it shares nothing
	return r.d.bytes(r.d.uvarint())
}

// next reads an entry; false: there was none left.
func (r *blockReader) next() bool {
	if r.left <= 0 || r.d.bad {
		return false
	}
	r.left--
	shared := r.d.uvarint()
	if shared > uint64(len(r.name)) {
		r.d.fail()
		return false
	}
	r.name = append(r.name[:shared], r.d.bytes(r.d.uvarint())...)
	bits := r.d.byte()
	e := Entry{State: State{Kind: safety.Kind(bits & 7), Exec: bits&entryExec != 0}}
	if bits&entrySize != 0 {
		e.State.Content.Size = r.d.varint()
	}
	if bits&entrySum != 0 {
		copy(e.State.Content.Sum[:], r.d.bytes(16))
	}
	if bits&entryTarget != 0 {
		e.State.Target = r.d.string()
	}
	e.Project = r.last.project.read(&r.d, e.State, r.last.project.mtime)
	e.Mirror = r.last.mirrored.read(&r.d, e.State, r.last.project.mtime)
	r.Entry = e
	return !r.d.bad
}

func (l *lastStamp) read(d *decoder, of State, near int64) Stamp {
	bits := d.byte()
	if bits&stampThere == 0 {
		return Stamp{}
	}
	s := Stamp{Kind: of.Kind}
	if bits&stampKind != 0 {
		s.Kind = safety.Kind(d.byte())
	}
	mode := &l.mode[s.Kind&7]
	if bits&stampMode != 0 {
		*mode = uint32(d.uvarint())
	}
	s.Mode = *mode
	if bits&stampTimeless != 0 {
		return s
	}
	s.Size, s.Mtime = usualSize(of), near
	if bits&stampSize != 0 {
		s.Size = d.varint()
	}
	if bits&stampMtime != 0 {
		s.Mtime += d.varint()
	}
	s.Ctime = s.Mtime
	if bits&stampChain != 0 {
		s.Ctime = l.ctime
	}
	s.Ctime += d.varint()
	s.Ino = l.ino + uint64(d.varint())
	if s.Dev = l.dev; bits&stampDev != 0 {
		s.Dev = d.uvarint()
	}
	l.mtime, l.ctime, l.ino, l.dev = s.Mtime, s.Ctime, s.Ino, s.Dev
	return s
}

// find returns the entry called name and its place in the block; -1: there is none.
func (b block) find(name string) (Entry, int) {
	r, _ := b.read()
	for n := 0; r.next(); n++ {
		switch {
		case string(r.name) < name: // without an allocation, as strings.Compare would make one
		case string(r.name) == name:
			return r.Entry, n
		default:
			return Entry{}, -1
		}
	}
	return Entry{}, -1
}
