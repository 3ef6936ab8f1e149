package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

func (a *app) rmCommand() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "rm SESSION [--force]",
		Short: "Remove a mirror and its session",
		Long: `Remove the mirror of SESSION and the session, with the versions kept in it.
It refuses while the mirror holds edits or new files that were not brought home. Deletions that were not carried are
listed and do not keep it.`,
		Args:              args(1, 1, "one session"),
		ValidArgsFunction: completeSession,
		RunE: func(c *cobra.Command, args []string) error {
			ctx, stop := interruptible(c.Context())
			defer stop()
			return stopped(ctx, a.rm(ctx, args[0], force))
		},
	}
	c.Flags().BoolVar(&force, "force", false, "also when the mirror holds work that was not brought home: it is lost")
	return c
}

func (a *app) rm(ctx context.Context, spec string, force bool) error {
	s, err := a.takeSession(ctx, spec)
	if err != nil {
		return err
	}
	defer s.Unlock()
	_, err = os.Lstat(s.Mirror)
	there := !errors.Is(err, fs.ErrNotExist) && s.Mirror != ""
	// A mirror that was never complete was given to nobody: there is no work in it.
	if there && !force && s.State != mirror.SessionBuilding && s.State != mirror.SessionRemoving {
		if err := a.refuseUnsynced(ctx, s); err != nil {
			return err
		}
	}
	if there {
		s.State = mirror.SessionRemoving // a mirror that is removed in part must not be synced
		if err := s.Save(); err != nil {
			return err
		}
		err := removeMirror(ctx, s)
		if err != nil && !(force && ownMirror(s) && errors.Is(err, safety.ErrNoMarker)) {
			return fmt.Errorf("rm %s: %w", s.ID, err)
		}
	}
	remove := s.Remove
	if force {
		remove = s.RemoveAnyway
	}
	if err := remove(); err != nil {
		return err
	}
	a.out().say("removed session %s", s.ID)
	return nil
}

// refuseUnsynced fails while removing the mirror would lose work.
func (a *app) refuseUnsynced(ctx context.Context, s *mirror.Session) error {
	m, err := attach(ctx, s, nil)
	if err != nil {
		return fmt.Errorf("%w; what it holds can't be compared with the project: --force removes it all the same", err)
	}
	defer m.Close()
	c, err := a.once(ctx, m, autosync.Options{OnlyToProject: true, DryRun: true})
	if err != nil {
		return fmt.Errorf("rm %s: %w; --force removes it all the same", s.ID, err)
	}
	tellPaths(a.out(), "deletions that were not carried to the project", c.PendingDelete)
	lost := unsynced(c)
	branches, err := m.CommitsLeft()
	if err != nil {
		return fmt.Errorf("rm %s: commits made in the mirror: %w; --force removes them all the same", s.ID, err)
	}
	for _, b := range branches {
		lost = append(lost, "commits in the mirror's .git: "+show(b))
	}
	if c.Halted != "" {
		return fmt.Errorf("rm %s: %s; --force removes it all the same", s.ID, oneLine(c.Halted))
	}
	if len(lost) == 0 {
		return nil
	}
	o := a.out()
	o.warn("not brought home: %d", len(lost))
	for i, item := range lost {
		if i == maxListed && !o.verbose {
			o.item(fmt.Sprintf("… and %d more: alca-mount sync %s --dry-run -v", len(lost)-i, s.ID))
			break
		}
		o.item(item)
	}
	return fmt.Errorf("session %s has unsynced work: alca-mount sync %[1]s brings home what may cross, alca-mount rm %[1]s --force drops the rest", s.ID)
}

// unsynced lists what only the mirror has: edits and new files on their way, what failed or waits, and what may not
// cross and so can only go with the user's word.
func unsynced(c autosync.Changes) []string {
	out := pathItems(c.ToProject)
	for _, notes := range [][]autosync.PathNote{c.Conflicts, c.Held, c.Failed, c.Refused, c.Orphans} {
		out = append(out, noteItems(notes)...)
	}
	return out
}

// ownMirror reports whether the mirror lies in the session's folder, where it goes with it.
func ownMirror(s *mirror.Session) bool { return s.Mirror == filepath.Join(s.Dir(), "mirror") }

func removeMirror(ctx context.Context, s *mirror.Session) error {
	if err := s.BeginRemoval(); err != nil {
		return err
	}
	root, err := safety.OpenRoot(s.Mirror)
	if err != nil {
		return err
	}
	defer root.Close()
	return safety.RemoveMirror(ctx, root, s.ID)
}
