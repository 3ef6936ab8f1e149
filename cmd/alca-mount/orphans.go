package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

type orphanFlags struct {
	session, to string
	all         bool
}

func (a *app) orphansCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "orphans [ls|restore|rm]",
		Short: "What agents made at paths that a rule hides",
		Long: `What an agent makes at a path that a rule hides never comes home. It is kept for the project, outside of it, and is
there again in the mirror of the next session. Without a word: ls.`,
		Args: args(0, 0, "ls, restore or rm"),
		RunE: func(*cobra.Command, []string) error { return a.listOrphans() },
	}
	ls := &cobra.Command{
		Use: "ls", Short: "List them", Args: args(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error { return a.listOrphans() },
	}
	c.AddCommand(ls, a.orphansRestoreCommand(), a.orphansRmCommand())
	return c
}

func (a *app) orphansRestoreCommand() *cobra.Command {
	flags := &orphanFlags{}
	c := &cobra.Command{
		Use:   "restore PATH… --to DIR [--session SESSION]",
		Short: "Copy some to a directory outside of the project",
		Long: `Copy orphans to DIR, each under its own path. DIR must be there, and lie outside of the project: nothing comes into it
at a path that a rule hides. Nothing is overwritten, and the orphans stay. Where sessions left several versions of a
path, --session says whose.`,
		Args: args(1, -1, "paths"),
		RunE: func(c *cobra.Command, paths []string) error {
			if flags.to == "" {
				return errors.New("orphans restore: --to DIR is missing: where to")
			}
			to, err := destination(flags.to)
			if err != nil {
				return err
			}
			return a.onOrphans(flags, paths, func(o orphans, one mirror.Orphan) (jsonOrphan, error) {
				return a.restoreOrphan(c.Context(), o, one, to)
			})
		},
	}
	c.Flags().StringVar(&flags.to, "to", "", "the `DIR` to copy to")
	c.Flags().StringVar(&flags.session, "session", "", "those of `SESSION` only")
	return c
}

func (a *app) orphansRmCommand() *cobra.Command {
	flags := &orphanFlags{}
	c := &cobra.Command{
		Use:   "rm PATH…|--all [--session SESSION]",
		Short: "Remove some for good",
		Args:  args(0, -1, "paths"),
		RunE: func(_ *cobra.Command, paths []string) error {
			if flags.all == (len(paths) > 0) {
				return errors.New("orphans rm: expected paths, or --all")
			}
			return a.onOrphans(flags, paths, func(o orphans, one mirror.Orphan) (jsonOrphan, error) {
				return orphanJSON(one, ""), o.state.RemoveOrphan(o.project, one)
			})
		},
	}
	c.Flags().BoolVar(&flags.all, "all", false, "all of the project's")
	c.Flags().StringVar(&flags.session, "session", "", "those of `SESSION` only")
	return c
}

// orphans are a project's.
type orphans struct {
	state   *mirror.StateDir
	project string
	list    []mirror.Orphan
}

func (a *app) findOrphans() (orphans, error) {
	where, err := findPlace(a.project)
	if err != nil {
		return orphans{}, err
	}
	o := orphans{project: where.project}
	if o.state, err = mirror.DefaultStateDir(); err != nil {
		return o, err
	}
	policy, err := dotfiles.Read(where.project, "")
	if err != nil {
		return o, err
	}
	o.list, err = o.state.Orphans(where.project, policy)
	return o, err
}

type jsonOrphan struct {
	jsonPath
	Session string    `json:"session"`
	Kind    string    `json:"kind"`
	Files   int       `json:"files"`
	Bytes   int64     `json:"bytes"`
	Stored  time.Time `json:"stored"`
	Kept    string    `json:"kept"`
	To      string    `json:"to,omitempty"`
}

func orphanJSON(o mirror.Orphan, to string) jsonOrphan {
	return jsonOrphan{
		jsonPath: pathFields(string(o.Path)), Session: o.Session, Kind: o.Kind.String(), Files: o.Files, Bytes: o.Bytes,
		Stored: o.Stored.UTC(), Kept: o.Place, To: to,
	}
}

func (a *app) listOrphans() error {
	o, err := a.findOrphans()
	if err != nil {
		return err
	}
	if a.json {
		rows := []jsonOrphan{}
		for _, one := range o.list {
			rows = append(rows, orphanJSON(one, ""))
		}
		return a.answer(rows)
	}
	return a.write([]byte(orphanTable(o.list, time.Now())))
}

func orphanTable(list []mirror.Orphan, now time.Time) string {
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SESSION\tAGE\tFILES\tSIZE\tPATH")
	for _, o := range list {
		name := string(o.Path)
		if o.Kind == safety.Directory {
			name += "/"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", show(o.Session), age(o.Stored, now), grouped(o.Files), humanBytes(o.Bytes), show(name))
	}
	w.Flush()
	return b.String()
}

// onOrphans does something with each orphan that is asked for, and tells which.
func (a *app) onOrphans(flags *orphanFlags, paths []string, do func(orphans, mirror.Orphan) (jsonOrphan, error)) error {
	if a.getenv("ALCA_MOUNT_SESSION") != "" {
		return errors.New("orphans are the user's to restore or remove: not inside a session (ALCA_MOUNT_SESSION is set)")
	}
	o, err := a.findOrphans()
	if err != nil {
		return err
	}
	chosen, err := chooseOrphans(o, flags, paths)
	if err != nil {
		return err
	}
	done, failed := []jsonOrphan{}, 0
	for _, one := range chosen {
		row, err := do(o, one)
		if err != nil {
			a.out().failure(fmt.Errorf("%s: %w", show(string(one.Path)), err))
			failed++
			continue
		}
		done = append(done, row)
		a.out().more("%s", show(string(one.Path)))
	}
	if a.json {
		err = a.answer(done)
	} else {
		a.out().say("done: %s", count(len(done), "orphan"))
	}
	if err == nil && failed > 0 {
		return &exitError{code: exitPartly}
	}
	return err
}

// chooseOrphans finds what paths name. Of several versions of one none is taken by chance.
func chooseOrphans(o orphans, flags *orphanFlags, paths []string) ([]mirror.Orphan, error) {
	var of []mirror.Orphan
	for _, one := range o.list {
		if strings.HasPrefix(one.Session, flags.session) {
			of = append(of, one)
		}
	}
	if flags.all {
		return of, nil
	}
	var out []mirror.Orphan
	for _, p := range paths {
		rel := strings.TrimSuffix(p, "/")
		if filepath.IsAbs(p) {
			rel = below(rel, o.project)
		}
		var fits []mirror.Orphan
		for _, one := range of {
			if string(one.Path) == filepath.ToSlash(rel) {
				fits = append(fits, one)
			}
		}
		switch {
		case len(fits) == 0:
			return nil, fmt.Errorf("%s: no such orphan of %s; alca-mount orphans lists them", show(p), show(o.project))
		case len(fits) > 1:
			return nil, fmt.Errorf("%s: %d sessions left one; --session %s or another says whose; alca-mount orphans lists them", show(p), len(fits), fits[len(fits)-1].Session)
		}
		out = append(out, fits[0])
	}
	return out, nil
}

// destination is the real path of the directory that --to names.
func destination(dir string) (string, error) {
	to, err := filepath.Abs(dir)
	if err == nil {
		to, err = filepath.EvalSymlinks(to)
	}
	if err == nil {
		_, err = os.ReadDir(to)
	}
	if err != nil {
		return "", fmt.Errorf("--to %s: expected a directory that is there: %w", show(dir), bareErr(err))
	}
	return to, nil
}

func (a *app) restoreOrphan(ctx context.Context, o orphans, one mirror.Orphan, to string) (jsonOrphan, error) {
	for _, not := range []string{o.project, o.state.Path()} {
		if safety.Inside(not, filepath.Join(to, filepath.FromSlash(string(one.Path)))) {
			return jsonOrphan{}, fmt.Errorf("--to %s: expected a directory outside of %s", show(to), show(not))
		}
	}
	place, err := o.state.CopyOrphan(ctx, o.project, one, to)
	return orphanJSON(one, place), err
}
