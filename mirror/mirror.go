// Package mirror makes a faithful copy of what a policy lets an agent see, and nothing else.
//
// [Create] builds a mirror of a project and remembers, in its base, what both sides were like; [Attach] takes up one
// that is there already. [Mirror.Scan] says what either side is now. It never writes in the project.
package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// ReadmeName is the file at a mirror's top that tells the agent what it may do. Where the project has an entry of that
// name, the project's is mirrored instead.
const ReadmeName = "_MOUNT_README.md"

// Population is how the files of a project are found.
type Population uint8

// Walk takes all that the policy lets through; Git the tracked and the untracked-unignored files of a git work tree
// (still filtered by the policy); Auto is Git where that is possible and Walk elsewhere.
const (
	Walk Population = iota
	Git
	Auto
)

// GitMode is what becomes of the project's .git.
type GitMode uint8

// GitNone leaves .git out; GitCopy gives the mirror a standalone one-way copy; GitImport does, and brings the commits
// made in it home as refs at the end.
const (
	GitNone GitMode = iota
	GitCopy
	GitImport
)

// String is the mode's name on the command line.
func (g GitMode) String() string { return [...]string{"none", "copy", "import"}[g] }

// Links is what becomes of symbolic links.
type Links uint8

// KeepLinks keeps links that stay inside the tree and do not lead to a hidden path; FollowLinks makes plain copies of
// links to regular files inside; SkipLinks leaves all out.
const (
	KeepLinks Links = iota
	FollowLinks
	SkipLinks
)

// Options of Create and Attach. The zero value asks for a mirror under dotfiles.Read's rules, in a session of the
// default state directory.
type Options struct {
	Policy     *dotfiles.Policy // nil: dotfiles.Read(projectDir, Agent)
	Agent      string           // whose per-agent rule files are read when Policy is nil; named in the README
	Session    *Session         // nil: a new one in the default state directory
	Population Population
	Git        GitMode
	// GitHiddenHistory lets GitCopy and GitImport copy a history that holds paths hidden by a rule; without it that is an error.
	GitHiddenHistory bool
	GitDepth         int // how many commits of HEAD's history are copied, without other branches; 0: all of it
	Links            Links
	Workers          int // 0: the number of CPUs
	// Standing is called when Create has made the empty mirror, before it fills it; what it returns is told of the project's
	// directories, each before it is listed. Nil: nobody is.
	Standing  func(*Mirror) Meeting
	Unsettled bool           // Create need not wait: the caller sees to Session.Settle, and to Mirror.Rest before anybody writes in the mirror
	Progress  func(Progress) // called from one goroutine at a time, at most every 100 ms; nil: never
}

// Progress is how far a build is.
type Progress struct {
	Files, Bytes int64
}

// Skipped is an entry that was left out for another reason than the rules.
type Skipped struct {
	Path safety.RelPath
	Why  string
}

// Built says what a build made.
type Built struct {
	Files, Dirs, Links int
	Bytes              int64
	Hidden, ReadOnly   int       // top-most hidden entries; read-only files
	Unguarded          int       // read-only files that kept write bits, because the file system has no modes
	Skipped            []Skipped // sorted by path
	CopiedBy           safety.Method
	Population         Population // Walk or Git: what was used
	Took               time.Duration
}

// Mirror is a mirror and its project, open and verified.
type Mirror struct {
	Project *safety.Root
	Root    *safety.Root // the mirror's
	Policy  *dotfiles.Policy
	Base    *Base
	Session *Session
	Built   Built // of Create; zero after Attach
	Options Options

	rested time.Time // see Rest
	judged judgement // see ReadOnly
}

// SaveBase writes the base to the session, durably.
func (m *Mirror) SaveBase() error { return m.Base.WriteFile(baseFile(m.Session)) }

// Remove removes the mirror's directory, not the session. It refuses a directory that does not carry the session's
// marker, or is another than the one that was opened.
func (m *Mirror) Remove(ctx context.Context) error {
	if err := m.Session.BeginRemoval(); err != nil {
		return err
	}
	if err := safety.RemoveMirror(ctx, m.Root, m.Session.ID); err != nil {
		return fmt.Errorf("remove the mirror: %w", err)
	}
	return nil
}

// Close releases both roots.
func (m *Mirror) Close() error { return errors.Join(m.Project.Close(), m.Root.Close()) }
