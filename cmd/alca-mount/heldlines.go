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
