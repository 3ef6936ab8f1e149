package launcher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
)

// warm is a launch on the mirror of a session that was kept: nothing is built, and only what changed since is carried.
type warm struct {
	changes autosync.Changes    // what was carried before CMD started
	aside   []autosync.PathNote // what the agent had made of files that are hidden by now
	then    mirror.Record       // the session as it was found
	rules   bool                // the rules of now are not those that it was made with
}

// findKept returns the session of the project that goes by the launch's name and was kept; nil: there is none. One
// that runs, or that ended badly, is an error.
func (l *launch) findKept() (*mirror.Session, error) {
	if l.opts.Name == "" {
		return nil, nil
	}
	all, err := l.state.List(l.project)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if s.Name != l.opts.Name || s.Damaged != nil {
			continue
		}
		if holder, err := s.Holder(); err == nil && holder.PID > 0 {
			return nil, fmt.Errorf("session %s (%s) is in use by process %d", s.ID, s.Name, holder.PID)
		}
		if s.EndedBadly() {
			return nil, fmt.Errorf("session %s (%s) ended badly: alca-mount recover %[1]s tells what it holds", s.ID, s.Name)
		}
		if _, err := os.Lstat(s.Mirror); s.Kept && err == nil {
			return s, nil
		}
	}
	return nil, nil
}

// takeUp opens a kept session's mirror and brings both sides into step. It counts as running, and as having ended badly
// when we die, until it is kept again.
func (l *launch) takeUp(ctx context.Context, s *mirror.Session) error {
	if dir := l.opts.Mirror; dir != "" && filepath.Clean(dir) != s.Mirror {
		return fmt.Errorf("session %s (%s) has its mirror in %s: leave --mirror-dir out", s.ID, s.Name, s.Mirror)
	}
	if err := s.Lock(); err != nil {
		return err
	}
	l.session, l.warm = s, &warm{then: s.Record}
	if err := l.stricter(); err != nil {
		return err
	}
	var err error
	l.mirror, err = mirror.Attach(ctx, l.project, s.Mirror, mirror.Options{Session: s, Agent: s.Agent, Policy: l.policy})
	if err != nil {
		return err
	}
	if err := l.refuseHistory(ctx); err != nil {
		return err
	}
	if err := l.refuseWaiting(ctx); err != nil {
		return err
	}
	unasked := l.opts.Sync != SyncOff && l.opts.Sync != SyncReview // else what the mirror holds may wait for the user's word
	if err := l.refuseDoubted(); err != nil && !unasked {
		return err
	}
	s.NoteWriting()
	l.opts.Keep = true // it was kept on purpose: until rm
	s.Sync, s.Guarded = string(l.opts.Sync), guardRules(l.opts.Guarded)
	s.State, s.Kept, s.Keep, s.Ended, s.Command = mirror.SessionReady, false, true, time.Time{}, l.opts.Command
	if err := s.Save(); err != nil {
		return err
	}
	if unasked {
		return l.catchUp(ctx)
	}
	withdrawn, aside, err := autosync.Hide(ctx, l.mirror, l.syncOptions()) // where nothing else is carried
	l.warm.aside = aside
	l.warm.changes.ToMirror = withdrawn
	if err != nil {
		return fmt.Errorf("hide in the mirror of session %s what the rules hide now: %w", s.ID, err)
	}
	return nil
}

// catchUp takes out of the mirror what the rules hide by now, and brings both sides into step before CMD starts.
func (l *launch) catchUp(ctx context.Context) (err error) {
	if l.opts.Sync == SyncLive {
		if l.watched, err = autosync.NewWatched(ctx, l.mirror, l.opts.Live); err != nil {
			return err
		}
	}
	l.warm.changes, l.warm.aside, err = autosync.CatchUp(ctx, l.mirror, l.syncOptions(), l.watched)
	if err == nil && len(l.warm.changes.Failed) > 0 {
		err = &PartialSyncError{Failed: l.warm.changes.Failed}
	}
	if err != nil {
		return fmt.Errorf("bring the mirror of session %s up to date: %w", l.session.ID, err)
	}
	return l.refuseDoubted()
}

// refuseDoubted keeps an agent from working on in a mirror of which it is not known what a power cut did to it.
func (l *launch) refuseDoubted() error {
	if !l.session.Interrupted() {
		return nil
	}
	return fmt.Errorf("session %s (%s): %w: alca-mount diff %[1]s, then alca-mount apply %[1]s or alca-mount discard %[1]s",
		l.session.ID, l.session.Name, autosync.ErrInterrupted)
}

// refuseWaiting keeps a session whose changes wait for the user's word from bringing them home unasked.
func (l *launch) refuseWaiting(ctx context.Context) error {
	if !l.session.Waiting || l.opts.Sync == SyncReview || l.opts.Sync == SyncOff {
		return nil
	}
	left, err := autosync.Propose(ctx, l.mirror, l.opts.Guarded, nil)
	if err != nil || len(left.List) == 0 {
		return err
	}
	return fmt.Errorf("session %s (%s): %s: alca-mount diff %[1]s, then alca-mount apply %[1]s or alca-mount discard %[1]s; or go on with --sync review",
		l.session.ID, l.session.Name, WhyReview)
}

// refuseHistory keeps from CMD a repository, copied under the rules of then, that holds what is hidden by now.
func (l *launch) refuseHistory(ctx context.Context) error {
	if !l.warm.rules || l.opts.GitHiddenHistory {
		return nil
	}
	then, err := dotfiles.New(l.session.Rules)
	if err == nil {
		err = l.mirror.HistoryShows(ctx, then)
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("session %s (%s): the rules changed, and its mirror was given a repository before: %w: the agent could read it there "+
		"(--git-with-hidden-history lets that pass; alca-mount sync %[1]s brings home what it holds, alca-mount rm %[1]s removes it)", l.session.ID, l.session.Name, err)
}

// stricter makes the policy the stricter of the session's rules and those of now. What no rule says stays as the
// session has it: else the stricter answer would be of other defaults.
func (l *launch) stricter() error {
	stored, rules := l.session.Rules, l.policy.Rules()
	rules.NoDefaults, rules.Git, rules.FoldCase = stored.NoDefaults, stored.Git, stored.FoldCase
	then, err := dotfiles.New(stored)
	if err != nil {
		return err
	}
	now, err := dotfiles.New(rules)
	if err != nil {
		return err
	}
	l.warm.rules = !reflect.DeepEqual(stored, rules)
	l.policy = then
	if l.warm.rules {
		l.policy = dotfiles.Stricter(then, now)
	}
	return nil
}

// putDown leaves a kept session as it was found: the launch never came to its command.
func (l *launch) putDown() error {
	var closeErr error
	if l.mirror != nil {
		closeErr = l.mirror.Close()
		was := l.warm.then
		l.session.State, l.session.Kept, l.session.Ended, l.session.Command = was.State, true, was.Ended, was.Command
		l.session.Keep, l.session.Sync, l.session.Guarded = was.Keep, was.Sync, was.Guarded // recover goes by them
		closeErr = errors.Join(closeErr, l.session.Save())
	}
	return errors.Join(closeErr, l.session.Unlock())
}

// tell adds to what is said at the start.
func (w *warm) tell(start *Start) {
	if w == nil {
		return
	}
	start.Warm = &w.changes
	for _, n := range w.aside {
		start.Warnings = append(start.Warnings, fmt.Sprintf("%s is hidden by now: what the agent made of it is kept in %s", n.Path, n.Kept))
	}
	if w.rules {
		start.Warnings = append(start.Warnings, "the rules are not those that the session was made with: of both the stricter count")
	}
}

// with adds what was carried before CMD started to what was carried later.
func (w *warm) with(c autosync.Changes) autosync.Changes {
	if w == nil {
		return c
	}
	before := w.changes
	before.ToMirror = nil // told when it began
	before.Refused = slices.Concat(w.aside, before.Refused)
	return before.Plus(c)
}
