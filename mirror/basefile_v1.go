package mirror

import (
	"fmt"

	"github.com/alca-mount/alca-mount/safety"
)

// Version 1 of a base file had the entries one after the other, sorted by path:
//
//	entry   shared prefix with the path before, length of the rest, the rest,
//	        kind and bits, [size, sum] of a file, [target] of a link, project stamp, mirror stamp
//	stamp   kind, and unless that is absent: mode, size, mtime, ctime, inode, device
const (
	flatExec  = 1 << 3 // beside the kind
	flatKnown = 1 << 4
)

// flatEntries reads the entries of version 1 into an empty base.
func (d *decoder) flatEntries(b *Base, count uint64) error {
	if count > uint64(len(d.rest)) { // an entry takes more than a byte
		return fmt.Errorf("%w: it promises %d entries", ErrBaseDamaged, count)
	}
	dirs := map[safety.RelPath][]namedEntry{}
	before := ""
	for range count {
		p := d.path(before)
		e := d.flatEntry()
		if d.bad || e.State.Absent() || p <= before || p == string(safety.Top) {
			return fmt.Errorf("%w: after %q", ErrBaseDamaged, before)
		}
		dir, name := split(safety.RelPath(p))
		dirs[dir] = append(dirs[dir], namedEntry{name, e})
		before = p
	}
	for dir, entries := range dirs {
		b.putAll(dir, entries)
	}
	return nil
}

func (d *decoder) flatEntry() Entry {
	bits := d.byte()
	e := Entry{State: State{Kind: safety.Kind(bits & 7), Exec: bits&flatExec != 0}}
	if e.State.Kind > safety.Special {
		d.fail()
		return Entry{}
	}
	if e.State.Kind == safety.File {
		e.State.Content.Size = d.varint()
	}
	if bits&flatKnown != 0 {
		copy(e.State.Content.Sum[:], d.bytes(16))
	}
	if e.State.Kind == safety.Symlink {
		e.State.Target = d.string()
	}
	e.Project, e.Mirror = d.flatStamp(), d.flatStamp()
	return e
}

func (d *decoder) flatStamp() Stamp {
	s := Stamp{Kind: safety.Kind(d.byte())}
	if s.Kind == safety.Absent {
		return Stamp{}
	}
	s.Mode = uint32(d.uvarint())
	s.Size, s.Mtime, s.Ctime = d.varint(), d.varint(), d.varint()
	s.Ino, s.Dev = d.uvarint(), d.uvarint()
	return s
}
