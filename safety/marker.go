package safety

import (
	"fmt"
	"io"
	"strings"
)

// MarkerName is the file at a mirror's top that says whose it is; a project entry of that name is not mirrored.
const MarkerName = ".alca-mount"

const markerText = "This directory is a mirror made by alca-mount, which removes it again.\nsession "

// WriteMarker marks root, durably, as the mirror of session. A marker of another session that is there is an error that wraps
// ErrChanged.
func WriteMarker(root *Root, session string) error { return mark(root, session, syncMarker) }

// WriteMarkerSoon is WriteMarker without waiting for the disk: see [SyncMarker].
func WriteMarkerSoon(root *Root, session string) error {
	return mark(root, session, func(*Root, int, int) error { return nil })
}

func mark(root *Root, session string, sync func(root *Root, dirfd, fd int) error) error {
	if session == "" || strings.ContainsAny(session, "\n\x00") {
		return fmt.Errorf("mark %q for session %q: %w", root.path, session, ErrBadPath)
	}
	err := root.at("mark", MarkerName, func(dirfd int, name string) error {
		fd, err := root.sys.create(OpMarkerWrite, dirfd, name, 0o600)
		if err != nil {
			return err
		}
		defer closeFD(fd)
		err = root.sys.writeAll(OpMarkerWrite, fd, []byte(markerText+session+"\n"), 0, name)
		if err == nil {
			err = root.sys.fchmod(OpMarkerWrite, fd, 0o444, name)
		}
		if err == nil {
			err = sync(root, dirfd, fd)
		}
		if err != nil { // half a marker is no marker
			root.sys.unlink(OpMarkerWrite, dirfd, name)
		}
		return err
	})
	if !isExist(err) {
		return err
	}
	if there, err := ReadMarker(root); err != nil || there != session {
		return fmt.Errorf("mark %q: it carries the marker of session %q: %w", root.path, there, ErrChanged)
	}
	return nil
}

// SyncMarker makes the marker durable that WriteMarkerSoon wrote.
func SyncMarker(root *Root) error {
	return root.at("mark", MarkerName, func(dirfd int, name string) error {
		f, _, err := openRegular(root.sys, dirfd, name, name)
		if err != nil {
			return err
		}
		defer f.Close()
		return syncMarker(root, dirfd, int(f.Fd()))
	})
}

// syncMarker syncs the marker and its name: after a power cut a mirror is known by it.
func syncMarker(root *Root, dirfd, fd int) error {
	if err := root.sys.fsync(OpMarkerWrite, fd, MarkerName); err != nil {
		return err
	}
	return root.sys.fsync(OpMarkerWrite, dirfd, root.path)
}

// ReadMarker returns the session whose mirror root is; without a marker the error wraps ErrNoMarker.
func ReadMarker(root *Root) (session string, err error) {
	if err := root.sys.may(OpMarkerRead, MarkerName); err != nil {
		return "", fmt.Errorf("read marker of %q: %w", root.path, err)
	}
	f, _, err := root.Open(MarkerName)
	if err != nil {
		return "", fmt.Errorf("%q: %w: %w", root.path, ErrNoMarker, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4<<10))
	if err != nil {
		return "", fmt.Errorf("read marker of %q: %w", root.path, err)
	}
	session, ours := strings.CutPrefix(string(text), markerText)
	session, whole := strings.CutSuffix(session, "\n")
	if !ours || !whole || session == "" || strings.Contains(session, "\n") {
		return "", fmt.Errorf("%q: %w: the file %s is not one", root.path, ErrNoMarker, MarkerName)
	}
	return session, nil
}
