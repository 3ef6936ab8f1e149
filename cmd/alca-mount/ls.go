package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/alca-mount/alca-mount/mirror"
)

func (a *app) lsCommand() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "ls [SESSION]",
		Short: "List the sessions that run, were kept, or ended badly; or what one did",
		Long: `List the sessions of all projects, with -C of one: their state (running, kept, crashed, damaged) and mirror.
BROUGHT is what the session's end, and sync and its like since then, brought home, and what waits in it.
--all adds those that ended and are only there for the versions that they keep.
With SESSION: that session and what was brought.`,
		Args:              args(0, 1, "at most one session"),
		ValidArgsFunction: completeSession,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return a.lsOne(args[0])
			}
			return a.lsAll(all)
		},
	}
	c.Flags().BoolVarP(&all, "all", "a", false, "sessions that ended, too")
	return c
}

// The states that ls tells, beside the record's own ended and damaged.
const (
	stateRunning = "running"
	stateKept    = "kept"
	stateCrashed = "crashed"
)

// stateOf says how a session is: who holds it is alive; it was kept, on purpose or for its work; it ended; it did not.
func stateOf(s *mirror.Session) (state string, pid int) {
	if holder, err := s.Holder(); err == nil && holder.PID != 0 {
		return stateRunning, holder.PID
	}
	switch {
	case s.Damaged != nil:
		return mirror.SessionDamaged, 0
	case s.State == mirror.SessionRemoving:
		return mirror.SessionRemoving, 0
	case s.Kept:
		return stateKept, 0
	case s.State == mirror.SessionEnded:
		return mirror.SessionEnded, 0
	}
	return stateCrashed, 0
}

type jsonSession struct {
	Session string        `json:"session"`
	Name    string        `json:"name"`
	State   string        `json:"state"`
	PID     int           `json:"pid,omitempty"`
	Project string        `json:"project"`
	Mirror  string        `json:"mirror"`
	Agent   string        `json:"agent,omitempty"`
	Command []string      `json:"command,omitempty"`
	Created time.Time     `json:"created,omitzero"`
	Ended   time.Time     `json:"ended,omitzero"`
	Folder  string        `json:"folder"`
	Damaged string        `json:"damaged,omitempty"`
	Counts  *jsonCounts   `json:"counts,omitempty"`
	Changes storedChanges `json:"changes,omitempty"`
}

func sessionJSON(s *mirror.Session) jsonSession {
	out := jsonSession{
		Session: s.ID, Name: s.Name, Project: s.Project, Mirror: s.Mirror, Agent: s.Agent, Command: s.Command,
		Created: s.Created, Ended: s.Ended, Folder: s.Dir(), Counts: countsOf(s),
	}
	if out.State, out.PID = stateOf(s); out.State == mirror.SessionEnded {
		out.Mirror = "" // it went
	}
	if s.Damaged != nil {
		out.Damaged = oneLine(s.Damaged.Error())
	}
	return out
}

func (a *app) lsAll(ended bool) error {
	state, err := mirror.DefaultStateDir()
	if err != nil {
		return err
	}
	project := ""
	if a.project != "" {
		if project, err = realDir(a.project); err != nil {
			return err
		}
	}
	found, err := state.List(project)
	if err != nil {
		return err
	}
	rows := []jsonSession{}
	for _, s := range found {
		if row := sessionJSON(s); ended || row.State != mirror.SessionEnded {
			rows = append(rows, row)
		}
	}
	if a.json {
		return a.answer(rows)
	}
	a.tellOverlays(mirror.PruneAfter)
	return a.write([]byte(sessionTable(rows, time.Now())))
}

func sessionTable(rows []jsonSession, now time.Time) string {
	if len(rows) == 0 {
		return ""
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SESSION\tNAME\tSTATE\tAGE\tBROUGHT\tPROJECT\tMIRROR")
	for _, r := range rows {
		mirrorDir := show(r.Mirror)
		if r.State == mirror.SessionDamaged {
			mirrorDir = r.Damaged
		} else if r.State == mirror.SessionEnded {
			mirrorDir = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", show(r.Session), orDash(r.Name), r.State, age(r.Created, now), r.Counts.text(), orDash(r.Project), mirrorDir)
	}
	w.Flush()
	return b.String()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return show(s)
}

func age(then, now time.Time) string {
	d := now.Sub(then)
	switch {
	case then.IsZero():
		return "-"
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}

// lsOne tells one session, and what its end brought.
func (a *app) lsOne(spec string) error {
	s, err := a.findSession(spec)
	if err != nil && !errors.Is(err, mirror.ErrDamagedSession) {
		return err
	}
	row := sessionJSON(s)
	if row.Changes, err = tryReadChanges(s); err != nil {
		return fmt.Errorf("ls %s: %w", s.ID, err)
	}
	if a.json {
		return a.answer(row)
	}
	return a.write([]byte(sessionTable([]jsonSession{row}, time.Now()) + changesText(row.Changes)))
}

// changesText lists all that stored changes name, one a line: what happened, the path, where a version is kept.
func changesText(stored storedChanges) string {
	var b strings.Builder
	for _, kind := range []string{"to_project", "deleted", "conflicts", "refused", "held", "orphans", "failed", "pending_deletes", "new_in_excluded"} {
		for _, item := range stored.list(kind) {
			path, more := storedPath(item)
			b.WriteString(kind + "\t" + show(path))
			for _, text := range more {
				b.WriteString("\t" + show(text))
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// storedPath is the path that a stored item is of, and what is said of it.
func storedPath(item json.RawMessage) (path string, more []string) {
	if json.Unmarshal(item, &path) == nil {
		return path, nil
	}
	var n jsonNote
	if json.Unmarshal(item, &n) != nil {
		return "", nil
	}
	if n.Bytes != nil {
		n.Path = string(n.Bytes)
	}
	return n.Path, slices.DeleteFunc([]string{n.Why, n.Kept}, func(s string) bool { return s == "" })
}
