package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

type undoFlags struct{ dryRun, force bool }

func (a *app) undoCommand() *cobra.Command {
	flags := &undoFlags{}
	c := &cobra.Command{
		Use:   "undo SESSION [PATH…] [--dry-run] [--force]",
		Short: "Take back what a session changed in the project",
		Long: `Take back what SESSION changed in the project: overwritten and deleted entries come back as they were, with mode and
time, made ones go. What you changed since is listed and left. PATHs are relative to the project; without any it is all.
An undo is a session of its own, and can be undone like one: its id is told at the end.`,
		Args:              a.sessionAndPaths(),
		ValidArgsFunction: completeSession,
		RunE: func(c *cobra.Command, args []string) error {
			if err := a.usersOnly("undo"); err != nil {
				return err
			}
			ctx, stop := interruptible(c.Context())
			defer stop()
			return stopped(ctx, a.undo(ctx, flags, args[0], args[1:]))
		},
	}
	f := c.Flags()
	f.BoolVar(&flags.dryRun, "dry-run", false, "only tell what would be done")
	f.BoolVar(&flags.force, "force", false, "also what you changed since; your version is kept")
	return c
}

// usersOnly refuses a command that gives the user's word, inside of a session. It is a guard, not a boundary.
func (a *app) usersOnly(command string) error {
	if a.getenv("ALCA_MOUNT_SESSION") != "" {
		return fmt.Errorf("%s is the user's to run: not inside a session (ALCA_MOUNT_SESSION is set)", command)
	}
	return nil
}

func (a *app) undo(ctx context.Context, flags *undoFlags, spec string, paths []string) error {
	began := time.Now()
	s, err := a.takeSession(ctx, spec)
	if err != nil {
		return err
	}
	defer s.Unlock()
	only, err := relPaths("undo", s, paths)
	if err != nil {
		return err
	}
	state, err := mirror.DefaultStateDir()
	if err != nil {
		return err
	}
	u, err := autosync.Undo(ctx, state, s, autosync.UndoOptions{Paths: only, DryRun: flags.dryRun, Force: flags.force})
	storeUndo(state, u.Session, autosync.Changes{ToProject: u.Restored, Deleted: noted(u.Removed), Conflicts: u.Kept, Failed: u.Failed})
	if a.json {
		if aerr := a.answer(undoneJSON(u)); err == nil {
			err = aerr
		}
	} else if err == nil || u.Session != "" {
		tellUndo(a.out(), s, u, flags, time.Since(began))
	}
	if err == nil && len(u.Left)+len(u.Failed) > 0 {
		return &exitError{code: exitPartly}
	}
	return err
}

// storeUndo keeps in the session of an undo what it did: for `ls SESSION`, and so that it counts as told.
func storeUndo(state *mirror.StateDir, session string, c autosync.Changes) {
	storeChanges(state, launcher.Result{Session: session, Changes: c})
}

func noted(paths []safety.RelPath) []autosync.PathNote {
	out := make([]autosync.PathNote, len(paths))
	for i, p := range paths {
		out[i].Path = p
	}
	return out
}

// jsonUndone is a path and what undo did there: restored, removed, left, failed.
type jsonUndone struct {
	jsonNote
	Action  string `json:"action"`
	Session string `json:"session,omitempty"` // the undo's own
}

func undoneJSON(u autosync.Undone) []jsonUndone {
	out := []jsonUndone{}
	add := func(action string, list []autosync.PathNote) {
		for _, n := range notes(list) {
			out = append(out, jsonUndone{n, action, u.Session})
		}
	}
	kept := map[string]autosync.PathNote{}
	for _, n := range u.Kept {
		kept[string(n.Path)] = n
	}
	done := func(action string, list []listedPath) {
		for _, p := range list {
			n := kept[string(p)]
			out = append(out, jsonUndone{jsonNote{pathFields(string(p)), n.Why, n.Kept}, action, u.Session})
		}
	}
	done("restored", listPaths(u.Restored))
	done("removed", listPaths(u.Removed))
	add("left", u.Left)
	add("failed", u.Failed)
	return out
}

func tellUndo(o *output, s *mirror.Session, u autosync.Undone, flags *undoFlags, took time.Duration) {
	did := "undone"
	if flags.dryRun {
		did = "would undo"
	}
	o.say("%s: %d restored, %d removed · session %s · %s", did, len(u.Restored), len(u.Removed), s.ID, humanTime(took))
	if flags.dryRun || o.verbose {
		tellPaths(o, "restored", u.Restored)
		tellPaths(o, "removed", u.Removed)
	}
	tell := func(head string, notes []autosync.PathNote) {
		if len(notes) == 0 {
			return
		}
		o.warn(head, len(notes))
		for i, item := range noteItems(notes) {
			if i == maxListed && !o.verbose {
				o.item(fmt.Sprintf("… and %d more: -v lists them", len(notes)-i))
				break
			}
			o.item(item)
		}
	}
	tell("left: %d; you changed these since (--force undoes them too):", u.Left)
	tell("failed: %d:", u.Failed)
	if !flags.dryRun {
		tell("your versions that gave way are kept: %d:", u.Kept)
	}
	if stateText, _ := stateOf(s); len(u.Restored)+len(u.Removed)+len(u.Left)+len(u.Failed) == 0 && stateText != stateCrashed {
		o.say("nothing of it is left to undo")
	}
	if u.Session != "" {
		o.say("take this back with: alca-mount undo %s", u.Session)
	}
}
