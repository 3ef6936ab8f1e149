package mirror

import (
	"context"
	"fmt"

	"github.com/alca-mount/alca-mount/mirror/internal/gitrepo"
	"github.com/alca-mount/alca-mount/safety"
)

// choosePopulation turns Auto into what is possible for the project.
func choosePopulation(project string, asked Population) (Population, error) {
	if asked == Walk {
		return Walk, nil
	}
	err := gitrepo.Usable(project)
	switch {
	case err == nil:
		return Git, nil
	case asked == Auto:
		return Walk, nil
	}
	return 0, fmt.Errorf("population git: %w", err)
}

// gitFiles is what git would list, with the directories above.
type gitFiles map[safety.RelPath]bool // path → is a directory

func readGitFiles(ctx context.Context, project string) (gitFiles, error) {
	paths, err := gitrepo.Files(ctx, project)
	if err != nil {
		return nil, fmt.Errorf("population git: %w", err)
	}
	files := make(gitFiles, len(paths)+len(paths)/8)
	for _, s := range paths {
		p, err := safety.ParseRelPath(s)
		if err != nil {
			return nil, fmt.Errorf("population git: %w", err)
		}
		files[p] = false
		for dir, _ := split(p); dir != safety.Top && !files[dir]; dir, _ = split(dir) {
			files[dir] = true
		}
	}
	return files, nil
}

func (g gitFiles) has(p safety.RelPath, isDir bool) bool {
	dir, ok := g[p]
	return ok && dir == isDir
}

// population is what of a side counts besides the policy; nil: all.
func (m *Mirror) population(ctx context.Context, side Side) (filter, error) {
	if m.Built.Population != Git {
		return nil, nil
	}
	files, err := readGitFiles(ctx, m.Project.Path())
	if err != nil || side == ProjectSide {
		return files.has, err
	}
	ignored := newIgnoring(m.Project, m.Root)
	return func(p safety.RelPath, isDir bool) bool {
		return files.has(p, isDir) || !m.Base.Get(p).State.Absent() || !ignored.ignores(p, isDir)
	}, nil
}
