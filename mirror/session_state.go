package mirror

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alca-mount/alca-mount/safety"
)

// StateDir is the program's state directory: $XDG_STATE_HOME/alca-mount, 0700. It holds a folder for each project,
// with a folder for each session in it.
type StateDir struct{ path string }

// DefaultStateDir returns $XDG_STATE_HOME/alca-mount or ~/.local/state/alca-mount. It makes nothing.
//
// As root, a $HOME that belongs to somebody else (sudo keeps it on some systems) is not used but root's own: else
// sessions of root's would lie, writable, in a user's home, and leave folders there that the user cannot remove.
func DefaultStateDir() (*StateDir, error) {
	if xdg := os.Getenv("XDG_STATE_HOME"); xdg != "" {
		if !filepath.IsAbs(xdg) {
			return nil, fmt.Errorf("XDG_STATE_HOME is %q: it must be an absolute path", xdg)
		}
		return NewStateDir(filepath.Join(xdg, "alca-mount")), nil
	}
	home, err := ownHome()
	if err != nil {
		return nil, fmt.Errorf("state directory: %w; set XDG_STATE_HOME", err)
	}
	return NewStateDir(filepath.Join(home, ".local", "state", "alca-mount")), nil
}

// NewStateDir uses dir.
func NewStateDir(dir string) *StateDir { return &StateDir{path: dir} }

// Path is the directory. It may not be there yet.
func (s *StateDir) Path() string { return s.path }

// Real is the directory without symbolic links. Of what is not there yet, the parents that are there count.
func (s *StateDir) Real() (string, error) {
	real, err := safety.RealPath(s.path)
	if err != nil {
		return "", fmt.Errorf("state directory %s: %w; XDG_STATE_HOME can name another place", s.path, bare(err))
	}
	return real, nil
}

// ProjectDir is the folder that holds all that is kept for a project (real path). It may not be there yet.
func (s *StateDir) ProjectDir(project string) string {
	return filepath.Join(s.path, projectFolder(project))
}

// projectFolder names a project's folder: its name, to be found by eye, and a hash of its path, to be told from others.
func projectFolder(project string) string {
	name := strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '-' || r == '_' || r == '.' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') {
			return r
		}
		return '_'
	}, filepath.Base(project))
	name = strings.TrimLeft(name, ".-")
	sum := sha256.Sum256([]byte(project))
	return name[:min(len(name), 40)] + "-" + hex.EncodeToString(sum[:6])
}

// Begin is New for a session whose mirror [Create] builds at once with Options.Unsettled: the disk learns of it meanwhile.
func (s *StateDir) Begin(project string, r Record) (*Session, error) { return s.add(project, r, true) }

// New makes a session's folder for a project (real path) and locks it.
// A name that a running or kept session of the project has is an error that wraps ErrNameTaken.
func (s *StateDir) New(project string, r Record) (*Session, error) { return s.add(project, r, false) }

func (s *StateDir) add(project string, r Record, soon bool) (*Session, error) {
	if !filepath.IsAbs(project) || filepath.Clean(project) != project {
		return nil, fmt.Errorf("new session: the project %q is not a clean absolute path", project)
	}
	s, err := s.make()
	if err != nil {
		return nil, err
	}
	sessions, err := s.makeSessions(project)
	if err != nil {
		return nil, err
	}
	if r.Name == "" {
		return newSession(sessions, project, r, soon)
	}
	// RACE: two sessions that take the same name at once; the project's lock lets one look and settle at a time.
	lock, err := waitLock(filepath.Join(filepath.Dir(sessions), lockName), 5*time.Second)
	if err != nil {
		return nil, fmt.Errorf("new session: %w", err)
	}
	defer lock.Unlock()
	if err := s.nameFree(project, r.Name); err != nil {
		return nil, err
	}
	return newSession(sessions, project, r, soon)
}

// make makes the state directory, sees to it that nobody else can look into it, and returns it by its real path.
func (s *StateDir) make() (*StateDir, error) {
	real := s.path
	err := os.MkdirAll(s.path, 0o700)
	if err == nil {
		real, err = filepath.EvalSymlinks(s.path)
	}
	if err == nil {
		err = makePrivate(real)
	}
	if err != nil {
		return nil, fmt.Errorf("state directory %s: %w; XDG_STATE_HOME can name another place", s.path, bare(err))
	}
	return &StateDir{path: real}, nil
}

// bare strips the path from an error that is going to be told with one.
func bare(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func (s *StateDir) makeSessions(project string) (string, error) {
	dir := filepath.Join(s.ProjectDir(project), "sessions")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("new session: %w", err)
	}
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := makePrivate(d); err != nil {
			return "", fmt.Errorf("new session: %s: %w", d, bare(err))
		}
	}
	spread(dir)
	return dir, nil
}

func waitLock(path string, patience time.Duration) (*safety.Lock, error) {
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		lock, err := safety.TryLock(path)
		var held *safety.LockedError
		if err == nil || !errors.As(err, &held) || time.Now().After(end) {
			return lock, err
		}
	}
}

func (s *StateDir) nameFree(project, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	all, err := s.List(project)
	if err != nil {
		return err
	}
	for _, other := range all {
		if other.Name == name && other.taken() {
			return fmt.Errorf("%q: %w by session %s of this project", name, ErrNameTaken, other.ID)
		}
	}
	return nil
}

// newSession makes the folder, locks it, and only then writes session.json: who sees a record also sees the lock.
func newSession(sessions, project string, r Record, soon bool) (*Session, error) {
	r.Format, r.Project, r.Created = SessionFormat, project, time.Now().UTC()
	r.State = cmp.Or(r.State, SessionBuilding)
	if now, err := safety.ThisBoot(); err == nil && r.Undoes == "" {
		r.Boot = now.ID
	}
	s := &Session{Record: r}
	if err := s.makeFolder(sessions); err != nil {
		return nil, fmt.Errorf("new session: %w", err)
	}
	if soon && r.Boot != "" { // else a power cut could not be told later
		s.begin()
	}
	err := s.Lock()
	if err == nil {
		err = s.Save()
	}
	if err != nil {
		_ = s.Unlock()
		_ = os.Remove(s.recordPath())
		_ = os.Remove(s.dir) // only when nothing else is in it
		return nil, err
	}
	s.reserve()
	return s, nil
}

func (s *Session) makeFolder(sessions string) error {
	for try := 0; ; try++ {
		s.ID = newID(time.Now())
		s.dir = filepath.Join(sessions, s.ID)
		err := os.Mkdir(s.dir, 0o700)
		if err == nil || try == 10 || !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
}

// idDigits sort as they count, and leave out letters that are taken for digits.
const idDigits = "0123456789abcdefghjkmnpqrstvwxyz"

// newID returns eight digits of time in hundredths of a second, so that ids sort by age, and four of chance.
func newID(now time.Time) string {
	var chance [4]byte
	rand.Read(chance[:])
	id := make([]byte, 12)
	t := uint64(now.UnixMilli()) / 10
	for i := 7; i >= 0; i-- {
		id[i] = idDigits[t%32]
		t /= 32
	}
	for i, c := range chance {
		id[8+i] = idDigits[c%32]
	}
	return string(id)
}

// List returns the sessions of a project, or of all projects for "", oldest first. They are not locked.
// A session whose record cannot be used is listed with Damaged set.
func (s *StateDir) List(project string) ([]*Session, error) {
	folders, err := s.projectFolders(project)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	var all []*Session
	for _, folder := range folders {
		found, err := listFolder(filepath.Join(folder, "sessions"))
		if err != nil {
			return nil, fmt.Errorf("list sessions: %w", err)
		}
		all = append(all, found...)
	}
	slices.SortFunc(all, func(a, b *Session) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.dir, b.dir))
	})
	return all, nil
}

// projectFolders returns the folder of a project, or of all for "". What is not a real directory is passed over.
func (s *StateDir) projectFolders(project string) ([]string, error) {
	real, err := filepath.EvalSymlinks(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = checkOwned(real)
	}
	if err != nil {
		return nil, err
	}
	if project != "" {
		return []string{filepath.Join(real, projectFolder(project))}, nil
	}
	entries, err := os.ReadDir(real)
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, filepath.Join(real, e.Name()))
		}
	}
	return out, err
}

func listFolder(sessions string) ([]*Session, error) {
	entries, err := os.ReadDir(sessions)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []*Session
	for _, e := range entries {
		if s := openFolder(filepath.Join(sessions, e.Name())); e.IsDir() && s != nil {
			out = append(out, s)
		}
	}
	return out, err
}

// openFolder reads a session's folder; nil for one in which nothing is yet: it is being made, or its maker died.
func openFolder(dir string) *Session {
	r, err := readRecord(dir)
	if err == nil {
		return &Session{Record: r, dir: dir}
	}
	if errors.Is(err, fs.ErrNotExist) && holdsNothing(dir) {
		return nil
	}
	r.ID, r.State = filepath.Base(dir), SessionDamaged
	return &Session{Record: r, dir: dir, Damaged: fmt.Errorf("session %s: %w: %w; its files are left alone in %s", r.ID, ErrDamagedSession, err, dir)}
}

func holdsNothing(dir string) bool {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		// A record is written to a temporary name first, and an unsettled one has "session.json" with something behind.
		if e.Name() != lockName && !strings.HasPrefix(e.Name(), safety.TempPrefix) && !strings.Contains(e.Name(), recordName) {
			return false
		}
	}
	return err == nil || errors.Is(err, fs.ErrNotExist)
}
