package mirror

import (
	"errors"
	"time"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// SessionFormat is the version of a session's files that this program writes; it reads no newer one.
const SessionFormat = 1

// Record is session.json: all that is needed to take a session up again.
type Record struct {
	Format     int            `json:"format"`
	ID         string         `json:"id"`
	Name       string         `json:"name,omitempty"`
	Project    string         `json:"project"` // real path
	Mirror     string         `json:"mirror"`
	Agent      string         `json:"agent,omitempty"`
	Command    []string       `json:"command,omitempty"`
	Created    time.Time      `json:"created"`
	Ended      time.Time      `json:"ended,omitzero"`
	Kept       bool           `json:"kept,omitempty"`
	State      string         `json:"state"` // "building", "ready", "ended"
	Rules      dotfiles.Rules `json:"rules"`
	Population Population     `json:"population"`
	Git        GitMode        `json:"git"`
	Links      Links          `json:"links"`
	Stores     [2]string      `json:"stores,omitempty"` // where displaced files are, by Side
}

// State is the program's state directory: $XDG_STATE_HOME/alca-mount, 0700.
type StateDir struct{ path string }

// DefaultStateDir returns $XDG_STATE_HOME/alca-mount or ~/.local/state/alca-mount.
func DefaultStateDir() (*StateDir, error) { return nil, errors.ErrUnsupported }

// NewStateDir uses dir.
func NewStateDir(dir string) *StateDir { return &StateDir{path: dir} }

// Session is one session's folder.
type Session struct {
	Record
	lock *safety.Lock
	dir  string
}

// ErrNoSession and AmbiguousError are what Find fails with.
var ErrNoSession = errors.New("no such session")

// New makes a session's folder for a project (real path) and locks it.
func (s *StateDir) New(project string, r Record) (*Session, error) {
	return nil, errors.ErrUnsupported
}

// List returns the sessions of a project, or of all projects for "", oldest first. They are not locked.
func (s *StateDir) List(project string) ([]*Session, error) { return nil, errors.ErrUnsupported }

// Find returns the session that spec names: an id, a unique prefix of one, a name (the project's own first), or a mirror's path.
func (s *StateDir) Find(spec, project string) (*Session, error) { return nil, errors.ErrUnsupported }

// Dir is the session's folder.
func (s *Session) Dir() string { return s.dir }

// Lock takes the session for this process; *safety.LockedError when another has it.
func (s *Session) Lock() error { return errors.ErrUnsupported }

// Unlock gives it up.
func (s *Session) Unlock() error { return nil }

// Holder is the process that has the session, if one is alive.
func (s *Session) Holder() (safety.Holder, error) { return safety.Holder{}, errors.ErrUnsupported }

// Save writes session.json durably.
func (s *Session) Save() error { return errors.ErrUnsupported }

// Remove removes the session's folder, the mirror in it included.
func (s *Session) Remove() error { return errors.ErrUnsupported }
