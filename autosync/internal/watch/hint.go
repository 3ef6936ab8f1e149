package watch

import "github.com/alca-mount/alca-mount/safety"

// Urgency says how finished a change looks. A higher one says more.
type Urgency uint8

const (
	// Busy: it is being written. Wait for a later hint, or until it has been quiet for a while.
	Busy Urgency = iota
	// Probe: act at once unless the file has a writer. A file linked into the tree, a new link or FIFO, changed
	// permissions, and all that was found in a new directory raise nothing that says more.
	Probe
	// Settled: closed after writing, renamed or deleted. Act at once.
	Settled
)

func (u Urgency) String() string { return [...]string{"busy", "probe", "settled"}[u] }

// Hint says that something may have changed at Path. The entry may be absent; then all that was below it may be too.
type Hint struct {
	Path    safety.RelPath
	Urgency Urgency
	IsDir   bool // it was a directory when the hint arose
	// Away: the entry may have been moved to where nothing is watched.
	Away bool
	// NewDir: the directory was made or moved here. What is in it follows as hints of its own, as far as Options.Watch
	// wants it.
	NewDir bool
}

// and is the hint that says what both say of one path, b being the later.
func (a Hint) and(b Hint) Hint {
	return Hint{Path: a.Path, Urgency: max(a.Urgency, b.Urgency), IsDir: b.IsDir, Away: a.Away || b.Away, NewDir: a.NewDir || b.NewDir}
}
