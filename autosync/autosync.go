// Package autosync keeps a mirror and its project in step.
//
// It never drops a version of a file that only one side has: what is overwritten or deleted in the project is kept in
// the session's store, the loser of a conflict is kept and reported, and what may not cross is stored, not lost.
package autosync

import (
	"time"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// Direction is which way a version travelled.
type Direction uint8

// The directions.
const (
	ToProject Direction = iota + 1
	ToMirror
)

func (d Direction) String() string { return [...]string{"", "to_project", "to_mirror"}[d] }

// EventType is what an Event tells.
type EventType string

// The events, as --events writes them.
const (
	Started      EventType = "start"
	Ready        EventType = "ready"
	Synced       EventType = "synced"
	Deleted      EventType = "deleted"
	Conflict     EventType = "conflict"
	Refused      EventType = "refused"
	Held         EventType = "held"
	Orphan       EventType = "orphan"
	Imported     EventType = "imported" // commits came home; Reason says which, and their ref
	Degraded     EventType = "degraded"
	Healthy      EventType = "healthy"
	Halted       EventType = "halted"
	Failed       EventType = "failed" // could not be carried; it is tried again
	RulesChanged EventType = "rules"
	Ended        EventType = "end"
)

// Event is one thing that happened.
type Event struct {
	Time      time.Time
	Type      EventType
	Session   string
	Path      safety.RelPath
	Direction Direction
	Reason    string
	Kept      string // where the version that lost, was refused or deleted lies now
}

// PathNote is a path with a reason and, where a version was kept, its place.
type PathNote struct {
	Path safety.RelPath
	Why  string
	Kept string
	Hold HoldKind // of what is held
}

// HoldKind is why a change waits for the user's word.
type HoldKind string

// The kinds of holds.
const (
	HoldGuarded    HoldKind = "guarded"     // a tool of the host may execute the file by itself
	HoldMassDelete HoldKind = "mass_delete" // one of too many deletions at once
	HoldMoved      HoldKind = "moved"       // the deletion of a file that now lies where nothing crosses from
	HoldBlocked    HoldKind = "blocked"     // something else that stays is in its way, or below it
	HoldPowerCut   HoldKind = "power_cut"   // what the mirror holds after a power cut may be torn, or missing by it
	HoldHidden     HoldKind = "hidden"      // hidden files of the project's are in its way: no word lifts that
	HoldRenamed    HoldKind = "renamed"     // a file of the project's was hidden under another name, and stays hidden till the session ends: nothing of the agent's waits
)

// Changes is what a session, or one call, did. All lists are sorted by path.
type Changes struct {
	ToProject     []safety.RelPath       // changed or new in the project
	ToMirror      []safety.RelPath       // changed, new or deleted in the mirror
	Deleted       []PathNote             // deleted in the project, and where it is kept
	Conflicts     []PathNote             // the mirror's version won; the loser is kept
	Refused       []PathNote             // what the agent did and may not: never crosses
	Held          []PathNote             // waits for the user's word
	Orphans       []PathNote             // made at paths hidden by a rule
	Commits       []mirror.BroughtBranch // came home as refs, under mirror.GitImport
	Failed        []PathNote             // could not be carried; still in the mirror
	NewInExcluded []safety.RelPath       // new work in build/, out/, env/: named, not carried
	PendingDelete []safety.RelPath       // deletes that a call without deletions left
	Recovered     []PathNote             // calls that a crash had cut short, and what became of each
	Lost          []safety.RelPath       // a power cut took them from the mirror; the project's versions are there again
	Halted        string                 // why syncing stopped, or ""
}

// Options of Start, Reconcile and SyncBack's fuller form [Once].
type Options struct {
	Deletes         bool             // carry deletions into the project
	Paths           []safety.RelPath // only these and what is below; nil: all
	OnlyToProject   bool             // the mirror is left as it is
	DryRun          bool
	Final           bool // the mirror goes after this: what may not cross is moved out of it, unless something failed
	aside           bool // of a build: after it, what of Paths may not cross is moved out of the mirror, and nothing else
	AllowMassDelete bool
	AllowGuarded    bool
	Approved        bool            // the user said so: nothing is held that a word of the user's can let pass
	Guarded         *dotfiles.Guard // changes of these wait for the user's word; nil: dotfiles.GuardedDefault
	Shield          Shield          // protects what is read-only in the mirror while CMD runs; nil: mode bits do
	Events          func(Event)     // called in order, from one goroutine at a time; nil: none
}

// Untouched reports whether nothing at all came of it: nothing crossed to the project, nothing is kept.
func (c Changes) Untouched() bool {
	return len(c.ToProject)+len(c.Deleted)+len(c.Conflicts)+len(c.Refused)+len(c.Held)+len(c.Orphans)+len(c.Failed)+len(c.Commits) == 0 && c.Halted == ""
}
