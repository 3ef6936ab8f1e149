// Package launcher runs a command on a mirror of a project, from the first copy to the last clean-up.
// Whatever ends the command, what the agent was allowed to change is brought home before its mirror is removed.
package launcher

import (
	"context"
	"iter"
	"os"
	"syscall"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// Isolation is how the command is confined.
type Isolation string

// The isolations. Auto takes the strongest that works here.
const (
	IsolationAuto      Isolation = "auto"
	IsolationNone      Isolation = "none"
	IsolationNamespace Isolation = "namespace"
	IsolationContainer Isolation = "container"
)

// Sync is when changes cross.
type Sync string

// The sync modes.
const (
	SyncLive   Sync = "live"
	SyncExit   Sync = "exit"
	SyncReview Sync = "review"
	SyncOff    Sync = "off"
)

// Options of one launch. Project and Command are needed. The zero value of all else is the command line's default, but
// for two: without Isolation CMD is not confined (the command line has IsolationAuto), and without Sync changes come home
// when CMD has ended (there, SyncLive).
type Options struct {
	Project string
	Mirror  string           // where the mirror goes; "": in the session's folder
	Policy  *dotfiles.Policy // nil: dotfiles.Read(Project, Agent)
	Agent   string
	Command []string
	Subdir  safety.RelPath // CMD starts in this directory of the mirror; "": the top
	Env     []string       // K=V set, or K passed on, for CMD

	Profile   *Profile   // of the agent that CMD is, for a container; nil: it gets nothing of the user's home directory
	Container *Container // nil: none is configured; needed for IsolationContainer
	Stay      *Stay      // with Container, in place of Command; nil: the container ends with Command
	Isolation Isolation  // "": IsolationNone, under which CMD can read the rest of the machine

	// Of a namespace; asked for with no isolation, in a container, or where there is no namespace, they are an error. A
	// container has no network either with NoNetwork.
	Hide          []string // paths of the host
	AllowSockets  []string // of those that are hidden by themselves
	NoNetwork     bool
	Writable      []string // further paths that ConfineWrites leaves writable
	ConfineWrites bool     // to the project, temporary directories, and where agents keep their own files

	Overlays     []Overlay
	OverlaysOf   string // the name that they are kept under; each has its own
	AutoOverlays bool   // and those that the files of known tools stand for, where the mirror leaves them out

	// Artifacts are brought home when CMD succeeds, under SyncOff: nothing else is. They may be what the built-in list
	// leaves out, but neither hidden, read-only nor guarded.
	Artifacts []safety.RelPath

	Sync       Sync                 // "": SyncExit
	Live       autosync.LiveOptions // of SyncLive
	Population mirror.Population
	Git        mirror.GitMode
	// GitHiddenHistory lets a copied history hold paths that rules hide.
	GitHiddenHistory bool
	GitDepth         int // commits of history that are copied; 0: all
	Links            mirror.Links

	State *mirror.StateDir // nil: mirror.DefaultStateDir
	Name  string
	Keep  bool
	// Untold says that the caller tells the user what the end brought and notes that in the session's folder: until then
	// nothing that the session keeps is pruned by the command line.
	Untold bool
	Grace  time.Duration // 0: 10 s

	AllowMassDelete, AllowGuarded bool
	Guarded                       *dotfiles.Guard // changes of these wait for the user's word; nil: dotfiles.GuardedDefault

	Stdin, Stdout, Stderr *os.File         // nil: the process's own
	Signals               <-chan os.Signal // what to pass on to CMD; nil: none

	Progress func(mirror.Progress)
	Pulling  func(image string, done, total int64) // a missing image is fetched; bytes, total grows meanwhile
	// Whole is called when the mirror is complete, with the directory and the name of each file in it. It is not to be waited in.
	Whole        func(files iter.Seq2[safety.RelPath, string])
	BeforeLaunch func(mirrorDir string) error // the mirror is complete; what it writes there syncs
	AfterBuild   func(Start)
	AfterSync    func(autosync.Changes)
	// Review asks the user, under SyncReview, what comes home when CMD has ended; nil: nothing does, and the session is kept.
	Review func(context.Context, []autosync.Proposal) (Verdict, error)
	Events func(autosync.Event)

	// ShutdownContext bounds only the end: when it is done, the last sync stops between two files and the mirror is kept.
	ShutdownContext context.Context
}

// Start is what is known when CMD is about to start.
type Start struct {
	Session   string
	Name      string
	Mirror    string
	Built     mirror.Built
	Warm      *autosync.Changes // on a kept session's mirror: what was carried since it was left; nothing was built
	Isolation Isolation
	Fallback  string // under IsolationAuto, why it is no stronger one
	// Unforeseen says that Fallback is of this launch only: a namespace could be started, so one could be counted on.
	Unforeseen bool
	Enforced   []string // what the launch enforces, e.g. "hidden: absent", "read-only: mode bits only"
	Warnings   []string
	Profile    *ProfileUsed // in a container: what it got of the user's own; nil: nothing
}

// Result is how a launch ended.
type Result struct {
	ExitCode int // CMD's, as `run` exits with
	Signal   syscall.Signal
	Session  string
	Changes  autosync.Changes
	Store    string // where overwritten, deleted and refused versions are kept
	Mirror   string // the mirror's path where it was kept, else ""
	WhyKept  string
	Missing  []safety.RelPath // artifacts that CMD did not make; then none was brought home
	Left     int              // processes that outlived CMD and were ended
	Mounts   []MountResult
}
