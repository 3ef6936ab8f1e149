package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/cmd/alca-mount/internal/patch"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

type diffFlags struct{ stat, names, exitCode, conflict bool }

func (a *app) diffCommand() *cobra.Command {
	flags := &diffFlags{}
	c := &cobra.Command{
		Use:   "diff SESSION [PATH…] [--stat|--name-status] [--exit-code] [--conflict]",
		Short: "Show what a mirror would bring to the project",
		Long: `Show what the mirror of SESSION would bring to the project, as a patch that git apply takes: changed, new, deleted and
renamed files, and what is held. Of a session whose mirror is gone: what is held in it. With --conflict: your versions
that lost a conflict, against what is in the project now.`,
		Args:              a.sessionAndPaths(),
		ValidArgsFunction: completeSession,
		RunE: func(c *cobra.Command, args []string) error {
			if flags.stat && flags.names {
				return errors.New("--stat and --name-status: give one of them")
			}
			ctx, stop := interruptible(c.Context())
			defer stop()
			return stopped(ctx, a.diff(ctx, flags, args[0], args[1:]))
		},
	}
	f := c.Flags()
	f.BoolVar(&flags.stat, "stat", false, "only how many lines of which file change")
	f.BoolVar(&flags.names, "name-status", false, "only the names, each with a letter for what happens to it: A, D, M, R, T")
	f.BoolVar(&flags.exitCode, "exit-code", false, "exit with 1 if there is anything")
	f.BoolVar(&flags.conflict, "conflict", false, "what lost a conflict, against what won")
	return c
}

func (a *app) diff(ctx context.Context, flags *diffFlags, spec string, paths []string) error {
	s, err := a.findSession(spec)
	if err != nil {
		return err
	}
	only, err := relPaths("diff", s, paths)
	if err != nil {
		return err
	}
	proposals, done, err := a.propose(ctx, s, only, flags.conflict)
	if err != nil {
		return err
	}
	defer done()
	err = a.showDiff(ctx, flags, proposals.List)
	o := a.out()
	if n := len(proposals.Trouble); n > 0 {
		o.warn("could not be looked at: %d", n)
		for _, item := range noteItems(proposals.Trouble) {
			o.item(item)
		}
	}
	if err == nil && (len(proposals.Trouble) > 0 || flags.exitCode && len(proposals.List) > 0) {
		return &exitError{code: exitPartly}
	}
	return err
}

// propose finds what a session would bring: from its mirror, or where that is gone from what is held.
func (a *app) propose(ctx context.Context, s *mirror.Session, only []safety.RelPath, conflict bool) (*autosync.Proposals, func(), error) {
	var ps *autosync.Proposals
	var err error
	var m *mirror.Mirror
	switch {
	case conflict:
		ps, err = autosync.LostConflicts(s, only)
	case !hasMirror(s):
		ps, err = autosync.ProposeHeld(s, only)
	default:
		var guard *dotfiles.Guard
		if m, guard, err = a.attachSettled(ctx, s); err == nil {
			ps, err = autosync.Propose(ctx, m, guard, only)
		}
	}
	done := func() {
		if ps != nil {
			ps.Close()
		}
		if m != nil {
			m.Close()
		}
	}
	if err != nil {
		done()
		return nil, nil, fmt.Errorf("diff %s: %w", s.ID, err)
	}
	return ps, done, nil
}

func hasMirror(s *mirror.Session) bool {
	if s.Mirror == "" {
		return false
	}
	_, err := os.Lstat(s.Mirror)
	return err == nil
}

// showDiff writes file by file, so that a large change does not have to fit into memory.
func (a *app) showDiff(ctx context.Context, flags *diffFlags, list []autosync.Proposal) error {
	if a.json {
		return a.diffJSON(ctx, list)
	}
	var stats []fileStat
	colour := a.colourOut()
	for _, p := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := fileOf(p)
		if err != nil {
			return err
		}
		text := ""
		switch {
		case flags.stat:
			stats = append(stats, statOf(f))
		case flags.names:
			text = nameStatus(f)
		case a.outIsTerminal() && !colour:
			text = patch.Visible(f.Text())
		case colour:
			text = patch.Colour(patch.Visible(f.Text()))
		default:
			text = f.Text()
		}
		if err := a.write([]byte(text)); err != nil {
			return err
		}
	}
	if flags.stat {
		return a.write([]byte(statText(stats)))
	}
	return nil
}

func (a *app) outIsTerminal() bool { return term.IsTerminal(int(a.stdout.Fd())) }

func (a *app) colourOut() bool {
	return a.outIsTerminal() && !a.noColor && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"
}

// fileOf reads both versions of a proposal.
func fileOf(p autosync.Proposal) (patch.File, error) {
	f := patch.File{OldPath: string(p.Path), NewPath: string(p.Path), OldMode: gitMode(p.Old), NewMode: gitMode(p.New)}
	if p.From != "" {
		f.OldPath = string(p.From)
	}
	var err error
	if f.Old, err = p.Old.Content(); err == nil {
		f.New, err = p.New.Content()
	}
	if err != nil {
		return f, fmt.Errorf("read %s: %w", show(string(p.Path)), err)
	}
	return f, nil
}

func gitMode(v autosync.Version) uint32 {
	switch {
	case v.Kind == safety.Symlink:
		return patch.Link
	case v.Kind == safety.Absent:
		return 0
	case v.Mode&0o100 != 0:
		return patch.Executable
	}
	return patch.Regular
}

func nameStatus(f patch.File) string {
	if f.Status() == "R" {
		return "R100\t" + patch.Quote(f.OldPath) + "\t" + patch.Quote(f.NewPath) + "\n"
	}
	return f.Status() + "\t" + patch.Quote(f.NewPath) + "\n"
}

// fileStat is a line of --stat.
type fileStat struct {
	name           string
	added, removed int
	binary         bool
}

func statOf(f patch.File) fileStat {
	s := fileStat{name: patch.Quote(f.NewPath), binary: f.Binary()}
	if f.OldPath != f.NewPath {
		s.name = patch.Quote(f.OldPath) + " => " + s.name
	}
	s.added, s.removed = f.Counts()
	return s
}

const statWidth = 40 // of the longest bar

func statText(stats []fileStat) string {
	if len(stats) == 0 {
		return ""
	}
	width, most, added, removed := 0, 1, 0, 0
	for _, s := range stats {
		width, most = max(width, len([]rune(s.name))), max(most, s.added+s.removed)
		added, removed = added+s.added, removed+s.removed
	}
	var b strings.Builder
	for _, s := range stats {
		fmt.Fprintf(&b, " %-*s | ", width, s.name)
		if s.binary {
			b.WriteString("Bin\n")
			continue
		}
		fmt.Fprintf(&b, "%*d %s%s\n", len(fmt.Sprint(most)), s.added+s.removed, bar('+', s.added, most), bar('-', s.removed, most))
	}
	fmt.Fprintf(&b, " %s changed, %s added, %s removed\n", count(len(stats), "file"), count(added, "line"), count(removed, "line"))
	return b.String()
}

// bar is n of most, at least one sign for anything.
func bar(sign rune, n, most int) string {
	if n > 0 && most > statWidth {
		n = max(1, n*statWidth/most)
	}
	return strings.Repeat(string(sign), n)
}

type jsonDiff struct {
	jsonPath
	Status  string      `json:"status"` // added, deleted, modified, renamed, type
	From    *listedPath `json:"from,omitempty"`
	OldMode string      `json:"old_mode,omitempty"`
	NewMode string      `json:"new_mode,omitempty"`
	Binary  bool        `json:"binary,omitempty"`
	Added   int         `json:"added"`
	Removed int         `json:"removed"`
	Held    string      `json:"held,omitempty"`
}

func (a *app) diffJSON(ctx context.Context, list []autosync.Proposal) error {
	out := []jsonDiff{}
	for _, p := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := fileOf(p)
		if err != nil {
			return err
		}
		words := map[string]string{"A": "added", "D": "deleted", "M": "modified", "R": "renamed", "T": "type"}
		d := jsonDiff{jsonPath: pathFields(string(p.Path)), Status: words[f.Status()], Binary: f.Binary(), Held: p.Held}
		if p.From != "" {
			from := listedPath(p.From)
			d.From = &from
		}
		d.OldMode, d.NewMode = modeText(f.OldMode), modeText(f.NewMode)
		d.Added, d.Removed = f.Counts()
		out = append(out, d)
	}
	return a.answer(out)
}

func modeText(mode uint32) string {
	if mode == 0 {
		return ""
	}
	return fmt.Sprintf("%06o", mode)
}
