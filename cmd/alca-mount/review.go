package main

import (
	"context"
	"os/signal"
	"strings"

	"golang.org/x/term"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/cmd/alca-mount/internal/patch"
	"github.com/alca-mount/alca-mount/cmd/alca-mount/internal/review"
	"github.com/alca-mount/alca-mount/launcher"
)

// canAsk reports whether there is somebody to show a screen to.
func (a *app) canAsk() bool {
	return term.IsTerminal(int(a.stdin.Fd())) && term.IsTerminal(int(a.stderr.Fd())) && a.getenv("TERM") != "dumb"
}

// review asks the user what of the proposals comes home.
func (a *app) review(ctx context.Context, list []autosync.Proposal) (launcher.Verdict, error) {
	changes := make([]review.Change, len(list))
	for i, p := range list {
		changes[i] = reviewed(p)
	}
	told, stop := signal.NotifyContext(ctx, unignored(stopping())...) // CMD, which they went to, is gone
	defer stop()
	marks, err := review.Ask(told, changes, a.out().color, a.stdin, a.stderr)
	if told.Err() != nil && ctx.Err() == nil { // as if it were left without a word: all waits
		err = nil
	}
	var v launcher.Verdict
	for i, m := range marks {
		switch m {
		case review.Approved:
			v.Approved = append(v.Approved, list[i])
		case review.Discarded:
			v.Discarded = append(v.Discarded, list[i])
		}
	}
	return v, err
}

func reviewed(p autosync.Proposal) review.Change {
	f := patch.File{OldPath: string(p.Path), NewPath: string(p.Path), OldMode: gitMode(p.Old), NewMode: gitMode(p.New)}
	name := show(string(p.Path))
	if p.From != "" {
		f.OldPath = string(p.From)
		name = show(string(p.From)) + " → " + name
	}
	return review.Change{Name: name, Status: f.Status(), Note: oneLine(p.Held), Diff: func() []string {
		full, err := fileOf(p)
		if err != nil {
			return []string{oneLine(err.Error())}
		}
		return strings.Split(strings.TrimSuffix(patch.Visible(full.Text()), "\n"), "\n")
	}}
}
