package mirror

import (
	"iter"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/alca-mount/alca-mount/safety"
)

// Base is what both sides agreed on last, path by path. Its methods may be called concurrently.
//
// It is there for as long as a session is, and may have a million entries: so they are kept encoded (see block), and
// names directory by directory.
type Base struct {
	mu        sync.RWMutex
	dirs      map[safety.RelPath]*baseDir
	entries   int
	files     int
	puts      uint64 // counts what was put
	ownReadme bool   // the README at the mirror's top is ours and not the project's
	out       blockWriter
}

// baseDir is what is in a directory. Lists and blocks are replaced and never changed, so that who has one may go on
// reading it.
type baseDir struct{ blocks []block }

// NewBase returns an empty base.
func NewBase() *Base { return &Base{dirs: map[safety.RelPath]*baseDir{}} }

// namedEntry is an entry of some directory.
type namedEntry struct {
	name string
	Entry
}

// Get returns the entry of p; the zero Entry where there is none.
func (b *Base) Get(p safety.RelPath) Entry {
	dir, name := split(p)
	e, _ := find(b.in(dir), name)
	return e
}

// in is what the base has of a directory.
func (b *Base) in(dir safety.RelPath) []block {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if d := b.dirs[dir]; d != nil {
		return d.blocks
	}
	return nil
}

// find returns the entry called name and its place among those of all blocks; -1: there is none.
func find(blocks []block, name string) (Entry, int) {
	i := blockOf(blocks, name)
	if i < 0 {
		return Entry{}, -1
	}
	e, n := blocks[i].find(name)
	if n < 0 {
		return Entry{}, -1
	}
	return e, n + entriesOf(blocks[:i])
}

// blockOf is the number of the block in which a name would be; -1: before the first.
func blockOf(blocks []block, name string) int {
	after := sort.Search(len(blocks), func(i int) bool { return string(blocks[i].first()) > name })
	return after - 1
}

func entriesOf(blocks []block) (n int) {
	for _, b := range blocks {
		entries, _ := b.size()
		n += entries
	}
	return n
}

// Put sets the entry of p; an entry whose State is absent removes it.
func (b *Base) Put(p safety.RelPath, e Entry) {
	dir, name := split(p)
	b.putAll(dir, []namedEntry{{name, e}})
}

// putAll is Put for entries of one directory, sorted by name.
func (b *Base) putAll(dir safety.RelPath, puts []namedEntry) {
	if len(puts) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.puts++
	d := b.dirs[dir]
	if d == nil {
		d = &baseDir{}
		b.dirs[safety.RelPath(strings.Clone(string(dir)))] = d // not a part of a longer path, which it would keep in memory
	}
	old := d.blocks
	from := max(blockOf(old, puts[0].name), 0)
	to := min(max(blockOf(old, puts[len(puts)-1].name), 0)+1, len(old))
	fresh := b.out.merge(old[from:to], puts)
	b.count(old[from:to], -1)
	b.count(fresh, 1)
	if d.blocks = slices.Concat(old[:from], fresh, old[to:]); len(d.blocks) == 0 {
		delete(b.dirs, dir)
	}
}

func (b *Base) count(blocks []block, sign int) {
	for _, one := range blocks {
		entries, files := one.size()
		b.entries += sign * entries
		b.files += sign * files
	}
}

// merge returns blocks of what is in old and puts; the latter count where both have an entry.
func (w *blockWriter) merge(old []block, puts []namedEntry) []block {
	most := entriesOf(old) + len(puts)
	number := (most + blockLen - 1) / blockLen
	each := (most + number - 1) / number // blocks of about the same length
	var out []block
	add := func(name []byte, e Entry) {
		if e.State.Absent() {
			return
		}
		if w.add(name, e); w.count == each {
			out = append(out, w.cut())
		}
	}
	var name []byte
	putBefore := func(limit []byte, all bool) {
		for ; len(puts) > 0 && (all || puts[0].name < string(limit)); puts = puts[1:] {
			name = append(name[:0], puts[0].name...)
			add(name, puts[0].Entry)
		}
	}
	for _, b := range old {
		for r, _ := b.read(); r.next(); {
			putBefore(r.name, false)
			if len(puts) == 0 || puts[0].name != string(r.name) {
				add(r.name, r.Entry)
			}
		}
	}
	putBefore(nil, true)
	if w.count > 0 {
		out = append(out, w.cut())
	}
	return out
}

// entriesIn yields what blocks hold, sorted by name.
func entriesIn(blocks []block) iter.Seq2[string, Entry] {
	return func(yield func(string, Entry) bool) {
		for _, b := range blocks {
			for r, _ := b.read(); r.next(); {
				if !yield(string(r.name), r.Entry) {
					return
				}
			}
		}
	}
}

// Len is the number of entries.
func (b *Base) Len() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.entries
}

// changed tells, by another number, whether anything was put since.
func (b *Base) changed() uint64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.puts
}

// Files is the number of entries that are files.
func (b *Base) Files() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.files
}

// All yields the entries sorted by path as strings, which puts parents before children.
// Put may be called meanwhile; paths added meanwhile may be yielded or not.
func (b *Base) All() iter.Seq2[safety.RelPath, Entry] {
	return func(yield func(safety.RelPath, Entry) bool) {
		below := subdirectories(b.Directories())
		w := sortedWalk[Entry]{
			below: func(dir safety.RelPath) []string { return below[dir] },
			in:    b.In,
		}
		w.walk(safety.Top, yield)
	}
}

// In yields what is in one directory, sorted by name.
func (b *Base) In(dir safety.RelPath) iter.Seq2[string, Entry] { return entriesIn(b.in(dir)) }

// Unsorted is All in whatever order, which costs a third.
func (b *Base) Unsorted() iter.Seq2[safety.RelPath, Entry] {
	return func(yield func(safety.RelPath, Entry) bool) {
		for _, dir := range b.Directories() {
			for name, e := range b.In(dir) {
				if !yield(dir.Join(name), e) {
					return
				}
			}
		}
	}
}

// Directories are those in which there is something, in whatever order.
func (b *Base) Directories() []safety.RelPath {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.Collect(maps.Keys(b.dirs))
}

// subdirectories lists which directories are in each, those above others included.
func subdirectories(dirs []safety.RelPath) map[safety.RelPath][]string {
	below := make(map[safety.RelPath][]string, len(dirs))
	known := make(map[safety.RelPath]bool, len(dirs))
	for _, dir := range dirs {
		for dir != safety.Top && !known[dir] {
			known[dir] = true
			up, name := split(dir)
			below[up] = append(below[up], name)
			dir = up
		}
	}
	return below
}
