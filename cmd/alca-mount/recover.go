package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/mirror"
)

type recoverFlags struct {
	all, apply, discard bool
	massDel             bool
}

func (a *app) recoverCommand() *cobra.Command {
	flags := &recoverFlags{}
	c := &cobra.Command{
		Use:   "recover [SESSION|--all] [--apply|--discard]",
		Short: "Finish sessions that ended badly",
		Long: `List the sessions that ended badly, of all projects, with -C of one, and what each holds: what was cut short, and
what its end would bring home. --apply ends SESSION as its launch would have: changes come home, deletions too, and the
mirror goes. --discard settles what was cut short in the project and drops the mirror's unsynced work.
Both refuse while the session's command still runs. SESSION is an id, a unique prefix of one, a name, or a mirror's path.`,
		Args:              args(0, 1, "at most one session"),
		ValidArgsFunction: completeSession,
		RunE: func(c *cobra.Command, args []string) error {
			if err := flags.check(args, a.getenv); err != nil {
				return err
			}
			ctx, stop := interruptible(c.Context())
			defer stop()
			return stopped(ctx, a.recover(ctx, flags, args))
		},
	}
	f := c.Flags()
	f.BoolVar(&flags.all, "all", false, "all sessions that ended badly, with -C those of one project")
	f.BoolVar(&flags.apply, "apply", false, "bring home what may cross, as the session's end would have")
	f.BoolVar(&flags.discard, "discard", false, "drop what was not brought home")
	f.BoolVar(&flags.massDel, "allow-mass-delete", false, "let mass deletions pass")
	return c
}

func (r *recoverFlags) check(args []string, getenv func(string) string) error {
	switch {
	case getenv("ALCA_MOUNT_SESSION") != "":
		return errors.New("recover is the user's to run: not inside a session (ALCA_MOUNT_SESSION is set)")
	case r.apply && r.discard:
		return errors.New("recover: --apply or --discard, not both")
	case r.all && len(args) > 0:
		return errors.New("recover: SESSION or --all, not both")
	case (r.apply || r.discard) && len(args) == 0 && !r.all:
		return errors.New("recover: which session? alca-mount recover lists them; --all takes all")
	}
	return nil
}

func (a *app) recover(ctx context.Context, flags *recoverFlags, args []string) error {
	found, err := a.endedBadly(args)
	if err != nil {
		return err
	}
	if len(found) == 0 && len(args) == 0 {
		a.out().say("nothing to recover")
	}
	rows, failed := []jsonRecovery{}, false
	for _, s := range found {
		row := a.recoverOne(ctx, flags, s)
		failed = failed || row.Error != "" || row.partly
		rows = append(rows, row)
	}
	if a.json {
		err = a.answer(rows)
	} else if !flags.apply && !flags.discard {
		err = a.write([]byte(recoveryText(rows, time.Now())))
	}
	switch {
	case err != nil || !flags.apply && !flags.discard:
	case len(args) == 1 && failed && !rows[0].partly:
		return &exitError{code: exitOwn}
	case failed:
		return &exitError{code: exitPartly}
	}
	return err
}

// endedBadly are the sessions to recover: the one that is named, or all.
func (a *app) endedBadly(args []string) ([]*mirror.Session, error) {
	if len(args) == 1 {
		s, err := a.findSession(args[0])
		if err != nil {
			return nil, err
		}
		state, pid := stateOf(s)
		if pid != 0 {
			return nil, fmt.Errorf("session %s is in use by process %d: it did not end", s.ID, pid)
		}
		if !s.EndedBadly() {
			a.out().say("session %s did not end badly (%s): nothing to recover", s.ID, state)
			return nil, nil
		}
		return []*mirror.Session{s}, nil
	}
	state, err := mirror.DefaultStateDir()
	if err != nil {
		return nil, err
	}
	project := ""
	if a.project != "" {
		if project, err = realDir(a.project); err != nil {
			return nil, err
		}
	}
	all, err := state.List(project)
	var out []*mirror.Session
	for _, s := range all {
		if s.Crashed() {
			out = append(out, s)
		}
	}
	return out, err
}

// jsonRecovery is one session of recover's list.
type jsonRecovery struct {
	jsonSession
	Processes []int        `json:"processes,omitempty"` // of its command, still running
	Done      string       `json:"done,omitempty"`      // "applied", "discarded", "removed"
	Holds     *jsonChanges `json:"holds,omitempty"`     // before: what its end would bring; after: what it brought
	Kept      string       `json:"kept,omitempty"`      // the folder that stays, for the versions in it
	Error     string       `json:"error,omitempty"`

	changes autosync.Changes
	why     string // there is nothing to bring home
	partly  bool

	needsWord bool // nothing comes home unasked
}

func (a *app) recoverOne(ctx context.Context, flags *recoverFlags, s *mirror.Session) jsonRecovery {
	row := jsonRecovery{jsonSession: sessionJSON(s), why: whyNoWork(s), needsWord: launcher.NeedsWord(s)}
	err := a.recoverInto(ctx, flags, s, &row)
	if err != nil {
		row.Error = oneLine(err.Error())
		if flags.apply || flags.discard {
			a.out().failure(fmt.Errorf("recover %s: %w", s.ID, err))
		}
	}
	if _, err := os.Lstat(s.Dir()); err == nil && row.Done != "" {
		row.Kept = s.Dir()
	}
	return row
}

func (a *app) recoverInto(ctx context.Context, flags *recoverFlags, s *mirror.Session, row *jsonRecovery) (err error) {
	row.Processes, err = launcher.Running(s.ID)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if flags.apply || flags.discard {
		if err := a.endContainers(ctx, s); err != nil {
			return err
		}
		if err := refuseAlive(s); err != nil {
			return err
		}
	}
	if err := s.Lock(); err != nil {
		return err
	}
	defer s.Unlock()
	switch {
	case s.Undoes != "" && (flags.apply || flags.discard):
		row.Done = "settled"
		return autosync.SettleUndo(s)
	case s.Undoes != "":
		return nil
	case !hasWork(s) && (flags.apply || flags.discard):
		row.Done = "removed"
		return a.finishRemoval(ctx, s, whyNoWork(s)+"; removed")
	case !hasWork(s):
		return nil
	}
	m, guard, err := a.attachSettled(ctx, s)
	if err != nil {
		return a.withoutMirror(ctx, flags, s, row, err)
	}
	if !flags.apply && !flags.discard {
		defer m.Close()
		row.changes, err = autosync.Once(ctx, m, autosync.Options{Deletes: true, DryRun: true, AllowMassDelete: flags.massDel, Guarded: guard})
		holds := changesJSON(row.changes)
		row.Holds = &holds
		return err
	}
	return a.conclude(ctx, flags, m, guard, row)
}

// conclude applies or discards.
func (a *app) conclude(ctx context.Context, flags *recoverFlags, m *mirror.Mirror, guard *dotfiles.Guard, row *jsonRecovery) error {
	began := time.Now()
	state, err := mirror.DefaultStateDir()
	if err != nil {
		return errors.Join(err, m.Close())
	}
	earlier := broughtEarlier(m.Session)
	opts := launcher.Options{State: state, AllowMassDelete: flags.massDel, Guarded: guard}
	var res launcher.Result
	if flags.apply {
		row.Done = "applied"
		res, err = launcher.Finish(ctx, m, opts)
	} else {
		row.Done = "discarded"
		res, err = launcher.Abandon(m, opts)
	}
	row.changes = res.Changes
	holds := changesJSON(res.Changes)
	row.Holds = &holds
	end := endOf(res, time.Since(began))
	if flags.discard {
		end.unsent = "discarded"
	}
	if end.store != "" { // else nothing of it is there any more
		end.earlier = len(earlier.ToProject) + len(earlier.Deleted)
	}
	res.Changes = withEarlier(earlier, res.Changes)
	end.listAll = storeChanges(state, res)
	tellEnd(a.out(), end)
	var partial *launcher.PartialSyncError
	if errors.As(err, &partial) { // told, path by path
		row.partly = true
		return nil
	}
	return err
}

// withoutMirror is for a session whose mirror is gone or cannot be trusted: nothing can come home from it.
func (a *app) withoutMirror(ctx context.Context, flags *recoverFlags, s *mirror.Session, row *jsonRecovery, why error) error {
	_, err := os.Lstat(s.Mirror)
	if flags.discard && errors.Is(err, fs.ErrNotExist) {
		row.Done = "discarded"
		s.State = mirror.SessionRemoving
		return a.finishRemoval(ctx, s, "its mirror is gone; discarded")
	}
	return fmt.Errorf("%w; what is left of it: %s", why, show(s.Dir()))
}

// hasWork reports whether there is a mirror that somebody may have worked in.
func hasWork(s *mirror.Session) bool {
	return s.State != mirror.SessionBuilding && s.State != mirror.SessionRemoving
}

func whyNoWork(s *mirror.Session) string {
	if s.Undoes != "" {
		return "an undo that was cut short, of session " + s.Undoes
	}
	if s.State == mirror.SessionBuilding {
		return "its mirror was never complete, nothing ran in it"
	}
	return "all was synced, its mirror was being removed"
}

// recoveryText lists sessions that ended badly and what each holds.
func recoveryText(rows []jsonRecovery, now time.Time) string {
	if len(rows) == 0 {
		return ""
	}
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "%s  %s  %s ago  %s  %s\n", r.Session, orDash(r.Name), age(r.Created, now), show(r.Project), show(strings.Join(r.Command, " ")))
		for _, line := range recoveryLines(r) {
			fmt.Fprintf(&b, "    %s\n", line)
		}
	}
	return b.String()
}

func recoveryLines(r jsonRecovery) []string {
	var out []string
	if len(r.Processes) > 0 {
		out = append(out, fmt.Sprintf("its command still runs: %s; end it before anything else", pidList(r.Processes)))
	}
	if r.Error != "" {
		return append(out, "cannot be recovered: "+r.Error)
	}
	if r.Holds == nil {
		return append(out, r.why+"; alca-mount recover "+r.Session+" --apply finishes that")
	}
	would := "would bring home"
	if r.needsWord {
		would = "would keep for your word (diff, apply, discard)"
	}
	out = append(out, fmt.Sprintf("%s: %d changed, %d deleted", would, len(r.changes.ToProject), len(r.changes.Deleted)))
	list := func(head string, items []string) {
		if len(items) == 0 {
			return
		}
		out = append(out, fmt.Sprintf("%s: %d", head, len(items)))
		for _, item := range items {
			out = append(out, "    "+item)
		}
	}
	list("cut short", noteItems(r.changes.Recovered))
	list("lost by the mirror in a power cut", pathItems(r.changes.Lost))
	list("to the project", pathItems(r.changes.ToProject))
	list("deleted", noteItems(r.changes.Deleted))
	list("conflicts", noteItems(r.changes.Conflicts))
	list("refused", noteItems(r.changes.Refused))
	list("held", noteItems(r.changes.Held))
	list("orphans", noteItems(r.changes.Orphans))
	list("failed", noteItems(r.changes.Failed))
	if r.changes.Halted != "" {
		out = append(out, "halted: "+oneLine(r.changes.Halted))
	}
	return append(out, "next: alca-mount recover "+r.Session+" --apply, or --discard")
}

func pidList(pids []int) string {
	words := make([]string, len(pids))
	for i, pid := range pids {
		words[i] = fmt.Sprint(pid)
	}
	noun := "process "
	if len(pids) != 1 {
		noun = "processes "
	}
	return noun + strings.Join(words, ", ")
}

// refuseAlive fails while a session whose launch died has a command that goes on: what it writes next would come too
// late, or be removed under its hands. It may be at work for the user, so that it is not ours to end.
func refuseAlive(s *mirror.Session) error {
	if !s.EndedBadly() {
		return nil
	}
	if holder, err := s.Holder(); err != nil || holder.PID != 0 {
		return nil // the lock says who has it
	}
	pids, err := launcher.Running(s.ID)
	if err != nil || len(pids) == 0 { // where it can't be told, nothing is known against it
		return nil
	}
	words := strings.TrimPrefix(strings.TrimPrefix(pidList(pids), "processes "), "process ")
	return fmt.Errorf("session %s ended badly and its command still runs (%s): end it first, with kill %s", s.ID, pidList(pids), strings.ReplaceAll(words, ",", ""))
}

// tellBadEnds names the sessions of a project that ended badly, and what to do.
func tellBadEnds(o *output, state *mirror.StateDir, project string) {
	all, err := state.List(project)
	if err != nil {
		return // what follows makes a session there, and says what is wrong
	}
	for _, s := range all {
		if !s.Crashed() {
			continue
		}
		still := ""
		if s.Interrupted() {
			still = " (the machine went down)"
		}
		if pids, err := launcher.Running(s.ID); err == nil && len(pids) > 0 {
			still += ", its command still runs (" + pidList(pids) + ")"
		}
		o.warn("session %s of %s ended badly%s: alca-mount recover %[1]s tells what it holds", s.ID, s.Created.Local().Format("2 Jan 15:04"), still)
	}
}
