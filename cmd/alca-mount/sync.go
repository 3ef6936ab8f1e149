package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

type syncFlags struct {
	deletes, dryRun  bool
	massDel, guarded bool
}

func (a *app) syncCommand() *cobra.Command {
	flags := &syncFlags{}
	c := &cobra.Command{
		Use:   "sync SESSION [PATH…] [--delete] [--dry-run]",
		Short: "Bring a mirror's changes home, once",
		Long: `Bring changed and new files from the mirror of SESSION to its project; deletions only with --delete.
PATHs are relative to the project; without any it is all of it. The mirror stays as it is.
SESSION is an id, a unique prefix of one, a name, or a mirror's path.`,
		Args:              a.sessionAndPaths(),
		ValidArgsFunction: completeSession,
		RunE: func(c *cobra.Command, args []string) error {
			if (flags.massDel || flags.guarded) && a.getenv("ALCA_MOUNT_SESSION") != "" {
				return fmt.Errorf("--allow-mass-delete and --allow-guarded are the user's to give: not inside a session (ALCA_MOUNT_SESSION is set)")
			}
			ctx, stop := interruptible(c.Context())
			defer stop()
			return stopped(ctx, a.sync(ctx, flags, args[0], args[1:]))
		},
	}
	f := c.Flags()
	f.BoolVar(&flags.deletes, "delete", false, "carry deletions too")
	f.BoolVar(&flags.dryRun, "dry-run", false, "only tell what would be done")
	f.BoolVar(&flags.massDel, "allow-mass-delete", false, "let mass deletions pass")
	f.BoolVar(&flags.guarded, "allow-guarded", false, "let changes of files that host tools execute pass")
	return c
}

func (a *app) sync(ctx context.Context, flags *syncFlags, spec string, paths []string) error {
	began := time.Now()
	s, err := a.takeSession(ctx, spec)
	if err != nil {
		return err
	}
	defer s.Unlock()
	only, err := relPaths("sync", s, paths)
	if err != nil {
		return err
	}
	m, guard, err := a.attachSettled(ctx, s)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := refuseWaiting(ctx, m, guard); err != nil && !flags.dryRun {
		return err
	}
	changes, err := a.once(ctx, m, autosync.Options{
		Deletes: flags.deletes, Paths: only, OnlyToProject: true, DryRun: flags.dryRun,
		AllowMassDelete: flags.massDel, AllowGuarded: flags.guarded, Guarded: guard,
	})
	if !flags.dryRun {
		addChanges(s, changes, only, err)
	}
	return a.syncTold(s, changes, flags.dryRun, time.Since(began), err)
}

// syncTold tells what was done, also where an error cut it short.
func (a *app) syncTold(s *mirror.Session, changes autosync.Changes, dryRun bool, took time.Duration, err error) error {
	return a.passTold(ending{session: s.ID, changes: changes, took: took, dryRun: dryRun, mirrorless: !hasMirror(s)}, err)
}

// passTold is syncTold of an ending. What a pass could not do, and what the user's word could not lift, leave exit code 1.
func (a *app) passTold(e ending, err error) error {
	changes := e.changes
	if a.json {
		if aerr := a.answer(changesJSON(changes)); err == nil {
			err = aerr
		}
	} else {
		tellSync(a.out(), e)
		if onlyEmptied(err) {
			return &exitError{code: exitOwn}
		}
	}
	if err == nil && (len(changes.Failed) > 0 || changes.Halted != "" || e.applied && len(changes.Held) > 0) {
		return &exitError{code: exitPartly}
	}
	return err
}

func tellSync(o *output, e ending) {
	if e.dryRun {
		o.say("dry run: what follows was not done")
	}
	if o.verbose || e.dryRun {
		tellPaths(o, "to the project", e.changes.ToProject)
	}
	tellPaths(o, "deleted in the mirror only; --delete carries that", e.changes.PendingDelete)
	if e.listAll = "alca-mount sync " + e.session + " --dry-run -v"; e.mirrorless {
		e.listAll = "alca-mount diff " + e.session + " --name-status"
	}
	tellEnd(o, e)
}

func tellPaths(o *output, what string, paths []safety.RelPath) {
	if len(paths) == 0 {
		return
	}
	o.say("%s: %d", what, len(paths))
	for _, item := range pathItems(paths) {
		if !o.quiet {
			o.item(item)
		}
	}
}

// relPaths reads paths relative to the project, for a command; absolute ones may lie in the project or in the mirror.
// One that names nothing is a slip, not an empty choice.
func relPaths(command string, s *mirror.Session, paths []string) ([]safety.RelPath, error) {
	var out []safety.RelPath
	for _, p := range paths {
		rel := p
		switch {
		case filepath.IsAbs(p):
			rel = below(p, s.Project, s.Mirror)
		case p != "":
			rel = filepath.Clean(p) // ./src/ is as good as src
		}
		parsed, err := safety.ParseRelPath(filepath.ToSlash(rel))
		if err != nil {
			return nil, fmt.Errorf("%s %s: expected a path relative to the project %s: %w", command, show(p), show(s.Project), err)
		}
		out = append(out, parsed)
	}
	unknown, err := autosync.NamesNothing(s, out)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", command, s.ID, err)
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("%s %s: nothing of that name in the project, the mirror, or what session %s changed", command, strings.Join(pathItems(unknown), ", "), s.ID)
	}
	return out, nil
}

// below returns p relative to the first of dirs that holds it, or p.
func below(p string, dirs ...string) string {
	for _, dir := range dirs {
		if rel, err := filepath.Rel(dir, p); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return p
}
