package mirror

import (
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
)

// ignoring tells what git ignores of paths that only the mirror has: by the project's .gitignore files and
// .git/info/exclude, and by the mirror's .gitignore where the project has no such file. It is safe for concurrent use.
type ignoring struct {
	project, mirror *safety.Root

	mu   sync.Mutex
	dirs map[safety.RelPath]ignoreDir
}

type ignoreDir struct {
	ignored  bool // the directory itself, so all in it
	patterns []gitignore.Pattern
}

// maxIgnoreFile bounds what of a .gitignore is read: the agent writes the mirror's.
const maxIgnoreFile = 1 << 20

func newIgnoring(project, mirror *safety.Root) *ignoring {
	i := &ignoring{project: project, mirror: mirror, dirs: map[safety.RelPath]ignoreDir{}}
	exclude := readPatterns(project, gitDir+"/info/exclude", nil)
	i.dirs[safety.Top] = ignoreDir{patterns: append(exclude, i.own(safety.Top)...)}
	return i
}

func (i *ignoring) ignores(p safety.RelPath, isDir bool) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	dir, _ := split(p)
	in := i.dir(dir)
	return in.ignored || in.matches(p, isDir)
}

// dir is what holds in the directory p. The caller holds mu.
func (i *ignoring) dir(p safety.RelPath) ignoreDir {
	if d, ok := i.dirs[p]; ok {
		return d
	}
	above, _ := split(p)
	in := i.dir(above)
	d := ignoreDir{ignored: in.ignored || in.matches(p, true), patterns: in.patterns}
	if own := i.own(p); len(own) > 0 {
		d.patterns = slices.Concat(in.patterns, own)
	}
	i.dirs[p] = d
	return d
}

// matches asks the last pattern that matches.
func (d ignoreDir) matches(p safety.RelPath, isDir bool) bool {
	elems := strings.Split(string(p), "/")
	for _, pattern := range slices.Backward(d.patterns) {
		if m := pattern.Match(elems, isDir); m != gitignore.NoMatch {
			return m == gitignore.Exclude
		}
	}
	return false
}

// own reads the directory's own .gitignore.
func (i *ignoring) own(dir safety.RelPath) []gitignore.Pattern {
	var domain []string
	if dir != safety.Top {
		domain = strings.Split(string(dir), "/")
	}
	file := dir.Join(".gitignore")
	if info, err := i.project.Lstat(file); err == nil && info.Kind == safety.Absent {
		return readPatterns(i.mirror, file, domain)
	}
	return readPatterns(i.project, file, domain)
}

// readPatterns reads a pattern file. One that can't be read has no patterns, as in git.
func readPatterns(root *safety.Root, file safety.RelPath, domain []string) []gitignore.Pattern {
	f, _, err := root.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxIgnoreFile))
	if err != nil {
		return nil
	}
	var out []gitignore.Pattern
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		if line != "" && line[0] != '#' {
			out = append(out, gitignore.ParsePattern(line, domain))
		}
	}
	return out
}
