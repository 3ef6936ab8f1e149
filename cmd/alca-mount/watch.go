package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/alca-mount/alca-mount/autosync"
)

type watchFlags struct {
	live    liveFlags
	massDel bool
	guarded bool
	events  string
}

func (a *app) watchCommand() *cobra.Command {
	flags := &watchFlags{}
	c := &cobra.Command{
		Use:   "watch SESSION",
		Short: "Keep a created mirror and its project in step",
		Long: `Carry changes both ways between the mirror of SESSION and its project until INT or TERM, then reconcile both
whole, deletions included. It prints "ready" when all that had changed before is carried. The mirror stays.`,
		Args:              args(1, 1, "one session"),
		ValidArgsFunction: completeSession,
		RunE: func(c *cobra.Command, args []string) error {
			if (flags.massDel || flags.guarded) && a.getenv("ALCA_MOUNT_SESSION") != "" {
				return fmt.Errorf("--allow-mass-delete and --allow-guarded are the user's to give: not inside a session (ALCA_MOUNT_SESSION is set)")
			}
			if err := a.settleLive(c.Flags(), &flags.live, args[0]); err != nil {
				return err
			}
			ctx, stop := interruptible(c.Context())
			defer stop()
			return a.watch(ctx, flags, args[0])
		},
	}
	f := c.Flags()
	flags.live.add(f)
	f.BoolVar(&flags.massDel, "allow-mass-delete", false, "let mass deletions pass")
	f.BoolVar(&flags.guarded, "allow-guarded", false, "let changes of files that host tools execute pass")
	f.StringVar(&flags.events, "events", "", "append what happens to `FILE` as JSON lines")
	return c
}

func (a *app) watch(ctx context.Context, flags *watchFlags, spec string) error {
	began := time.Now()
	s, err := a.takeSession(ctx, spec)
	if err != nil {
		return err
	}
	defer s.Unlock()
	m, guard, err := a.attachSettled(ctx, s)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := refuseWaiting(ctx, m, guard); err != nil {
		return err
	}
	if err := a.settleDoubts(ctx, m, autosync.Options{Deletes: true, AllowMassDelete: flags.massDel, AllowGuarded: flags.guarded, Guarded: guard}); err != nil {
		return err
	}
	events, err := openEvents(flags.events)
	if err != nil {
		return err
	}
	defer events.Close()
	syncer, err := autosync.Start(ctx, m, autosync.Options{AllowMassDelete: flags.massDel, AllowGuarded: flags.guarded, Guarded: guard, Events: events.event}, flags.live.options(s.Project))
	if err != nil {
		return err
	}
	if syncer.Ready(ctx) == nil {
		a.out().say("ready")
	}
	select {
	case <-ctx.Done():
	case <-syncer.Halted():
	}
	// What ended the watch does not end the last reconcile.
	changes, _, err := syncer.Stop(context.WithoutCancel(ctx))
	if err == nil {
		err = errors.Join(m.SaveBase(), m.SyncAll(), s.Save())
	}
	addChanges(s, changes, nil, err)
	return a.syncTold(s, changes, false, time.Since(began), err)
}
