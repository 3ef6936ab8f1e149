package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
)

// Remove removes the session's folder, the mirror in it included, and what is kept for the session elsewhere.
// A mirror outside of the folder is the caller's to remove ([Mirror.Remove]). The record goes last: a removal that was
// interrupted leaves a session that is listed and can be removed again.
func (s *Session) Remove() error {
	if s.Damaged != nil {
		return s.Damaged
	}
	if err := s.Lock(); err != nil {
		return err
	}
	err := s.empty()
	if uerr := s.Unlock(); err == nil {
		err = uerr
	}
	if err == nil {
		err = os.Remove(s.dir)
	}
	if err != nil {
		return fmt.Errorf("remove session %s: %w", s.ID, err)
	}
	sessions := filepath.Dir(s.dir)
	_ = os.Remove(sessions) // only when it was the last; so too the project's folder
	_ = os.Remove(filepath.Dir(sessions))
	return nil
}

// RemoveOwnMirror removes the mirror in the session's folder also where it lost its marker: on the user's word.
func (s *Session) RemoveOwnMirror() error {
	root, err := s.openFolder()
	if err != nil {
		return err
	}
	defer root.Close()
	return removeTree(root, "mirror")
}

// BeginRemoval notes durably that the mirror is going. A removal that is cut short must not look like an agent that
// deleted half of the project.
func (s *Session) BeginRemoval() error {
	if s.State == SessionBuilding || s.State == SessionRemoving {
		return nil
	}
	s.State = SessionRemoving
	return s.Save()
}

// empty removes all but the lock.
func (s *Session) empty() error {
	root, err := s.openFolder()
	if err != nil {
		return err
	}
	defer root.Close()
	if _, err := root.Lstat("mirror"); err == nil {
		if err := s.BeginRemoval(); err != nil {
			return err
		}
	}
	if err := s.removeOwnMirror(); err != nil {
		return err
	}
	if err := s.removeStores(); err != nil {
		return err
	}
	entries, err := fs.ReadDir(root.FS(), ".")
	for _, e := range entries {
		if err == nil && e.Name() != lockName && e.Name() != recordName {
			err = removeTree(root, e.Name())
		}
	}
	if err == nil {
		err = root.Remove(recordName)
	}
	return err
}

// openFolder opens the session's folder, without following a link: what is removed below the handle is in it, whatever
// names the record or the folder have.
func (s *Session) openFolder() (*os.Root, error) {
	info, err := os.Lstat(s.dir)
	if err != nil {
		return nil, err
	}
	if err := checkPlace(s.Record, s.dir); err != nil || !info.IsDir() {
		return nil, errors.Join(fmt.Errorf("%s is not a session's folder", s.dir), err)
	}
	return os.OpenRoot(s.dir)
}

// removeOwnMirror removes the mirror in the session's folder. A directory there that is not empty and does not carry
// the session's marker is somebody else's, or a build that was never finished: only the latter goes.
func (s *Session) removeOwnMirror() error {
	dir := filepath.Join(s.dir, "mirror")
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || !info.IsDir() {
		return errors.Join(fmt.Errorf("%s is no directory", dir), err)
	}
	if os.Remove(dir) == nil {
		return nil
	}
	root, err := safety.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	err = safety.RemoveMirror(context.Background(), root, s.ID)
	if errors.Is(err, safety.ErrNoMarker) && s.State == SessionBuilding {
		return nil // removeTree takes it: it is in our folder, and nobody was given it
	}
	return err
}

// removeStores removes the stores that lie outside of the session's folder, at the top of a mount: such a folder is
// named after the session and lies in one that is reserved for this program.
func (s *Session) removeStores() error {
	for _, store := range s.Stores {
		if store == "" || strings.HasPrefix(store, s.dir+string(filepath.Separator)) || !s.ownsStore(store) {
			continue
		}
		top, err := os.OpenRoot(filepath.Dir(store))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = removeTree(top, filepath.Base(store))
		top.Close()
		if err != nil {
			return err
		}
		_ = os.Remove(filepath.Dir(store)) // only when it was the last
	}
	return nil
}

func (s *Session) ownsStore(store string) bool {
	return filepath.IsAbs(store) && strings.HasPrefix(filepath.Base(store), s.ID) &&
		strings.HasPrefix(filepath.Base(filepath.Dir(store)), ".alca-mount-")
}

// removeTree removes name and all below it, directories that were made unwritable too; links are not followed.
func removeTree(root *os.Root, name string) error {
	err := root.RemoveAll(name)
	if err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if err := openUp(root, name); err != nil {
		return err
	}
	return root.RemoveAll(name)
}

func openUp(root *os.Root, name string) error {
	info, err := root.Lstat(name)
	if err != nil || !info.IsDir() {
		return err
	}
	// RACE: the name may become a link before the chmod; os.Root then keeps it inside the session's folder.
	if err := root.Chmod(name, info.Mode().Perm()|0o700); err != nil {
		return err
	}
	dir, err := root.Open(name)
	if err != nil {
		return err
	}
	names, err := dir.Readdirnames(-1)
	dir.Close()
	slices.Sort(names)
	for _, sub := range names {
		if err == nil {
			err = openUp(root, filepath.Join(name, sub))
		}
	}
	return err
}
