package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/launcher"
)

func (a *app) buildCommand() *cobra.Command {
	flags := &runFlags{build: true}
	var artifacts []string
	c := &cobra.Command{
		Use:   "build [flags] [--artifact PATH…] -- CMD [ARG…]",
		Short: "Run a command on a snapshot, and bring home only what it is to make",
		Long: `Run CMD on a mirror of the project from which nothing comes home but the files and directories that --artifact names, and
these only when CMD succeeds. They may be what the built-in list leaves out (dist, target …), but not what is hidden,
read-only or guarded. What they replace is kept in the session.`,
		Example: "  alca-mount build --artifact dist --artifact report.xml -- npm run build",
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			command, err := commandOf(c, args, false)
			if err == nil && c.Flags().Changed("sync") {
				err = errors.New("build --sync: nothing is synced in a build; --artifact PATH names what comes home")
			}
			if err == nil && (flags.dryRun || a.json) {
				err = errors.New("build has neither --dry-run nor --json: alca-mount --dry-run shows what the mirror is like")
			}
			if err == nil {
				err = a.settleRun(c, flags)
			}
			if err != nil {
				return err
			}
			for _, text := range artifacts {
				p, err := overlayPath(text)
				if err != nil {
					return fmt.Errorf("--artifact %w", err)
				}
				flags.artifacts = append(flags.artifacts, p)
			}
			flags.sync.value = string(launcher.SyncOff)
			return a.runOn(c.Context(), flags, command)
		},
	}
	flags.add(c.Flags())
	c.Flags().StringArrayVar(&artifacts, "artifact", nil, "bring `PATH`, a file or directory, home when CMD succeeds; repeatable")
	_ = c.Flags().MarkHidden("sync")
	return c
}

// broughtArtifacts reports whether something was to come home, and CMD succeeded.
func (r *runFlags) broughtArtifacts(res launcher.Result) bool {
	return len(r.artifacts) > 0 && res.ExitCode == 0 && len(res.Missing) == 0
}

// artifactsTold is the exit of a build whose command succeeded: 1 where an artifact is missing, or in part not home.
func (a *app) artifactsTold(res launcher.Result) error {
	if len(res.Missing) > 0 {
		a.out().warn("missing: %d; CMD did not make these artifacts, and none was brought home:", len(res.Missing))
		for _, item := range pathItems(res.Missing) {
			a.out().item(item)
		}
		return &exitError{code: exitPartly}
	}
	for _, list := range [][]autosync.PathNote{res.Changes.Refused, res.Changes.Held, res.Changes.Orphans} {
		if len(list) > 0 {
			return &exitError{code: exitPartly} // the end lines name them
		}
	}
	return nil
}
