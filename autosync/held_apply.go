package autosync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// ApplyHeld brings home what is held, at the paths (nil: everywhere), in a session whose mirror is gone. What it does is a
// session of its own, as an undo is, and can be undone: its id is returned, "" where nothing was done. A deletion of what
// the user changed since stays held; a version that comes over the user's newer one wins, and the user's is kept. What is
// not kept as it was set aside fails, and the project's version stays.
// The caller has the session's lock.
func ApplyHeld(ctx context.Context, state *mirror.StateDir, s *mirror.Session, paths []safety.RelPath) (session string, changes Changes, err error) {
	return applyHeld(ctx, state, s, paths, nil)
}

func applyHeld(ctx context.Context, state *mirror.StateDir, s *mirror.Session, paths []safety.RelPath, before safety.Before) (session string, changes Changes, err error) {
	if err := settleUndos(state, s.Project); err != nil {
		return "", Changes{}, err
	}
	held, err := ReadHeld(s.Dir())
	if err != nil {
		return "", Changes{}, err
	}
	u, err := openUndoing(state, s, before)
	if err != nil {
		return "", Changes{}, err
	}
	defer u.close()
	plan, err := u.planHeld(ctx, held, paths)
	if err != nil {
		return "", Changes{}, err
	}
	u.places.undos = nil // what comes home is what this session kept, and no version of another's
	if len(u.steps) > 0 {
		if err := u.begin(state, s); err != nil {
			return "", Changes{}, err
		}
		err = errors.Join(u.run(ctx), u.end())
	}
	out := u.result()
	return out.Session, plan.changes(out), errors.Join(err, dropHeld(s, held, slices.Concat(out.Restored, out.Removed)))
}

// changes are what was done, in the words of a pass. Directories come and go with what is in them.
func (h *heldPlan) changes(out Undone) Changes {
	c := Changes{ToProject: slices.DeleteFunc(slices.Clone(out.Restored), h.isDir), Held: out.Left, Conflicts: out.Kept, Failed: out.Failed}
	for i, n := range c.Held {
		c.Held[i].Hold = cmp.Or(h.hold[n.Path], h.held[n.Path].Hold)
	}
	for _, p := range out.Removed {
		if !h.isDir(p) {
			c.Deleted = append(c.Deleted, PathNote{Path: p})
		}
	}
	return c
}

// dropHeld takes what is settled off the list.
func dropHeld(s *mirror.Session, held []HeldChange, settled []safety.RelPath) error {
	if len(settled) == 0 {
		return nil
	}
	gone := map[safety.RelPath]bool{}
	for _, p := range settled {
		gone[p] = true
	}
	return WriteHeld(s.Dir(), slices.DeleteFunc(held, func(h HeldChange) bool { return gone[h.Path] }))
}

// baseOf is what both sides agreed on last.
func baseOf(s *mirror.Session) (*mirror.Base, error) {
	base, err := mirror.ReadBase(filepath.Join(s.Dir(), "base"))
	if err != nil {
		return nil, err
	}
	records, err := readRecords(s)
	h := newHistory()
	for _, r := range records {
		h.replay(base, r)
	}
	return base, err
}

// DiscardHeld turns down what is held, at the paths (nil: everywhere), in a session whose mirror is gone. The versions are
// kept in another folder of the session. The caller has the session's lock.
func DiscardHeld(ctx context.Context, s *mirror.Session, paths []safety.RelPath) ([]PathNote, error) {
	held, err := ReadHeld(s.Dir())
	if err != nil {
		return nil, err
	}
	root, err := safety.OpenRoot(s.Dir())
	if err != nil {
		return nil, err
	}
	defer root.Close()
	selected := limitsFor(Options{Paths: paths}, 0).selected
	var done []PathNote
	var settled []safety.RelPath
	for _, h := range held {
		if selected != nil && !selected(h.Path) {
			continue
		}
		kept, err := moveHeld(ctx, root, s.Dir(), h)
		if err != nil {
			return done, errors.Join(err, dropHeld(s, held, settled))
		}
		done, settled = append(done, PathNote{Path: h.Path, Kept: kept}), append(settled, h.Path)
	}
	return done, dropHeld(s, held, settled)
}

func moveHeld(ctx context.Context, root *safety.Root, dir string, h HeldChange) (string, error) {
	from := relativeTo(dir, h.Kept)
	if h.Kept == "" {
		return "", nil
	}
	if info, err := root.Lstat(from); err != nil || info.Kind == safety.Absent {
		return "", err // it went with a directory above it
	}
	top := safety.RelPath(discardedFolder)
	for n := 2; ; n++ {
		to := top + "/" + h.Path
		err := root.MkdirAll(to.Dir(), 0o700)
		if err == nil {
			err = root.MoveOut(ctx, from, root, to)
		}
		if err == nil {
			return filepath.Join(dir, filepath.FromSlash(string(to))), nil
		}
		if n > 100 {
			return "", err
		}
		top = safety.RelPath(fmt.Sprintf("%s~%d", discardedFolder, n))
	}
}
