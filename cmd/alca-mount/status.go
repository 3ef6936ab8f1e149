package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
)

func (a *app) statusCommand() *cobra.Command {
	var exitCode bool
	c := &cobra.Command{
		Use:   "status [SESSION] [--exit-code]",
		Short: "What sessions hold that is not in the project",
		Long: `Compare the mirror of SESSION with its project and tell what is not brought home: edits and new files, deletions, what
is held, conflicts. Nothing is changed. Without SESSION: each session of the project that has a mirror or holds
something for your word; in a mirror, its own.`,
		Args:              args(0, 1, "at most one session"),
		ValidArgsFunction: completeSession,
		RunE: func(c *cobra.Command, args []string) error {
			ctx, stop := interruptible(c.Context())
			defer stop()
			return stopped(ctx, a.status(ctx, args, exitCode))
		},
	}
	c.Flags().BoolVar(&exitCode, "exit-code", false, "exit with 1 when something is not brought home or held")
	return c
}

// jsonStatus is a session and what it holds. Counts are of paths; unsynced ones are edits and new files.
type jsonStatus struct {
	jsonSession
	Unsynced  int      `json:"unsynced"`
	Deletions int      `json:"pending_deletes"`
	Held      int      `json:"held"`
	Conflicts int      `json:"conflicts"` // of which a version is kept
	Refused   int      `json:"refused"`
	Orphans   int      `json:"orphans"`
	Enforced  []string `json:"enforced"`
	Trouble   string   `json:"trouble,omitempty"` // why the mirror could not be compared
}

// waits reports whether something of the session's is not in the project.
func (s jsonStatus) waits() bool { return s.Unsynced+s.Deletions+s.Held > 0 || s.Trouble != "" }

func (a *app) status(ctx context.Context, args []string, exitCode bool) error {
	sessions, err := a.sessionsFor(args)
	if err != nil {
		return err
	}
	rows := []jsonStatus{}
	for _, s := range sessions {
		row := a.look(ctx, s)
		if len(args) == 1 || row.State != mirror.SessionEnded || row.waits() {
			rows = append(rows, row)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if a.json && len(args) == 1 {
		err = a.answer(rows[0])
	} else if a.json {
		err = a.answer(rows)
	} else {
		err = a.write([]byte(statusText(rows)))
	}
	for _, row := range rows {
		if err == nil && exitCode && row.waits() {
			return &exitError{code: exitPartly}
		}
	}
	return err
}

func (a *app) sessionsFor(args []string) ([]*mirror.Session, error) {
	if len(args) == 1 {
		s, err := a.findSession(args[0])
		if err != nil && !errors.Is(err, mirror.ErrDamagedSession) {
			return nil, err
		}
		return []*mirror.Session{s}, nil
	}
	where, err := findPlace(a.project)
	if err != nil {
		return nil, err
	}
	if _, session := mirrorAround(where.project); session != "" {
		return a.sessionsFor([]string{session})
	}
	state, err := mirror.DefaultStateDir()
	if err != nil {
		return nil, err
	}
	return state.List(where.project)
}

// look compares a session's mirror, if there is one, with its project.
func (a *app) look(ctx context.Context, s *mirror.Session) jsonStatus {
	row := jsonStatus{jsonSession: sessionJSON(s), Enforced: append([]string{}, s.Enforced...)}
	stored := readChanges(s)
	refused := map[string]bool{}
	for _, item := range stored.list("refused") {
		path, _ := storedPath(item)
		refused[path] = true
	}
	row.Conflicts, row.Refused = len(stored.list("conflicts")), len(refused)
	held, err := autosync.ReadHeld(s.Dir())
	if err != nil {
		row.Trouble = oneLine(err.Error())
	}
	row.Held = len(held)
	if s.Damaged != nil || s.State == mirror.SessionBuilding || s.State == mirror.SessionRemoving {
		return row
	}
	if _, err := os.Lstat(s.Mirror); err != nil {
		return row // ended, and its mirror is gone
	}
	c, err := a.compare(ctx, s)
	if err != nil {
		row.Trouble = oneLine(err.Error())
		return row
	}
	row.Unsynced, row.Deletions = len(c.ToProject)+len(c.Failed), len(c.PendingDelete)
	row.Held, row.Orphans = row.Held+len(c.Held), len(c.Orphans)
	for _, n := range c.Refused { // it is still there
		refused[string(n.Path)] = true
	}
	row.Conflicts, row.Refused = row.Conflicts+len(c.Conflicts), len(refused)
	return row
}

// compare says what a sync of the session would do. It needs no lock: it changes nothing.
func (a *app) compare(ctx context.Context, s *mirror.Session) (autosync.Changes, error) {
	m, guard, err := a.attachSettled(ctx, s)
	if err != nil {
		return autosync.Changes{}, err
	}
	defer m.Close()
	c, err := a.once(ctx, m, autosync.Options{OnlyToProject: true, DryRun: true, Guarded: guard})
	if err == nil && c.Halted != "" {
		err = errors.New(c.Halted)
	}
	return c, err
}

func statusText(rows []jsonStatus) string {
	if len(rows) == 0 {
		return ""
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SESSION\tNAME\tSTATE\tUNSYNCED\tDELETED\tHELD\tCONFLICTS\tMIRROR")
	for _, r := range rows {
		mirrorDir := show(r.Mirror)
		if r.State == mirror.SessionEnded {
			mirrorDir = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", show(r.Session), orDash(r.Name), r.State, r.Unsynced, r.Deletions, r.Held, r.Conflicts, mirrorDir)
	}
	w.Flush()
	for _, r := range rows {
		if r.Trouble != "" {
			fmt.Fprintf(&b, "%s  %s\n", show(r.Session), r.Trouble)
		}
		if len(rows) == 1 && len(r.Enforced) > 0 {
			fmt.Fprintf(&b, "enforced: %s\n", strings.Join(r.Enforced, ", "))
		}
	}
	return b.String()
}
