package autosync

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// bringStoreHome moves what is kept in a store that had to lie inside the project to the session's folder.
func (e *engine) bringStoreHome(ctx context.Context) error {
	store, home := e.stores[mirror.ProjectSide].Path(), e.folderPath("store")
	if err := bringHome(ctx, e.m.Project, store, e.keepRoot, home); err != nil {
		return err
	}
	if _, inside := within(e.m.Project, store); inside {
		e.changes.renameKept(store, e.keptPath(home))
	}
	return nil
}

// within returns the path of a store inside the project, if it lies there.
func within(project *safety.Root, store string) (safety.RelPath, bool) {
	rel, inside := strings.CutPrefix(store, project.Path()+string(filepath.Separator))
	return safety.RelPath(filepath.ToSlash(rel)), inside
}

// bringHome moves what is in a store that had to lie inside the project, since no other place of its mount would do, to
// the folder home of keepRoot: the project is the user's. It does nothing for a store elsewhere.
func bringHome(ctx context.Context, project *safety.Root, store string, keepRoot *safety.Root, home safety.RelPath) error {
	rel, inside := within(project, store)
	if !inside {
		return nil
	}
	from, err := safety.OpenRoot(store)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was brought home before, or the user removed it
	}
	if err != nil {
		return err
	}
	defer from.Close()
	if before := project.Before(); before != nil {
		if err := before(safety.OpDrop, store); err != nil {
			return err
		}
	}
	if err := os.Remove(filepath.Join(store, ".gitignore")); err != nil && !isAbsent(err) {
		return err
	}
	if err := keepRoot.MkdirAll(home, 0o700); err != nil {
		return err
	}
	if err := moveAll(ctx, from, keepRoot, home); err != nil {
		return err
	}
	return removeEmptied(project, rel)
}

func moveAll(ctx context.Context, from, to *safety.Root, dir safety.RelPath) error {
	d, err := from.OpenDir(safety.Top)
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := d.ReadDir()
	for _, n := range names {
		if err == nil {
			err = from.MoveOut(ctx, safety.Top.Join(n.Name), to, dir.Join(n.Name))
		}
	}
	return err
}

// removeEmptied removes a store's folder and the one above, when it was the last.
func removeEmptied(project *safety.Root, store safety.RelPath) error {
	if err := project.Rmdir(store); err != nil {
		return err
	}
	if err := project.Rmdir(store.Dir()); err != nil && !isNotEmpty(err) {
		return err
	}
	return nil
}

// renameKept tells of kept versions where they are now.
func (c *Changes) renameKept(from, to string) {
	for _, list := range [][]PathNote{c.Deleted, c.Conflicts, c.Refused, c.Held, c.Orphans, c.Failed} {
		for i := range list {
			if rest, ok := strings.CutPrefix(list[i].Kept, from+string(filepath.Separator)); ok {
				list[i].Kept = filepath.Join(to, rest)
			}
		}
	}
}

// closeStores brings home what must not stay in the project and closes both stores.
func (e *engine) closeStores() error {
	err := e.bringStoreHome(context.Background()) // bounded by what one session displaced
	for _, s := range e.stores {
		err = errors.Join(err, s.Close())
	}
	return err
}
