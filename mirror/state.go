package mirror

import "github.com/alca-mount/alca-mount/safety"

// State is what an entry is, as far as syncing decides on it. Compare with ==. The zero value is an absent entry.
type State struct {
	Kind    safety.Kind
	Exec    bool    // of a file: the owner's execute bit
	Content Content // of a file
	Target  string  // of a symlink
}

// Absent reports whether there is no entry.
func (s State) Absent() bool { return s.Kind == safety.Absent }

// Content identifies what a file holds. Two known Contents are equal when the bytes are.
// A Content that was never hashed has a zero Sum: see [Content.Known].
type Content struct {
	Size int64
	Sum  [16]byte // 128-bit xxh3 of the bytes
}

// Known reports whether the bytes were hashed.
func (c Content) Known() bool { return c.Sum != [16]byte{} }

// Stamp tells whether an entry has to be looked at again: it moves whenever the entry may have changed.
// Compare with ==. It says nothing of what the entry holds; that is [State].
type Stamp struct {
	Kind         safety.Kind
	Mode         uint32
	Size         int64
	Mtime, Ctime int64 // nanoseconds
	Ino, Dev     uint64
}

// StampOf takes the stamp of an entry. A directory's stamp is its kind and mode only: its times move with every
// entry made in it, which is looked at on its own.
func StampOf(i safety.Info) Stamp {
	if i.Kind == safety.Directory {
		return Stamp{Kind: i.Kind, Mode: i.Mode}
	}
	return Stamp{Kind: i.Kind, Mode: i.Mode, Size: i.Size, Mtime: i.Mtime, Ctime: i.Ctime, Ino: i.Ino, Dev: i.Dev}
}

// Entry is one path of the base: what both sides agreed on last, and how each side's entry looked then.
// A zero side stamp means that this side had no entry, or that it must be looked at again.
type Entry struct {
	State           State
	Project, Mirror Stamp
}
