package gitignore

// Pattern is one compiled pattern. It is immutable and matches without allocating.
type Pattern struct {
	negate, dirOnly, fold bool

	place   place
	name    segment   // what the last name of a path must match
	dirText string    // in: the directory; loose: the literal start of the path
	dirs    []segment // below: what the directories must match; loose: what follows the literal start
}

// place is how a pattern is bound to directories.
type place uint8

const (
	nowhere  place = iota // an invalid pattern
	anywhere              // in every directory
	in                    // in the one directory dirText
	below                 // in directories that match dirs
	loose                 // "a**/b": see loosePrefix
)

// never is the pattern of what git would not accept.
var never Pattern

// Negated reports whether the pattern re-includes what it matches.
func (p *Pattern) Negated() bool { return p.negate }

// OnlyWildcards reports whether the last name of the pattern has no byte of its own, as in "*", "/*" or "dir/**".
func (p *Pattern) OnlyWildcards() bool {
	switch p.name.kind {
	case anyName:
		return true
	case glob:
		for _, t := range p.name.glob {
			if t.kind == byteToken || t.kind == setToken {
				return false
			}
		}
		return true
	}
	return false
}

// Match reports whether the pattern, taken without its "!", matches the entry called name in the directory dir.
func (p *Pattern) Match(dir, name string, isDir bool) bool {
	if p.dirOnly && !isDir {
		return false
	}
	switch p.place {
	case anywhere:
		return p.name.match(name, p.fold)
	case in:
		return len(dir) == len(p.dirText) && p.name.match(name, p.fold) && same(dir, p.dirText, p.fold)
	case below:
		if !p.mayLieIn(dir) {
			return false
		}
		return p.name.match(name, p.fold) && matchDirs(p.dirs, dir, start(dir), p.fold)
	case loose:
		return p.matchLoose(dir, name)
	}
	return false
}

// mayLieIn compares the literal start of the first directory of a pattern with dir: a quick look.
func (p *Pattern) mayLieIn(dir string) bool {
	first := &p.dirs[0]
	if first.kind != literal && first.kind != prefix {
		return true
	}
	return len(dir) >= len(first.text) && same(dir[:len(first.text)], first.text, p.fold)
}

// start is where the first name of dir begins; the top has none.
func start(dir string) int {
	if dir == "" {
		return 1
	}
	return 0
}

func (p *Pattern) matchLoose(dir, name string) bool {
	path := name
	if dir != "" {
		path = dir + "/" + name
	}
	n := len(p.dirText)
	if len(path) < n || !same(path[:n], p.dirText, p.fold) {
		return false
	}
	return matchDirs(p.dirs, path[n:], 0, p.fold)
}
