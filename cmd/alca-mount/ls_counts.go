package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/mirror"
)

// jsonCounts is what a session's end brought and what waits in it, in paths; commits are branches that came home.
type jsonCounts struct {
	Changed   int `json:"changed"`
	Deleted   int `json:"deleted"`
	Held      int `json:"held"`
	Conflicts int `json:"conflicts"`
	Orphans   int `json:"orphans"`
	Commits   int `json:"commits"`
}

// countsOf counts what is noted of a session's end; nil where nothing is. What is held counts as long as it waits.
func countsOf(s *mirror.Session) *jsonCounts {
	stored := readChanges(s)
	if stored == nil {
		return nil
	}
	length := func(kind string) int { return len(stored.list(kind)) }
	c := &jsonCounts{
		Changed: length("to_project"), Deleted: length("deleted"), Held: length("held"),
		Conflicts: length("conflicts"), Orphans: length("orphans"), Commits: length("commits"),
	}
	if s.OnlyKeeps() {
		held, err := autosync.ReadHeld(s.Dir())
		if err == nil {
			c.Held = len(held)
		}
	}
	return c
}

// text has what there is, "-" for nothing.
func (c *jsonCounts) text() string {
	if c == nil {
		return "-"
	}
	var parts []string
	for _, of := range []struct {
		n    int
		what string
	}{
		{c.Changed, "changed"}, {c.Deleted, "deleted"}, {c.Held, "held"}, {c.Conflicts, "in conflict"}, {c.Orphans, "orphaned"}, {c.Commits, "committed"},
	} {
		if of.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", of.n, of.what))
		}
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}

// overlayPatience bounds how long overlays are measured to be mentioned.
const overlayPatience = 200 * time.Millisecond

// tellOverlays mentions what agents' overlays of the project take, and those that nothing used for longer than after:
// they are no session's, and so no session's end removes them.
func (a *app) tellOverlays(after time.Duration) {
	list, err := a.findOverlays()
	if err != nil || len(list) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), overlayPatience)
	defer cancel()
	a.out().say("%s", overlayNote(list, func(o launcher.KeptOverlay) (int64, bool) { return o.Size(ctx) }))
	for _, o := range list {
		if stale := !o.InUse && !o.Used.IsZero() && time.Since(o.Used) > after; stale {
			agent := ""
			if o.Agent != "" {
				agent = " --agent " + o.Agent
			}
			a.out().item(fmt.Sprintf("%s  not used for %s: alca-mount overlays rm %s%s", show(string(o.Path)+"/"), age(o.Used, time.Now()), show(string(o.Path)), agent))
		}
	}
}

// overlayNote is one line on the overlays of a project. A size that could not be measured to the end is a lower bound.
func overlayNote(list []launcher.KeptOverlay, size func(launcher.KeptOverlay) (int64, bool)) string {
	var sum int64
	atLeast := ""
	for _, o := range list {
		n, whole := size(o)
		if sum += n; !whole {
			atLeast = "at least "
		}
	}
	return fmt.Sprintf("kept beside sessions: %s of this project, %s%s: alca-mount overlays", count(len(list), "overlay"), atLeast, humanBytes(sum))
}
