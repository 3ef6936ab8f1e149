package gitrepo

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/go-git/go-git/v5/plumbing/format/index"
)

// maxIndex bounds an index: git's own has some 80 bytes a path.
const maxIndex = 2 << 30

// readIndexBytes returns the index file, nil where there is none yet, with its checksum in place: with
// index.skipHash git leaves it zero, and readers that check it refuse the file.
func (r *repo) readIndexBytes() ([]byte, error) {
	data, err := readFile(r.git, "index", maxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if n := len(data) - sha1.Size; n > 0 && bytes.Equal(data[n:], make([]byte, sha1.Size)) {
		sum := sha1.Sum(data[:n])
		copy(data[n:], sum[:])
	}
	return data, nil
}

// readIndex returns what is tracked.
func (r *repo) readIndex() (*index.Index, error) {
	data, err := r.readIndexBytes()
	if err != nil {
		return nil, err
	}
	idx, err := decodeIndex(data)
	if err != nil {
		return nil, fmt.Errorf("read the index of %s: %w", r.git.Path(), err)
	}
	return idx, nil
}

func decodeIndex(data []byte) (*index.Index, error) {
	idx := &index.Index{Version: 2}
	if data == nil {
		return idx, nil
	}
	err := index.NewDecoder(bytes.NewReader(data)).Decode(idx)
	if errors.Is(err, index.ErrUnknownExtension) {
		return nil, unsupported("a split or sparse index (git update-index --no-split-index, git sparse-checkout reapply --no-sparse-index)")
	}
	if errors.Is(err, index.ErrUnsupportedVersion) {
		return nil, unsupported("an index of a newer version")
	}
	return idx, err
}

// The flag bits of an index entry, from git's index-format(5).
const (
	flagExtended    = 0x4000
	flagStage       = 0x3000
	flagName        = 0x0fff
	extSkipWorktree = 0x4000
)

const modeGitlink = 0o160000

// rawIndex is an index with all that git stores of an entry. go-git's own loses the assume-valid bit and the order
// of conflict stages, so it reads but does not rewrite.
type rawIndex struct {
	entries    []rawEntry
	extensions []byte // the sections to carry over, framed as in the file
}

type rawEntry struct {
	stat       [40]byte // ctime, mtime, dev, ino, mode, uid, gid, size: big-endian words
	object     [20]byte
	flags, ext uint16
	name       string
}

func (e *rawEntry) mode() uint32   { return binary.BigEndian.Uint32(e.stat[24:]) }
func (e *rawEntry) conflict() bool { return e.flags&flagStage != 0 }
func (e *rawEntry) skip()          { e.flags |= flagExtended; e.ext |= extSkipWorktree }
func (e *rawEntry) skipped() bool  { return e.ext&extSkipWorktree != 0 }

var errIndexDamaged = errors.New("damaged index")

// parseRawIndex parses an index whose checksum decodeIndex has verified. Every length is still checked.
func parseRawIndex(data []byte) (*rawIndex, error) {
	if len(data) < 12+sha1.Size || string(data[:4]) != "DIRC" {
		return nil, errIndexDamaged
	}
	version, count := binary.BigEndian.Uint32(data[4:]), binary.BigEndian.Uint32(data[8:])
	body := data[12 : len(data)-sha1.Size]
	idx, previous := &rawIndex{}, ""
	for range count {
		e, n, err := parseRawEntry(body, version, previous)
		if err != nil {
			return nil, err
		}
		idx.entries = append(idx.entries, e)
		body, previous = body[n:], e.name
	}
	var err error
	idx.extensions, err = keepExtensions(body)
	return idx, err
}

// parseRawEntry parses one entry and returns how many bytes it took.
func parseRawEntry(b []byte, version uint32, previous string) (e rawEntry, n int, err error) {
	if len(b) < 62 {
		return e, 0, errIndexDamaged
	}
	copy(e.stat[:], b)
	copy(e.object[:], b[40:])
	e.flags = binary.BigEndian.Uint16(b[60:])
	n = 62
	if e.flags&flagExtended != 0 {
		if len(b) < 64 {
			return e, 0, errIndexDamaged
		}
		e.ext = binary.BigEndian.Uint16(b[62:])
		n = 64
	}
	prefix := ""
	if version == 4 {
		strip, k := offsetVarint(b[n:])
		if k == 0 || strip > uint64(len(previous)) {
			return e, 0, errIndexDamaged
		}
		prefix = previous[:uint64(len(previous))-strip]
		n += k
	}
	end := bytes.IndexByte(b[n:], 0)
	if end < 0 {
		return e, 0, errIndexDamaged
	}
	e.name = prefix + string(b[n:n+end])
	n += end + 1
	if version < 4 {
		n = (n + 7) &^ 7 // one to eight NULs pad an entry to a multiple of eight
	}
	if n > len(b) {
		return e, 0, errIndexDamaged
	}
	return e, n, nil
}

// offsetVarint reads the variable-width integer of the pack format's offset deltas; k is 0 where it is cut off.
func offsetVarint(b []byte) (v uint64, k int) {
	for k < len(b) && k < 9 {
		c := b[k]
		if k > 0 {
			v++
		}
		v = v<<7 | uint64(c&0x7f)
		k++
		if c&0x80 == 0 {
			return v, k
		}
	}
	return 0, 0
}

// keepExtensions returns the section that stays true when only stat data and skip-worktree bits change: the tree
// cache. Left out are those that hold offsets, resolved conflicts, or what a monitor or a directory scan of the project
// saw. One that readers must understand is an error.
func keepExtensions(b []byte) ([]byte, error) {
	var out []byte
	for len(b) > 0 {
		if len(b) < 8 || uint64(len(b)-8) < uint64(binary.BigEndian.Uint32(b[4:])) {
			return nil, errIndexDamaged
		}
		n := 8 + int(binary.BigEndian.Uint32(b[4:]))
		switch name := string(b[:4]); {
		case name == "TREE":
			out = append(out, b[:n]...)
		case name[0] < 'A' || name[0] > 'Z':
			return nil, unsupported("index extension %q", name)
		}
		b = b[n:]
	}
	return out, nil
}

// encode writes the index in version 3, or 2 where no entry needs more.
func (idx *rawIndex) encode() []byte {
	version := uint32(2)
	for i := range idx.entries {
		if idx.entries[i].flags&flagExtended != 0 {
			version = 3
		}
	}
	out := []byte("DIRC")
	out = binary.BigEndian.AppendUint32(out, version)
	out = binary.BigEndian.AppendUint32(out, uint32(len(idx.entries)))
	for i := range idx.entries {
		out = idx.entries[i].append(out)
	}
	out = append(out, idx.extensions...)
	sum := sha1.Sum(out)
	return append(out, sum[:]...)
}

func (e *rawEntry) append(out []byte) []byte {
	start := len(out)
	out = append(out, e.stat[:]...)
	out = append(out, e.object[:]...)
	out = binary.BigEndian.AppendUint16(out, e.flags&^flagName|uint16(min(len(e.name), flagName)))
	if e.flags&flagExtended != 0 {
		out = binary.BigEndian.AppendUint16(out, e.ext)
	}
	out = append(out, e.name...)
	for pad := 8 - (len(out)-start)%8; pad > 0; pad-- {
		out = append(out, 0)
	}
	return out
}

// statOf is what git stores of a file: times, device, inode and size cut to 32 bits. The mode word is the entry's own.
func statOf(i safety.Info, mode uint32) (s [40]byte) {
	words := [10]uint32{
		uint32(i.Ctime / 1e9), uint32(i.Ctime % 1e9), uint32(i.Mtime / 1e9), uint32(i.Mtime % 1e9),
		uint32(i.Dev), uint32(i.Ino), mode, i.UID, i.GID, uint32(i.Size),
	}
	for k, w := range words {
		binary.BigEndian.PutUint32(s[4*k:], w)
	}
	return s
}

// unknownStat makes git compare the content: no file has this stat data, and a zero size is never trusted.
func unknownStat(mode uint32) [40]byte { return statOf(safety.Info{}, mode) }

// refreshed returns the stat data for the mirror's copy of an entry. It vouches for the copy only where the entry
// vouches for the project's file (same stat data, and older than the index itself, so that no later write can hide in
// the same clock tick) and the copy still has that file's size, time and exec bit. indexTime is the mtime of
// the project's index in nanoseconds.
func refreshed(e *rawEntry, project, mirror safety.Info, indexTime int64) [40]byte {
	clean := statOf(project, e.mode())
	copy(clean[16:20], e.stat[16:20]) // the device number moves with each mount; git does not look at it either
	switch {
	case clean != e.stat, project.Mtime >= indexTime, project.Ctime == 0:
	case project.Kind != mirror.Kind, project.Size != mirror.Size, project.Mtime != mirror.Mtime:
	case project.Kind == safety.File && project.Exec() != mirror.Exec():
	default:
		return statOf(mirror, e.mode())
	}
	return unknownStat(e.mode())
}
