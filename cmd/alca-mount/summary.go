package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// maxListed is how many paths of a kind the end lines name.
const maxListed = 20

// ending is all that the end lines are made of.
type ending struct {
	session    string
	changes    autosync.Changes
	store      string
	mirror     string // where it was kept
	whyKept    string
	strange    bool // the mirror has no marker any more: no command goes on with it
	left       int
	took       time.Duration
	dryRun     bool
	mirrorless bool   // what is done is done to a session whose mirror went before
	applied    bool   // with the user's word: no word lifts what is held still
	artifacts  bool   // nothing else comes home but commits
	unsent     string // why nothing was to come home; "" where it was
	earlier    int    // paths that came home before the session ended badly
	listAll    string // the command that lists what the end lines leave out; "" where none can: they name all
}

func endOf(r launcher.Result, took time.Duration) ending {
	if lacks(r.Store, "") { // the state directory was removed under our hands
		r.Store = ""
	}
	return ending{
		session: r.Session, changes: r.Changes, store: r.Store, mirror: r.Mirror, whyKept: r.WhyKept,
		strange: r.Mirror != "" && lacks(r.Mirror, safety.MarkerName), left: r.Left, took: took,
	}
}

func lacks(dir, name string) bool {
	_, err := os.Lstat(filepath.Join(dir, name))
	return errors.Is(err, fs.ErrNotExist)
}

// endBlock is one line of the end and the paths below it.
type endBlock struct {
	urgent bool // also under -q
	head   string
	items  []string
	brief  []string // in the place of items, unless all are to be told; nil: there is no briefer way
}

// endBlocks words an ending. It has no part in what happened: values in, words out.
func endBlocks(e ending) []endBlock {
	if e.session == "" {
		return nil // it did not get as far as a session
	}
	c := e.changes
	out := []endBlock{{head: endLine(e)}}
	list := func(head string, notes []autosync.PathNote) {
		if len(notes) > 0 {
			out = append(out, endBlock{urgent: true, head: fmt.Sprintf(head, len(notes)), items: noteItems(notes)})
		}
	}
	if len(c.Commits) > 0 {
		out = append(out, endBlock{head: commitHead(e), items: commitItems(c.Commits)})
	}
	if len(c.Recovered) > 0 {
		out = append(out, endBlock{head: fmt.Sprintf("cut short by a crash: %d, settled:", len(c.Recovered)), items: noteItems(c.Recovered)})
	}
	if n := len(c.Lost); n > 0 {
		out = append(out, endBlock{head: fmt.Sprintf("lost by the mirror in a power cut: %d; the project's versions count:", n), items: pathItems(c.Lost)})
	}
	list("conflicts: %d; the mirror's version is in the project, the other one is kept:", c.Conflicts)
	list("refused: %d; the agent may not change these:", c.Refused)
	out = append(out, heldBlocks(e)...)
	list("orphans: %d; made at hidden paths, kept, not brought home:", c.Orphans)
	where := "still in the mirror"
	if e.mirrorless {
		where = "still kept"
	}
	list("failed: %d; "+where+":", c.Failed)
	if n := len(c.NewInExcluded); n > 0 {
		out = append(out, endBlock{urgent: true, head: fmt.Sprintf("not brought home: %d; new in directories that are left out:", n), items: pathItems(c.NewInExcluded)})
	}
	return append(out, closingBlocks(e)...)
}

func closingBlocks(e ending) []endBlock {
	var out []endBlock
	say := func(urgent bool, format string, args ...any) {
		out = append(out, endBlock{urgent: urgent, head: fmt.Sprintf(format, args...)})
	}
	c := e.changes
	if c.Halted != "" {
		say(true, "syncing halted: %s", oneLine(c.Halted))
	}
	if emptied(c) && e.mirror == "" && !e.mirrorless { // of a command on a mirror that is there already
		say(true, "go on with: %s", nextStep(e))
	}
	if e.earlier > 0 {
		say(false, "%s", earlierLine(e.session, e.earlier))
	}
	if e.left > 0 {
		say(true, "ended %s that outlived the command", count(e.left, "process"))
	}
	if e.store != "" && !e.dryRun && len(c.Deleted)+len(c.Conflicts)+len(c.Refused)+len(c.ToProject) > 0 {
		text := "overwritten, deleted and refused versions are kept in " + show(e.store)
		if len(c.Deleted)+len(c.ToProject) > 0 {
			text += "; to take it all back: alca-mount undo " + e.session
		}
		say(len(c.Conflicts)+len(c.Refused) > 0, "%s", text)
	}
	if e.mirror != "" {
		why := ""
		if e.whyKept != "" && e.whyKept != c.Halted {
			why = " (" + oneLine(e.whyKept) + ")"
		}
		say(true, "the mirror is kept%s: %s", why, show(e.mirror))
		say(true, "go on with: %s", nextStep(e))
	}
	return out
}

// nextStep is what to do with a mirror that was kept.
func nextStep(e ending) string {
	next := "alca-mount sync %s, then alca-mount rm %[1]s"
	switch {
	case e.strange:
		next = "take what you need out of it by hand, then alca-mount rm --force %s"
	case e.whyKept == launcher.WhyNotRemoved:
		next = "alca-mount rm %s"
	case e.whyKept == launcher.WhyReview, emptied(e.changes):
		next = "alca-mount diff %s, alca-mount apply %[1]s or alca-mount discard %[1]s, then alca-mount rm %[1]s"
	}
	return fmt.Sprintf(next, e.session)
}

// emptied reports whether nothing was done because nothing is left in the mirror: only the user's word carries that.
func emptied(c autosync.Changes) bool { return c.Halted == autosync.ErrMirrorEmptied.Error() }

// onlyEmptied reports whether err says no more than that, which the end lines have said.
func onlyEmptied(err error) bool {
	return errors.Is(err, autosync.ErrMirrorEmptied) && !strings.Contains(err.Error(), "\n")
}

func endLine(e ending) string {
	c := e.changes
	did := "brought home"
	switch {
	case e.dryRun:
		did = "would bring home"
	case e.unsent != "":
		nothing := "nothing"
		if e.earlier > 0 {
			nothing = "nothing more"
		}
		return strings.Join([]string{nothing + " brought home (" + e.unsent + ")", "session " + e.session, humanTime(e.took)}, " · ")
	}
	parts := []string{fmt.Sprintf("%s: %d changed, %d deleted", did, len(c.ToProject), len(c.Deleted))}
	if n := len(c.ToMirror); n > 0 && e.mirror != "" { // else it went with the mirror
		parts = append(parts, fmt.Sprintf("to the mirror: %d", n))
	}
	if n := len(c.PendingDelete); n > 0 {
		parts = append(parts, count(n, "deletion")+" not carried")
	}
	return strings.Join(append(parts, "session "+e.session, humanTime(e.took)), " · ")
}

func commitHead(e ending) string {
	switch {
	case e.artifacts:
		return "commits brought home as refs, without their files:"
	case len(e.changes.ToProject)+len(e.changes.Deleted) == 0:
		return "commits brought home as refs:"
	}
	return "commits brought home as refs; their files came home as well, so commit or stash them before:"
}

// commitItems has the command that takes a branch over.
func commitItems(branches []mirror.BroughtBranch) []string {
	out := make([]string, len(branches))
	for i, b := range branches {
		out[i] = fmt.Sprintf("%s on %s: git merge %s", count(len(b.Commits), "commit"), show(b.Branch), shellWord(show(b.Ref)))
	}
	return out
}

// shellWord is a word of a command that is shown to be pasted: git allows names of branches that a shell would run.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune("_@%+=:,./-", r)
	}
	if s != "" && s[0] != '-' && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func noteItems(notes []autosync.PathNote) []string {
	out := make([]string, len(notes))
	for i, n := range notes {
		out[i] = show(string(n.Path))
		if n.Why != "" {
			out[i] += "  " + oneLine(n.Why)
		}
		if n.Kept != "" {
			out[i] += "  kept: " + show(n.Kept)
		}
	}
	return out
}

func pathItems(paths []safety.RelPath) []string {
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = show(string(p))
	}
	return out
}

// tellEnd prints an ending: at most maxListed paths of a kind, then how many more there are and what lists them.
func tellEnd(o *output, e ending) {
	for _, b := range endBlocks(e) {
		switch {
		case b.urgent:
			o.warn("%s", b.head)
		case !o.quiet:
			o.say("%s", b.head)
		default:
			continue
		}
		items, all := b.items, len(b.items)
		if b.brief != nil && !o.verbose && e.listAll != "" {
			items, all = append(b.brief, "each of them: "+e.listAll), len(b.brief)+1
		}
		if len(items) > maxListed && !o.verbose && e.listAll != "" {
			items = items[:maxListed]
		}
		for _, item := range items {
			o.item(item)
		}
		if more := all - len(items); more > 0 {
			o.item(fmt.Sprintf("… and %d more: %s", more, e.listAll))
		}
	}
}
