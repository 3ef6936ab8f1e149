package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

func (a *app) applyCommand() *cobra.Command {
	return a.wordCommand("apply", "Bring home what waits for your word",
		`Bring home what alca-mount diff SESSION shows: held changes, deletions, and all of a session under --sync review.
It works on kept sessions and, for what is held in them, on those that ended. PATHs are relative to the project; without
any it is all.`, a.apply)
}

func (a *app) discardCommand() *cobra.Command {
	return a.wordCommand("discard", "Turn down what waits for your word",
		`Turn down what alca-mount diff SESSION shows: the mirror gets the project's version again, and what the agent made
is kept in the session's folder until that is removed. PATHs are relative to the project; without any it is all.`, a.discard)
}

// wordCommand is a command that gives the user's word on a session's changes.
func (a *app) wordCommand(name, short, long string, do func(context.Context, *mirror.Session, []safety.RelPath) error) *cobra.Command {
	return &cobra.Command{
		Use: name + " SESSION [PATH…]", Short: short, Long: long,
		Args:              a.sessionAndPaths(),
		ValidArgsFunction: completeSession,
		RunE: func(c *cobra.Command, args []string) error {
			if err := a.usersOnly(name); err != nil {
				return err
			}
			s, err := a.takeSession(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer s.Unlock()
			only, err := relPaths(name, s, args[1:])
			if err != nil {
				return err
			}
			ctx, stop := interruptible(c.Context())
			defer stop()
			return stopped(ctx, do(ctx, s, only))
		},
	}
}

func (a *app) apply(ctx context.Context, s *mirror.Session, only []safety.RelPath) error {
	began := time.Now()
	if hasMirror(s) {
		m, _, err := a.attachSettled(ctx, s)
		if err != nil {
			return err
		}
		defer m.Close()
		changes, err := a.once(ctx, m, approved(only))
		addChanges(s, changes, only, err)
		return a.passTold(ending{session: s.ID, changes: changes, took: time.Since(began), applied: true}, err)
	}
	state, err := mirror.DefaultStateDir()
	if err != nil {
		return err
	}
	session, changes, err := autosync.ApplyHeld(ctx, state, s, only)
	storeUndo(state, session, changes)
	addChanges(s, changes, only, err)
	err = a.passTold(ending{session: s.ID, changes: changes, took: time.Since(began), applied: true, mirrorless: true}, err)
	if session != "" {
		a.out().say("take this back with: alca-mount undo %s", session)
	}
	return err
}

// approved are the options of a sync that the user has given the word for.
func approved(only []safety.RelPath) autosync.Options {
	return autosync.Options{Deletes: true, OnlyToProject: true, Approved: true, Paths: only}
}

// jsonDiscarded is the answer of discard: sync's, and what was turned down.
type jsonDiscarded struct {
	Discarded []jsonNote `json:"discarded"`
	jsonChanges
}

func (a *app) discard(ctx context.Context, s *mirror.Session, only []safety.RelPath) error {
	discarded, changes, err := a.turnDown(ctx, s, only)
	if a.json {
		if aerr := a.answer(jsonDiscarded{notes(discarded), changesJSON(changes)}); err == nil {
			err = aerr
		}
	} else if err == nil || len(discarded) > 0 {
		a.tellDiscarded(s, discarded, changes)
	}
	if err == nil && len(changes.Failed) > 0 {
		return &exitError{code: exitPartly}
	}
	return err
}

func (a *app) turnDown(ctx context.Context, s *mirror.Session, only []safety.RelPath) ([]autosync.PathNote, autosync.Changes, error) {
	if !hasMirror(s) {
		discarded, err := autosync.DiscardHeld(ctx, s, only)
		addChanges(s, autosync.Changes{}, only, err)
		return discarded, autosync.Changes{}, err
	}
	m, _, err := a.attachSettled(ctx, s)
	if err != nil {
		return nil, autosync.Changes{}, err
	}
	defer m.Close()
	discarded, changes, err := autosync.Discard(ctx, m, only)
	addChanges(s, changes, only, err)
	return discarded, changes, err
}

func (a *app) tellDiscarded(s *mirror.Session, discarded []autosync.PathNote, changes autosync.Changes) {
	o := a.out()
	o.say("discarded: %d · session %s", len(discarded), s.ID)
	for i, item := range noteItems(discarded) {
		if i == maxListed && !o.verbose {
			o.item(fmt.Sprintf("… and %d more: kept in %s", len(discarded)-i, show(s.Dir())))
			break
		}
		if !o.quiet {
			o.item(item)
		}
	}
	if len(changes.Failed) > 0 {
		o.warn("failed: %d:", len(changes.Failed))
		for _, item := range noteItems(changes.Failed) {
			o.item(item)
		}
	}
}
