package safety

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// CheckRoots refuses pairs of directories that may not be project and mirror: equal, one inside the other (by their
// real paths, symbolic links of existing parents resolved), the file system's root, or the home directory itself.
// mirrorDir need not exist yet.
func CheckRoots(projectDir, mirrorDir string) error { return errors.ErrUnsupported }

// MarkerName is the file at a mirror's top that says whose it is; a project entry of that name is not mirrored.
const MarkerName = ".alca-mount"

// WriteMarker marks root as the mirror of session.
func WriteMarker(root *Root, session string) error { return errors.ErrUnsupported }

// ReadMarker returns the session whose mirror root is; without a marker the error wraps ErrNoMarker.
func ReadMarker(root *Root) (session string, err error) { return "", errors.ErrUnsupported }

// RemoveMirror removes the directory and all in it, when it carries session's marker and is still the directory that
// root opened. Directories without write permission are made writable first; links are not followed; mounts are not
// entered. The marker goes last, so that an interrupted removal can be run again.
func RemoveMirror(ctx context.Context, root *Root, session string) error {
	return errors.ErrUnsupported
}

// Lock is an exclusive lock on a session's folder: flock on a file that names the holder.
type Lock struct{}

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
	return fmt.Sprintf("%s is in use by process %d (since %s)", e.Path, e.Holder.PID, e.Holder.Started.Format(time.TimeOnly))
}

// TryLock takes the lock file at path, making it 0600. When another live process holds it: *LockedError.
func TryLock(path string) (*Lock, error) { return nil, errors.ErrUnsupported }

// Unlock gives the lock up and removes the file.
func (l *Lock) Unlock() error { return nil }

// ReadHolder tells who holds the lock at path. The zero Holder: nobody alive (a reused pid is nobody).
func ReadHolder(path string) (Holder, error) { return Holder{}, errors.ErrUnsupported }

// WriteFileDurably replaces path with data: temporary file, fsync, rename, fsync of the directory.
// A crash leaves the old or the new content.
func WriteFileDurably(path string, data []byte, mode uint32) error { return errors.ErrUnsupported }
