package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

func (a *app) rmCommand() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "rm SESSION [--force]",
		Short: "Remove a mirror and its session",
		Long: `Remove the mirror of SESSION. It refuses while the mirror holds edits or new files that were not brought home.
Deletions that were not carried are listed and do not keep it. What may never cross is set aside first: orphans, refused
versions, commits.
A session that changed the project, or keeps versions, stays for undo, until prune takes it; of such a one, rm --force
removes the versions, too.`,
		Args:              args(1, 1, "one session"),
		ValidArgsFunction: completeSession,
		RunE: func(c *cobra.Command, args []string) error {
			ctx, stop := interruptible(c.Context())
			defer stop()
			return stopped(ctx, a.rm(ctx, args[0], force))
		},
	}
	c.Flags().BoolVar(&force, "force", false, "also work that was not brought home; of a session without a mirror, what it keeps: it is lost")
	return c
}

func (a *app) rm(ctx context.Context, spec string, force bool) error {
	state, err := mirror.DefaultStateDir()
	if err != nil {
		return err
	}
	s, err := a.takeSession(ctx, spec)
	if err != nil {
		return err
	}
	defer s.Unlock()
	began := time.Now()
	if s.OnlyKeeps() {
		return a.rmKept(ctx, state, s, force)
	}
	_, err = os.Lstat(s.Mirror)
	there := !errors.Is(err, fs.ErrNotExist) && s.Mirror != ""
	// A mirror that was never complete was given to nobody: there is no work in it.
	if there && !force && s.State != mirror.SessionBuilding && s.State != mirror.SessionRemoving {
		if err := a.refuseUnsynced(ctx, s); err != nil {
			return err
		}
	}
	done, err := launcher.Remove(ctx, state, s, force)
	a.tellSetAside(done)
	if err != nil {
		return fmt.Errorf("rm %s: %w", s.ID, err)
	}
	if !done.Stays {
		a.out().say("removed session %s", s.ID)
		return nil
	}
	a.out().say("removed the mirror of session %s; what it keeps stays until prune takes it: alca-mount undo %[1]s takes its changes back, alca-mount rm %[1]s --force removes that, too", s.ID)
	if conf, err := a.loadConfig(s.Project); err == nil {
		a.pruneAfterRun(ctx, state, conf, began) // a pipeline may never come to the end of a run
	}
	return nil
}

// rmKept removes a session that is there only for what it keeps: nothing has that but this session.
func (a *app) rmKept(ctx context.Context, state *mirror.StateDir, s *mirror.Session, force bool) error {
	if why, err := whySpare(s); !force && why != "" {
		return errors.Join(fmt.Errorf("session %s has no mirror any more, and %s: alca-mount diff %[1]s; alca-mount rm %[1]s --force drops it", s.ID, why), err)
	}
	if !force && (s.KeepsVersions() || autosync.HasChanged(ctx, state, s)) {
		return fmt.Errorf("session %s has no mirror any more, and what it keeps is what undo needs: it goes by itself (alca-mount prune), alca-mount rm %[1]s --force removes it now", s.ID)
	}
	if err := s.Remove(); err != nil {
		return err
	}
	a.out().say("removed session %s and what it kept", s.ID)
	return nil
}

// tellSetAside lists what was only in the mirror, may not cross, and is kept.
func (a *app) tellSetAside(r launcher.Removal) {
	o := a.out()
	for _, of := range []struct {
		head string
		list []autosync.PathNote
	}{{"orphans", r.SetAside.Orphans}, {"not brought home, and kept", r.SetAside.Refused}} {
		if len(of.list) > 0 {
			o.warn("%s: %d", of.head, len(of.list))
			a.tellItems(noteItems(of.list), "-v lists them")
		}
	}
	if r.Whole != "" {
		o.warn("what may never cross could not be told from the rest: %s", oneLine(r.Why.Error()))
		o.warn("so the mirror is kept as it was, until prune takes it: %s", show(r.Whole))
	}
}

// tellItems lists items, and what lists the rest of many.
func (a *app) tellItems(items []string, more string) {
	o := a.out()
	for i, item := range items {
		if i == maxListed && !o.verbose {
			o.item(fmt.Sprintf("… and %d more: %s", len(items)-i, more))
			return
		}
		o.item(item)
	}
}

// refuseUnsynced fails while removing the mirror would lose work.
func (a *app) refuseUnsynced(ctx context.Context, s *mirror.Session) error {
	m, err := attach(ctx, s, nil)
	if err != nil {
		return fmt.Errorf("%w; what it holds can't be compared with the project: --force takes it out of the way all the same", err)
	}
	defer m.Close()
	c, err := a.once(ctx, m, autosync.Options{OnlyToProject: true, DryRun: true})
	if errors.Is(err, autosync.ErrMirrorEmptied) {
		return fmt.Errorf("session %s: all files are gone from its mirror, and still in the project: alca-mount apply %[1]s deletes them there, alca-mount rm %[1]s --force drops that", s.ID)
	}
	if err != nil {
		return fmt.Errorf("rm %s: %w; --force takes it out of the way all the same", s.ID, err)
	}
	tellPaths(a.out(), "deletions that were not carried to the project", c.PendingDelete)
	if c.Halted != "" {
		return fmt.Errorf("rm %s: %s; --force takes it out of the way all the same", s.ID, oneLine(c.Halted))
	}
	lost := unsynced(c)
	if len(lost) == 0 {
		return nil
	}
	a.out().warn("not brought home: %d", len(lost))
	a.tellItems(lost, "alca-mount diff "+s.ID+" --name-status")
	if launcher.NeedsWord(s) {
		return fmt.Errorf("session %s: changes wait for your word: alca-mount apply %[1]s brings them home, alca-mount discard %[1]s turns them down, alca-mount rm %[1]s --force drops them", s.ID)
	}
	return fmt.Errorf("session %s has unsynced work: alca-mount sync %[1]s brings home what may cross, alca-mount apply %[1]s what is held, alca-mount rm %[1]s --force drops the rest", s.ID)
}

// unsynced lists what only the mirror has and may cross, or waits: edits and new files, conflicts, what is held or failed.
// A conflict is an edit, too, and told once.
func unsynced(c autosync.Changes) []string {
	conflicts := map[safety.RelPath]bool{}
	for _, n := range c.Conflicts {
		conflicts[n.Path] = true
	}
	out := pathItems(slices.DeleteFunc(slices.Clone(c.ToProject), func(p safety.RelPath) bool { return conflicts[p] }))
	for _, notes := range [][]autosync.PathNote{c.Conflicts, c.Held, c.Failed} {
		out = append(out, noteItems(notes)...)
	}
	return out
}
