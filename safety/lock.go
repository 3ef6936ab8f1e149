package safety

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Lock is an exclusive lock on a session's folder: flock on a file that names the holder. It belongs to the process:
// programs that it starts do not inherit it.
type Lock struct {
	path string
	file *os.File
}

// Holder is a process, told from a later one with the same pid by its start time.
type Holder struct {
	PID     int
	Started time.Time
}

// LockedError says who holds a lock.
type LockedError struct {
	Path   string
	Holder Holder
}

func (e *LockedError) Error() string {
	if e.Holder.PID == 0 {
		return fmt.Sprintf("%s is in use by a process that cannot be seen from here", e.Path)
	}
	return fmt.Sprintf("%s is in use by process %d (since %s)", e.Path, e.Holder.PID, e.Holder.Started.Format(time.TimeOnly))
}

// TryLock takes the lock file at path, making it 0600. When another live process holds it: *LockedError.
func TryLock(path string) (*Lock, error) {
	for range 50 {
		f, err := new(sys).openLock(path)
		if err != nil {
			return nil, fmt.Errorf("lock %q: %w", path, err)
		}
		err = lockFile(f)
		if errors.Is(err, errHeld) {
			holder, known := heldBy(f)
			f.Close()
			if known {
				return nil, &LockedError{path, holder}
			}
			// RACE: the holder has not written its name yet, or ReadHolder is just looking.
			time.Sleep(2 * time.Millisecond)
			continue
		}
		if err == nil && !stillNamed(f, path) {
			f.Close() // RACE: the last holder removed the file between our open and our lock
			continue
		}
		if err == nil {
			if err = signLock(f); IsNoRoom(err) {
				err = nil // it holds without a name: to remove what fills the disk takes a lock, too
			}
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %q: %w", path, err)
		}
		return &Lock{path, f}, nil
	}
	return nil, &LockedError{Path: path}
}

var errHeld = errors.New("held")

// stillNamed reports whether the open file is what path names.
func stillNamed(f *os.File, path string) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(path)
	return err == nil && os.SameFile(open, named)
}

// signLock writes who we are into the file.
func signLock(f *os.File) error {
	me, err := identify(os.Getpid())
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(me+"\n"), 0)
	return err
}

// heldBy reads the signature; known is false where it names no live process.
func heldBy(f *os.File) (h Holder, known bool) {
	text := make([]byte, 256)
	n, err := f.ReadAt(text, 0)
	if err != nil && err != io.EOF {
		return Holder{}, false
	}
	return alive(string(text[:n]))
}

// Unlock gives the lock up and removes the file.
func (l *Lock) Unlock() error {
	if l == nil || l.file == nil {
		return nil
	}
	var err error
	if stillNamed(l.file, l.path) { // while we hold it, so that nobody's later lock is removed
		err = os.Remove(l.path)
	}
	err = errors.Join(err, l.file.Close())
	l.file = nil
	return err
}

// ReadHolder tells who holds the lock at path. The zero Holder: nobody alive (a reused pid is nobody). A holder whose
// process cannot be seen from here (another pid namespace) has PID -1.
func ReadHolder(path string) (Holder, error) {
	f, err := new(sys).openLockRead(path)
	if errors.Is(err, os.ErrNotExist) {
		return Holder{}, nil
	}
	if err != nil {
		return Holder{}, fmt.Errorf("read lock %q: %w", path, err)
	}
	defer f.Close()
	if h, known := heldBy(f); known {
		return h, nil
	}
	if held, err := isLocked(f); err != nil || held {
		return Holder{PID: -1}, err
	}
	return Holder{}, nil
}
