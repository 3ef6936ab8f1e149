package autosync

import (
	"slices"
)

// Plus is what was done by c and, after it, by later. What waits or stays behind (Held, Orphans, Failed, NewInExcluded,
// PendingDelete, Halted) is as later says.
func (c Changes) Plus(later Changes) Changes {
	out := later
	out.ToProject, out.ToMirror = slices.Concat(c.ToProject, later.ToProject), slices.Concat(c.ToMirror, later.ToMirror)
	out.Deleted, out.Conflicts = slices.Concat(c.Deleted, later.Deleted), slices.Concat(c.Conflicts, later.Conflicts)
	out.Refused = slices.Concat(toldNoMore(c.Refused, later.Refused), later.Refused)
	out.Commits = slices.Concat(c.Commits, later.Commits)
	out.Recovered = slices.Concat(c.Recovered, later.Recovered)
	out.Lost = slices.Concat(c.Lost, later.Lost)
	out = out.clone()
	out.sort()
	return out
}

// toldNoMore are the notes that later ones do not tell again: what still lies in the mirror is noted by every pass.
func toldNoMore(notes, later []PathNote) []PathNote {
	var out []PathNote
	for _, n := range notes {
		again := func(l PathNote) bool { return l.Path == n.Path && (n.Kept == "" || l.Kept == n.Kept) }
		if !slices.ContainsFunc(later, again) {
			out = append(out, n)
		}
	}
	return out
}
