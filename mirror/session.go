package mirror

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// SessionFormat is the version of a session's files that this program writes; it reads no newer one.
const SessionFormat = 1

// Record is session.json: all that is needed to take a session up again.
type Record struct {
	Format     int             `json:"format"`
	ID         string          `json:"id"`
	Name       string          `json:"name,omitempty"`
	Project    string          `json:"project"` // real path
	Mirror     string          `json:"mirror"`
	Agent      string          `json:"agent,omitempty"`
	Command    []string        `json:"command,omitempty"`
	Created    time.Time       `json:"created"`
	Ended      time.Time       `json:"ended,omitzero"`
	Kept       bool            `json:"kept,omitempty"`
	Keep       bool            `json:"keep,omitempty"` // of a running session: it is to be kept at the end
	State      string          `json:"state"`          // "building", "ready", "removing", "ended"
	Rules      dotfiles.Rules  `json:"rules"`
	Population Population      `json:"population"`
	Git        GitMode         `json:"git"`
	Links      Links           `json:"links"`
	GitRefs    string          `json:"git_refs,omitempty"`  // digest of what named commits in the mirror's .git when it was copied
	Orphans    []BroughtOrphan `json:"orphans,omitempty"`   // of earlier sessions, that the mirror was built with
	Engine     string          `json:"engine,omitempty"`    // the container engine that CMD runs under: its address, or "podman" for a service that is started when needed
	MountOf    string          `json:"mount_of,omitempty"`  // of a further mount: the session whose launch it belongs to, by whose id its container is found
	Enforced   []string        `json:"enforced,omitempty"`  // what the launch enforced
	Stores     [2]string       `json:"stores,omitempty"`    // where displaced files are, by Side
	Waiting    bool            `json:"waiting,omitempty"`   // kept by --sync review: changes wait for the user's word
	Untold     bool            `json:"untold,omitempty"`    // who launched it tells the user what its end brought, and notes that then
	Sync       string          `json:"sync,omitempty"`      // of a launch: how changes cross
	Guarded    []dotfiles.Rule `json:"guarded,omitempty"`   // of a launch: the patterns of what waits for the user's word; nil: none are stored
	Boot       string          `json:"boot,omitempty"`      // the boot since which the mirror was written to and not synced to the disk
	LastAlive  time.Time       `json:"last_alive,omitzero"` // after a power cut: when the machine ran last, as far as the mirror shows
	Undoes     string          `json:"undoes,omitempty"`    // of an undo, which is a session without a mirror: the session that it undid
}

// The values of Record.State. A damaged session is only ever listed: its session.json could not be read.
const (
	SessionBuilding = "building"
	SessionReady    = "ready"
	SessionEnded    = "ended"
	SessionRemoving = "removing" // all is synced, and the mirror's removal has begun: what is missing there was not deleted by anybody
	SessionDamaged  = "damaged"
)

// Session is one session's folder.
type Session struct {
	Record
	// Damaged says why session.json could not be used; nil for a sound session. Of a damaged one only the id, the
	// folder and what could be read of the record are known.
	Damaged error

	lock      *safety.Lock
	dir       string
	unsettled unsettled

	updating sync.Mutex
}

var (
	// ErrNoSession means that nothing goes by the id, name or path that was asked for.
	ErrNoSession = errors.New("no such session")
	// ErrDamagedSession means that a session's folder is there and its session.json cannot be used. Its files are
	// left alone.
	ErrDamagedSession = errors.New("damaged session")
	// ErrNewerFormat means that a newer alca-mount wrote the session.
	ErrNewerFormat = errors.New("written by a newer alca-mount")
	// ErrBadName means that a name does not fit the grammar of session names.
	ErrBadName = errors.New("not a session name (letters, digits, '.', '_', '-', at most 64, a letter or digit first)")
	// ErrNameTaken means that a session of the project that runs or was kept has the name.
	ErrNameTaken = errors.New("name is in use")
)

// AmbiguousError is Find's answer when several sessions fit.
type AmbiguousError struct {
	Spec       string
	Candidates []*Session // oldest first
}

func (e *AmbiguousError) Error() string {
	list := make([]string, len(e.Candidates))
	for i, c := range e.Candidates {
		list[i] = c.ID
		if c.Name != "" {
			list[i] += " (" + c.Name + ")"
		}
	}
	return fmt.Sprintf("%q fits %d sessions: %s", e.Spec, len(list), strings.Join(list, ", "))
}

// Dir is the session's folder.
func (s *Session) Dir() string { return s.dir }

// Lock takes the session for this process; *safety.LockedError when another has it.
func (s *Session) Lock() error {
	if s.Damaged != nil {
		return s.Damaged
	}
	if s.lock != nil {
		return nil
	}
	lock, err := safety.TryLock(s.lockPath())
	if err != nil {
		return fmt.Errorf("session %s: %w", s.ID, err)
	}
	s.lock = lock
	return nil
}

// Unlock gives it up.
func (s *Session) Unlock() error {
	if s.lock == nil {
		return nil
	}
	lock := s.lock
	s.lock = nil
	return lock.Unlock()
}

// Locked reports whether this process holds the session.
func (s *Session) Locked() bool { return s.lock != nil }

// Holder is the process that has the session, if one is alive.
func (s *Session) Holder() (safety.Holder, error) { return safety.ReadHolder(s.lockPath()) }

func (s *Session) lockPath() string   { return filepath.Join(s.dir, lockName) }
func (s *Session) recordPath() string { return filepath.Join(s.dir, recordName) }

// Update changes the record and saves it. Updates may come from several goroutines, as while a mirror is built.
func (s *Session) Update(change func(*Record)) error {
	s.updating.Lock()
	defer s.updating.Unlock()
	change(&s.Record)
	return s.Save()
}

// note changes the record for the next Update to save.
func (s *Session) note(change func(*Record)) {
	s.updating.Lock()
	defer s.updating.Unlock()
	change(&s.Record)
}

// Save writes session.json: durably, but for an unsettled session's (see [Session.Settle]).
func (s *Session) Save() error {
	if s.Damaged != nil {
		return s.Damaged
	}
	data, err := encodeRecord(s.Record)
	if err != nil {
		return fmt.Errorf("save session %s: %w", s.ID, err)
	}
	if err := s.write(data); err != nil {
		return fmt.Errorf("save session %s: %w", s.ID, err)
	}
	return nil
}

const (
	recordName = "session.json"
	lockName   = "lock"
)

var nameGrammar = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// CheckName says whether name may be a session's name.
func CheckName(name string) error {
	if !nameGrammar.MatchString(name) {
		return fmt.Errorf("%q: %w", name, ErrBadName)
	}
	return nil
}

// taken reports whether the session still has a claim on its name: one that ended, and whose mirror is gone, has none.
func (s *Session) taken() bool {
	if s.Damaged == nil && s.State != SessionEnded {
		return true
	}
	_, err := os.Lstat(s.Mirror)
	return s.Kept && err == nil
}
