package autosync

import (
	"github.com/alca-mount/alca-mount/autosync/internal/journal"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// record is one line of a session's journal.
//
// An intent is durable before the one call that it announces; the done record that follows says what the call displaced
// and what the base is since then. Paths are bytes: names need not be UTF-8.
type record struct {
	Type   recordType    `json:"t"`
	Seq    uint64        `json:"seq,omitempty"`
	Op     string        `json:"op,omitempty"`
	Side   mirror.Side   `json:"side,omitempty"`
	Path   []byte        `json:"path"`
	Expect *mirror.Stamp `json:"expect,omitempty"` // intent: what the call will displace
	Staged *mirror.Stamp `json:"staged,omitempty"` // intent: what it will place
	Base   *mirror.Entry `json:"base,omitempty"`   // done: the new base; absent: none
	Target []byte        `json:"target,omitempty"` // done: the base's link target: JSON would mend what is no UTF-8
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
	recordHeld   recordType = "H"
	recordBase   recordType = "B" // the base moved without a call
)

// history is what a journal tells the next pass.
type history struct {
	lastSeq uint64
	placed  map[safety.RelPath]mirror.Stamp // what we placed in the project last: a file that is still exactly this is not kept again
}

// replay applies one record to the base and the history.
func (h *history) replay(base *mirror.Base, r record) {
	h.lastSeq = max(h.lastSeq, r.Seq)
	if r.Type != recordDone && r.Type != recordBase {
		return
	}
	p := safety.RelPath(r.Path)
	var e mirror.Entry
	if r.Base != nil {
		e = *r.Base
		e.State.Target = string(r.Target)
	}
	base.Put(p, e)
	if r.Type == recordDone && r.Side == mirror.ProjectSide && r.Op != opChmod {
		h.placed[p] = e.Project
	}
}

// openJournal opens a session's journal and brings the base up to it.
func openJournal(path string, base *mirror.Base) (*journal.Journal, *history, error) {
	h := &history{placed: map[safety.RelPath]mirror.Stamp{}}
	j, err := journal.Open(path, func(r record) error {
		h.replay(base, r)
		return nil
	})
	return j, h, err
}
