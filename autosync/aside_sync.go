package autosync

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/alca-mount/alca-mount/safety"
)

// A mirror is not synced to the disk while a session runs. What is moved out of one is all that there is of it, once the
// mirror went: it is synced before any record says that it is kept.

// syncEach is up to how many files are synced one by one. To wait for the whole file system costs what all others wrote.
const syncEach = 64

var errMany = errors.New("many")

// syncAside waits until all that was moved out of the mirror is on the disk, with the names by which it is found. Where
// nothing was moved it does nothing.
func (e *engine) syncAside() error {
	moved := e.aside
	e.aside = nil // a sync that failed proves nothing when it is tried again
	if len(moved) == 0 {
		return nil
	}
	err := errMany
	if !isMany(e.keepRoot, moved) {
		err = syncEntries(e.keepRoot, moved)
	}
	if errors.Is(err, errMany) || errors.Is(err, fs.ErrPermission) { // of files that the agent made unreadable
		err = e.keepRoot.SyncAll()
		if errors.Is(err, errors.ErrUnsupported) {
			err = syncEntries(e.keepRoot, moved)
		}
	}
	if err != nil {
		return fmt.Errorf("write to the disk what was set aside: %w", err)
	}
	return nil
}

// isMany reports whether there are more files than are synced one by one; what can't be counted is many.
func isMany(root *safety.Root, entries []safety.RelPath) bool {
	left := syncEach - len(entries)
	for _, p := range entries {
		info, err := root.Lstat(p)
		if err == nil && info.Kind == safety.Directory {
			err = root.Walk(p, func(safety.RelPath, safety.Info) error {
				if left--; left < 0 {
					return errMany
				}
				return nil
			})
		}
		if err != nil {
			return true
		}
	}
	return left < 0
}

// syncEntries syncs entries, and the directories above them, which may be new.
func syncEntries(root *safety.Root, entries []safety.RelPath) error {
	dirs := map[safety.RelPath]bool{safety.Top: true}
	for _, p := range entries {
		if err := root.SyncTree(p); err != nil {
			return err
		}
		for _, dir := range p.Parents() {
			dirs[dir] = true
		}
	}
	for _, dir := range slices.Backward(slices.Sorted(maps.Keys(dirs))) {
		if err := root.Sync(dir); err != nil {
			return err
		}
	}
	return nil
}
