package mirror

import (
	"io"
	"slices"
	"sync"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// ignoring tells what git ignores of paths that only the mirror has: by the project's .gitignore files and
// .git/info/exclude, and by the mirror's .gitignore where the project has no such file. It is safe for concurrent use.
type ignoring struct {
	project, mirror *safety.Root

	mu   sync.Mutex
	dirs map[safety.RelPath]ignoreDir
}

type ignoreDir struct {
	ignored bool // the directory itself, so all in it
	levels  []ignoreLevel
}

// ignoreLevel is one pattern file and the directory that it governs.
type ignoreLevel struct {
	dir      safety.RelPath
	patterns dotfiles.Patterns
}

// maxIgnoreFile bounds what of a .gitignore is read: the agent writes the mirror's.
const maxIgnoreFile = 1 << 20

func newIgnoring(project, mirror *safety.Root) *ignoring {
	i := &ignoring{project: project, mirror: mirror, dirs: map[safety.RelPath]ignoreDir{}}
	exclude := readPatterns(project, gitDir+"/info/exclude")
	i.dirs[safety.Top] = ignoreDir{levels: []ignoreLevel{{safety.Top, exclude}, {safety.Top, i.own(safety.Top)}}}
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
	d := ignoreDir{
		ignored: in.ignored || in.matches(p, true),
		levels:  slices.Concat(in.levels, []ignoreLevel{{p, i.own(p)}}),
	}
	i.dirs[p] = d
	return d
}

// matches asks the deepest pattern file that decides.
func (d ignoreDir) matches(p safety.RelPath, isDir bool) bool {
	for _, l := range slices.Backward(d.levels) {
		rel := p
		if l.dir != safety.Top {
			rel = p[len(l.dir)+1:]
		}
		if ignored, decided := l.patterns.Match(string(rel), isDir); decided {
			return ignored
		}
	}
	return false
}

// own reads the directory's own .gitignore.
func (i *ignoring) own(dir safety.RelPath) dotfiles.Patterns {
	file := dir.Join(".gitignore")
	if info, err := i.project.Lstat(file); err == nil && info.Kind == safety.Absent {
		return readPatterns(i.mirror, file)
	}
	return readPatterns(i.project, file)
}

// readPatterns reads a pattern file. One that can't be read has no patterns, as in git.
func readPatterns(root *safety.Root, file safety.RelPath) dotfiles.Patterns {
	f, _, err := root.Open(file)
	if err != nil {
		return dotfiles.Patterns{}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxIgnoreFile))
	if err != nil {
		return dotfiles.Patterns{}
	}
	return dotfiles.ParsePatterns(text, string(file))
}
