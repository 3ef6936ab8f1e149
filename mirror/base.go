package mirror

import (
	"iter"
	"slices"
	"sync"

	"github.com/alca-mount/alca-mount/safety"
)

// Base is what both sides agreed on last, path by path. Its methods may be called concurrently.
type Base struct {
	mu        sync.RWMutex
	index     map[safety.RelPath]uint32
	chunks    [][]Entry // entry n is chunks[n/chunkLen][n%chunkLen]; chunks, so that growing never copies a million entries
	used      uint32
	free      []uint32
	ownReadme bool // the README at the mirror's top is ours and not the project's
}

const chunkLen = 1024

// NewBase returns an empty base.
func NewBase() *Base { return &Base{index: map[safety.RelPath]uint32{}} }

// newBase returns an empty base with room for n entries.
func newBase(n int) *Base { return &Base{index: make(map[safety.RelPath]uint32, n)} }

// Get returns the entry of p; the zero Entry where there is none.
func (b *Base) Get(p safety.RelPath) Entry {
	b.mu.RLock()
	defer b.mu.RUnlock()
	n, ok := b.index[p]
	if !ok {
		return Entry{}
	}
	return *b.at(n)
}

func (b *Base) at(n uint32) *Entry { return &b.chunks[n/chunkLen][n%chunkLen] }

// Put sets the entry of p; an entry whose State is absent removes it.
func (b *Base) Put(p safety.RelPath, e Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put(p, e)
}

// putAll is Put for each.
func (b *Base) putAll(entries []basedEntry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range entries {
		b.put(e.path, e.Entry)
	}
}

func (b *Base) put(p safety.RelPath, e Entry) {
	n, ok := b.index[p]
	switch {
	case e.State.Absent() && !ok:
	case e.State.Absent():
		delete(b.index, p)
		*b.at(n) = Entry{}
		b.free = append(b.free, n)
	case ok:
		*b.at(n) = e
	default:
		n = b.slot()
		b.index[p] = n
		*b.at(n) = e
	}
}

func (b *Base) slot() uint32 {
	if last := len(b.free) - 1; last >= 0 {
		n := b.free[last]
		b.free = b.free[:last]
		return n
	}
	if int(b.used) == len(b.chunks)*chunkLen {
		b.chunks = append(b.chunks, make([]Entry, chunkLen))
	}
	b.used++
	return b.used - 1
}

// Len is the number of entries.
func (b *Base) Len() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.index)
}

// All yields the entries sorted by path as strings, which puts parents before children.
// Put may be called meanwhile; paths added meanwhile are not yielded.
func (b *Base) All() iter.Seq2[safety.RelPath, Entry] {
	return func(yield func(safety.RelPath, Entry) bool) {
		for _, p := range b.paths() {
			if e := b.Get(p); !e.State.Absent() && !yield(p, e) {
				return
			}
		}
	}
}

func (b *Base) paths() []safety.RelPath {
	b.mu.RLock()
	paths := make([]safety.RelPath, 0, len(b.index))
	for p := range b.index {
		paths = append(paths, p)
	}
	b.mu.RUnlock()
	slices.Sort(paths)
	return paths
}
