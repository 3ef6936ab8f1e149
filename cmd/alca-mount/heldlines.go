package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/safety"
)

// massListed is how many files of a mass deletion are named one by one.
const massListed = 3

// heldBlocks are the lines of what is held, with what helps: the user's word on what waits for it, and nothing on files
// of the project that only stay hidden.
func heldBlocks(e ending) []endBlock {
	var out []endBlock
	var waits, hidden []autosync.PathNote
	lifted, blocked := false, false
	for _, n := range e.changes.Held {
		if n.Hold == autosync.HoldRenamed {
			hidden = append(hidden, n)
			continue
		}
		waits = append(waits, n)
		blocked = blocked || n.Hold == autosync.HoldHidden
		lifted = lifted || n.Hold != autosync.HoldHidden && !e.applied
	}
	say := func(format string, args ...any) {
		out = append(out, endBlock{urgent: true, head: fmt.Sprintf(format, args...)})
	}
	if len(waits) > 0 {
		out = append(out, endBlock{urgent: true, head: fmt.Sprintf("held for your word: %d:", len(waits)), items: noteItems(waits), brief: heldBrief(waits)})
	}
	if lifted {
		say("to let it pass: alca-mount apply %s [PATH…]", e.session)
	}
	switch {
	case blocked:
		say("what hidden files are in the way of passes only when you have moved those; to turn it down: alca-mount discard %s [PATH…]", e.session)
	case len(waits) > 0 && e.applied:
		say("to turn it down: alca-mount discard %s [PATH…]", e.session)
	}
	if len(hidden) > 0 {
		out = append(out, endBlock{urgent: true, head: fmt.Sprintf("not given to the mirror: %d; hidden under another name before:", len(hidden)), items: pathItems(notePaths(hidden))})
	}
	return out
}

func notePaths(notes []autosync.PathNote) []safety.RelPath {
	out := make([]safety.RelPath, len(notes))
	for i, n := range notes {
		out[i] = n.Path
	}
	return out
}

// heldBrief words what is held with a mass deletion told by the directories at the project's top, not file by file; nil
// where there is none to speak of. Its directories, which only stay for what is in them, go without a word.
func heldBrief(held []autosync.PathNote) []string {
	in := map[string]int{}
	for _, n := range held {
		if n.Hold == autosync.HoldMassDelete {
			in[topOf(n.Path)]++
		}
	}
	var mass int
	for _, n := range in {
		mass += n
	}
	if mass <= massListed {
		return nil
	}
	var out []string
	told := map[string]bool{}
	for i, n := range held {
		top := topOf(n.Path)
		if n.Hold != autosync.HoldMassDelete {
			if n.Hold != autosync.HoldBlocked || !holdsMass(held, n.Path) {
				out = append(out, noteItems(held[i:i+1])...)
			}
			continue
		}
		if !told[top] {
			told[top] = true
			out = append(out, fmt.Sprintf("%s  %s of more than half of all files; --allow-mass-delete lets that pass", show(top), count(in[top], "deletion")))
		}
	}
	return out
}

// topOf is the directory at the project's top that p lies in, as a directory's name.
func topOf(p safety.RelPath) string {
	top, _, below := strings.Cut(string(p), "/")
	if !below {
		return "./"
	}
	return top + "/"
}

func holdsMass(held []autosync.PathNote, dir safety.RelPath) bool {
	return slices.ContainsFunc(held, func(n autosync.PathNote) bool {
		return n.Hold == autosync.HoldMassDelete && n.Path.In(dir)
	})
}
