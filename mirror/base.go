package mirror

import (
	"iter"

	"github.com/alca-mount/alca-mount/safety"
)

// Base is what both sides agreed on last, path by path. It is not safe for concurrent use.
type Base struct {
	entries map[safety.RelPath]Entry
}

// NewBase returns an empty base.
func NewBase() *Base { return &Base{entries: map[safety.RelPath]Entry{}} }

// Get returns the entry of p; the zero Entry where there is none.
func (b *Base) Get(p safety.RelPath) Entry { return b.entries[p] }

// Put sets the entry of p; an entry whose State is absent removes it.
func (b *Base) Put(p safety.RelPath, e Entry) {
	if e.State.Absent() {
		delete(b.entries, p)
		return
	}
	b.entries[p] = e
}

// Len is the number of entries.
func (b *Base) Len() int { return len(b.entries) }

// All yields the entries sorted by path, parents before children.
func (b *Base) All() iter.Seq2[safety.RelPath, Entry] { return nil }

// ReadBase reads what WriteTo wrote; a damaged file is an error.
func ReadBase(file string) (*Base, error) { return nil, nil }

// WriteFile writes the base durably to file.
func (b *Base) WriteFile(file string) error { return nil }
