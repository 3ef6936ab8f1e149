package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/cmd/alca-mount/internal/config"
	"github.com/alca-mount/alca-mount/mirror"
)

// pruneAtEnd bounds the pruning at the end of a run.
const pruneAtEnd = 200 * time.Millisecond

type pruneFlags struct {
	after  period
	size   bytesize
	dryRun bool
}

func (a *app) pruneCommand() *cobra.Command {
	flags := &pruneFlags{after: period(mirror.PruneAfter), size: mirror.PruneSize}
	c := &cobra.Command{
		Use:   "prune [--older-than D] [--keep-size N] [--dry-run]",
		Short: "Remove what ended sessions keep, when it is old or too much",
		Long: `Remove sessions that ended and are there only for the versions that they keep: those that ended longer ago than D, and
of the others, the oldest first, as many as it takes to keep no more than N. With -C those of one project. What goes
can't be undone any more. A session that runs, has a mirror, ended badly, holds a change for your word, or whose end was
not told yet stays. Orphans stay. Each run does the same at its end, as far as it comes in a moment.
The defaults are undo.max_age and undo.max_size of your configuration; else 14 days and 2 GiB.`,
		Args: args(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := a.usersOnly("prune"); err != nil && !flags.dryRun {
				return err
			}
			if err := a.settlePrune(c.Flags(), flags); err != nil {
				return err
			}
			ctx, stop := interruptible(c.Context())
			defer stop()
			return stopped(ctx, a.prune(ctx, flags))
		},
	}
	f := c.Flags()
	f.Var(&flags.after, "older-than", "how long ago a session ended that goes: `D` as 14d or 36h")
	f.Var(&flags.size, "keep-size", "how much is kept at most: `N` as 2GiB, 500MB or bytes")
	f.BoolVar(&flags.dryRun, "dry-run", false, "only tell what would go")
	return c
}

// settlePrune takes from the user's configuration what no flag says. One that can't be read ends it: what goes by a
// limit that is not the user's can't be had again.
func (a *app) settlePrune(f *pflag.FlagSet, flags *pruneFlags) error {
	where, err := findPlace(a.project)
	if err != nil {
		return err
	}
	conf, err := a.loadConfig(where.project)
	if err != nil {
		return err
	}
	after, size := keepLimits(conf)
	if !f.Changed("older-than") {
		flags.after = period(after)
	}
	if !f.Changed("keep-size") {
		flags.size = bytesize(size)
	}
	return nil
}

type jsonPruned struct {
	Session string    `json:"session"`
	Project string    `json:"project"`
	Ended   time.Time `json:"ended"`
	Bytes   int64     `json:"bytes"`
	Why     string    `json:"why"`
}

func (a *app) prune(ctx context.Context, flags *pruneFlags) error {
	state, err := mirror.DefaultStateDir()
	if err != nil {
		return err
	}
	opts := mirror.PruneOptions{After: time.Duration(flags.after), Size: int64(flags.size), DryRun: flags.dryRun, Spare: whySpare}
	if a.project != "" {
		if opts.Project, err = realDir(a.project); err != nil {
			return err
		}
	}
	gone, err := state.Prune(ctx, opts)
	if a.json {
		rows := []jsonPruned{}
		for _, p := range gone {
			rows = append(rows, jsonPruned(p))
		}
		return errors.Join(err, a.answer(rows))
	}
	o := a.out()
	tellPruned(o, gone, flags.dryRun)
	for _, p := range gone {
		o.item(prunedItem(p))
	}
	a.tellOverlays(time.Duration(flags.after))
	return err
}

func prunedItem(p mirror.Pruned) string {
	return fmt.Sprintf("%s  %s  %s  %s", p.Session, show(p.Project), humanBytes(p.Bytes), p.Why)
}

func tellPruned(o *output, gone []mirror.Pruned, dryRun bool) {
	var sum int64
	for _, p := range gone {
		sum += p.Bytes
	}
	if len(gone) == 0 {
		o.say("nothing to prune")
		return
	}
	did := "pruned"
	if dryRun {
		did = "would prune"
	}
	o.say("%s: %s, %s; what they changed can't be undone any more", did, count(len(gone), "ended session"), humanBytes(sum))
}

// whySpare says why a session that ended is not pruned.
func whySpare(s *mirror.Session) (string, error) {
	held, err := autosync.ReadHeld(s.Dir())
	if err != nil || len(held) > 0 {
		return "it holds changes for the user's word", err
	}
	if s.Undoes != "" || !s.Untold { // of a program that has the library tell it
		return "", nil
	}
	_, err = os.Lstat(filepath.Join(s.Dir(), changesName))
	if errors.Is(err, fs.ErrNotExist) {
		return "what its end brought was not told yet", nil
	}
	if err != nil {
		return "it can't be seen whether its end was told", err
	}
	return "", nil
}

// pruneAfterRun prunes for a moment what ended before began: not what the user was just told how to undo, however much
// that keeps. What goes wrong with it is no matter of the run's, and the next one tries again.
func (a *app) pruneAfterRun(ctx context.Context, state *mirror.StateDir, conf *config.Merged, began time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pruneAtEnd)
	defer cancel()
	after, size := keepLimits(conf)
	spare := func(s *mirror.Session) (string, error) {
		if !s.Ended.Before(began) {
			return "it has just ended", nil
		}
		return whySpare(s)
	}
	gone, err := state.Prune(ctx, mirror.PruneOptions{After: after, Size: size, Spare: spare})
	if len(gone) > 0 {
		tellPruned(a.out(), gone, false)
	}
	if err != nil {
		a.out().more("prune: %s", oneLine(err.Error()))
	}
}

// period is a duration that may be given in days.
type period time.Duration

func (p *period) String() string { return time.Duration(*p).String() }
func (p *period) Type() string   { return "D" }

func (p *period) Set(s string) error {
	if n, ok := strings.CutSuffix(s, "d"); ok {
		days, err := strconv.ParseFloat(n, 64)
		if err != nil || days < 0 || days > 100_000 {
			return errors.New("expected a duration like 14d or 36h")
		}
		*p = period(days * 24 * float64(time.Hour))
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return errors.New("expected a duration like 14d or 36h")
	}
	*p = period(d)
	return nil
}

// bytesize is a number of bytes that may be given in units of 1000 or 1024.
type bytesize int64

func (b *bytesize) String() string { return strconv.FormatInt(int64(*b), 10) }
func (b *bytesize) Type() string   { return "N" }

func (b *bytesize) Set(s string) error {
	number := strings.TrimRight(s, "KMGTiBkb")
	unit := strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(s[len(number):], "B"), "b"))
	base := 1000.0
	if u, ok := strings.CutSuffix(unit, "i"); ok {
		unit, base = u, 1024
	}
	factor := 1.0
	for i := strings.Index("kmgt", unit); unit != "" && i >= 0; i-- {
		factor *= base
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || n < 0 || n*factor > 1<<60 || len(unit) > 1 || unit == "" && base == 1024 {
		return errors.New("expected a size like 2GiB, 500MB or bytes")
	}
	*b = bytesize(n * factor)
	return nil
}
