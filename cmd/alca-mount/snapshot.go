package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/alca-mount/alca-mount/mirror"
)

// snapshotFlags are snapshot's. Those of a mirror that mean nothing for it are refused.
type snapshotFlags struct {
	ruleFlags
	population *choice
	symlinks   *choice
	mtime      string
	owner      *choice
}

func (a *app) snapshotCommand() *cobra.Command {
	flags := &snapshotFlags{}
	c := &cobra.Command{
		Use:   "snapshot [flags] DIR|-",
		Short: "Write what the rules let through to a directory, or as a tar",
		Long: `Write the project without what the rules hide or leave out to DIR, which must be empty or not there, or as a tar on
stdout (-): for the build of an image, say. There is no .git in it, and the modes are the project's own. Nothing comes
back from it. Two tars of one tree are the same bytes.`,
		Example: "  alca-mount snapshot - | docker build -\n  alca-mount snapshot --mtime 0 - | sha256sum",
		Args:    args(1, 1, "a directory, or - for a tar on stdout"),
		RunE: func(c *cobra.Command, given []string) error {
			if err := flags.refuse(c.Flags(), given[0]); err != nil {
				return err
			}
			if err := a.settleRules(c.Flags(), &flags.ruleFlags); err != nil {
				return err
			}
			ctx, stop := interruptible(c.Context())
			defer stop()
			return stopped(ctx, a.snapshot(ctx, flags, given[0]))
		},
	}
	flags.add(c.Flags())
	return c
}

func (s *snapshotFlags) add(f *pflag.FlagSet) {
	s.ruleFlags.add(f)
	s.population, s.symlinks = addHow(f)
	f.StringVar(&s.mtime, "mtime", "source", "of a tar: `SECONDS` since 1970 as the time of every entry, or source")
	s.owner = choiceVar(f, "owner", "root", "of a tar: 0:0, or the numbers of the files' owners", "root", "keep")
	_ = f.MarkHidden("git")
}

// refuse says no to flags that would do nothing.
func (s *snapshotFlags) refuse(f *pflag.FlagSet, to string) error {
	if f.Changed("git") {
		return errors.New("--git: a snapshot has no .git; use alca-mount create --git copy for a directory with one")
	}
	if to == "-" {
		_, err := s.tarTime()
		return err
	}
	for _, name := range []string{"mtime", "owner"} {
		if f.Changed(name) {
			return fmt.Errorf("--%s: it is of a tar: expected - and not the directory %s", name, show(to))
		}
	}
	return nil
}

func (s *snapshotFlags) tarTime() (*time.Time, error) {
	if s.mtime == "source" {
		return nil, nil
	}
	seconds, err := strconv.ParseInt(s.mtime, 10, 64)
	if err != nil || seconds < 0 {
		return nil, fmt.Errorf("--mtime %q: expected seconds since 1970, or source", s.mtime)
	}
	at := time.Unix(seconds, 0)
	return &at, nil
}

func (a *app) snapshot(ctx context.Context, flags *snapshotFlags, to string) error {
	began := time.Now()
	o := a.out()
	if a.json {
		return errors.New("--json: snapshot has no data of its own")
	}
	if to == "-" && term.IsTerminal(int(a.stdout.Fd())) {
		return errors.New("snapshot -: stdout is a terminal: expected a file or a pipe to write a tar to")
	}
	where, policy, err := a.prepare(&mirrorFlags{ruleFlags: flags.ruleFlags}, nil)
	if err != nil {
		return err
	}
	tellRules(o, policy)
	bar := newProgress(o)
	opts := mirror.Options{
		Policy: policy, Agent: flags.agent, Progress: bar.show,
		Population: populationOf(flags.population), Links: linksOf(flags.symlinks),
	}
	var built mirror.Built
	if to == "-" {
		built, err = a.snapshotTar(ctx, flags, where.project, opts)
	} else {
		built, err = mirror.Snapshot(ctx, where.project, to, opts)
	}
	bar.done()
	if err != nil {
		return err
	}
	tellSkipped(o, built.Skipped)
	o.say("%s · %s hidden · %s", filesText(built), grouped(built.Hidden), humanTime(time.Since(began)))
	return nil
}

func (a *app) snapshotTar(ctx context.Context, flags *snapshotFlags, project string, opts mirror.Options) (built mirror.Built, err error) {
	state, err := stateFor(project)
	if err != nil {
		return built, err
	}
	at, err := flags.tarTime()
	if err != nil {
		return built, err
	}
	if opts.Session, err = state.New(project, mirror.Record{Agent: flags.agent}); err != nil {
		return built, err
	}
	defer func() { err = errors.Join(err, opts.Session.Remove()) }()
	out := bufio.NewWriterSize(a.stdout, 1<<16)
	built, err = mirror.SnapshotTar(ctx, project, out, mirror.TarOptions{Options: opts, Mtime: at, KeepOwners: flags.owner.value == "keep"})
	if err != nil {
		return built, err
	}
	return built, out.Flush()
}
