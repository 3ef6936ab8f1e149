package mirror

import (
	"iter"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
)

// sortedWalk goes through what is kept directory by directory, in the order of whole paths as strings: in that, "a" is
// before "a-b" and that before "a/b", so that what is below a directory comes after some of its siblings.
type sortedWalk[E any] struct {
	below func(dir safety.RelPath) []string             // the directories in a directory that have something in them
	in    func(dir safety.RelPath) iter.Seq2[string, E] // what is in a directory, sorted by name
}

// walk yields all below dir; false: yield did not want more.
func (w sortedWalk[E]) walk(dir safety.RelPath, yield func(safety.RelPath, E) bool) bool {
	below := slices.Clone(w.below(dir))
	slices.SortFunc(below, func(a, b string) int { return strings.Compare(a+"/", b+"/") })
	for name, e := range w.in(dir) {
		for ; len(below) > 0 && below[0]+"/" < name; below = below[1:] {
			if !w.walk(dir.Join(below[0]), yield) {
				return false
			}
		}
		if !yield(dir.Join(name), e) {
			return false
		}
	}
	for _, name := range below {
		if !w.walk(dir.Join(name), yield) {
			return false
		}
	}
	return true
}
