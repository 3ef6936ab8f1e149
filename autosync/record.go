package autosync

import (
	"maps"
	"slices"

	"github.com/alca-mount/alca-mount/autosync/internal/journal"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// record is one line of a session's journal.
//
// An intent is durable before the one call that it announces; the done record that follows says what the call displaced
// and what the base is since then, or a none record that nothing came of it. An intent that neither follows was cut
// short by a crash: [engine.recover] settles it. Paths are bytes: names need not be UTF-8.
type record struct {
	Type   recordType    `json:"t"`
	Seq    uint64        `json:"seq,omitempty"`
	Op     string        `json:"op,omitempty"`
	Side   mirror.Side   `json:"side,omitempty"`
	Path   []byte        `json:"path"`
	Expect *mirror.Stamp `json:"expect,omitempty"` // intent: what the call will displace
	Staged *mirror.Stamp `json:"staged,omitempty"` // intent: what it will place
	Birth  int64         `json:"birth,omitempty"`  // intent: when the staged inode was made, in nanoseconds; 0: not known
	Keep   keep          `json:"keep,omitempty"`   // intent: what becomes of the version that the call displaces
	Base   *mirror.Entry `json:"base,omitempty"`   // the new base, of an intent the one to be; absent: none
	Target []byte        `json:"target,omitempty"` // the base's link target: JSON would mend what is no UTF-8
	Kept   []byte        `json:"kept,omitempty"`   // done: where the displaced version is
	From   []byte        `json:"from,omitempty"`   // intent of undo's: where the version lies that the call brings
	Dir    [2]int64      `json:"dir,omitzero"`     // done: mtime of the project's directory that holds the path, before and after the call
	Why    string        `json:"why,omitempty"`    // held
}

// opChmod is the call that places nothing: what is at the path is whose it was. opTimes, of undo's, gives a directory
// its mtime back: the path is the directory itself.
const (
	opChmod = "chmod"
	opTimes = "times"
)

type recordType string

const (
	recordIntent recordType = "I"
	recordDone   recordType = "D"
	recordNone   recordType = "N" // of an intent that nothing came of
	recordHeld   recordType = "H"
	recordBase   recordType = "B" // the base moved without a call
)

// history is what a journal tells the next pass.
type history struct {
	lastSeq uint64
	placed  map[safety.RelPath]mirror.Stamp // what we placed in the project last: a file that is still exactly this is not kept again
	open    map[uint64]record               // intents without an end, by number
	written map[fileID]mirror.Stamp         // files of the project that we rewrote in place, as we left them: under all their names
	made    map[safety.RelPath]bool         // directories that we made in the project
}

func newHistory() *history {
	return &history{placed: map[safety.RelPath]mirror.Stamp{}, open: map[uint64]record{}, written: map[fileID]mirror.Stamp{}, made: map[safety.RelPath]bool{}}
}

// unfinished lists the intents that a crash cut short, in the order in which they were announced.
func (h *history) unfinished() []record {
	out := make([]record, 0, len(h.open))
	for _, seq := range slices.Sorted(maps.Keys(h.open)) {
		out = append(out, h.open[seq])
	}
	return out
}

// replay applies one record to the base and the history.
func (h *history) replay(base *mirror.Base, r record) {
	h.lastSeq = max(h.lastSeq, r.Seq)
	switch r.Type {
	case recordIntent:
		h.open[r.Seq] = r
	case recordDone, recordNone:
		delete(h.open, r.Seq)
	}
	if r.Type != recordDone && r.Type != recordBase {
		return
	}
	p, e := safety.RelPath(r.Path), r.entry()
	base.Put(p, e)
	if r.Type != recordDone || r.Side != mirror.ProjectSide {
		return
	}
	h.place(p, r.Op, e.Project)
	if r.Op == opMkdir {
		h.made[p] = true
	}
}

// place takes in what a call left at a path of the project.
func (h *history) place(p safety.RelPath, op string, left mirror.Stamp) {
	if op != opChmod { // by which what is there stays whose it was
		h.placed[p] = left
	}
	if op == opChmod || op == opInPlace {
		h.written[idOf(left)] = left
	}
}

// entry is the base that a record states.
func (r record) entry() mirror.Entry {
	if r.Base == nil {
		return mirror.Entry{}
	}
	e := *r.Base
	e.State.Target = string(r.Target)
	return e
}

// setEntry states a base; an absent one is none.
func (r *record) setEntry(e mirror.Entry) {
	if !e.State.Absent() {
		r.Base, r.Target = &e, []byte(e.State.Target)
	}
}

// openJournal opens a session's journal and brings the base up to it.
func openJournal(path string, before safety.Before, base *mirror.Base) (*journal.Journal, *history, error) {
	h := newHistory()
	j, err := journal.OpenWith(path, before, func(r record) error {
		h.replay(base, r)
		return nil
	})
	return j, h, err
}
