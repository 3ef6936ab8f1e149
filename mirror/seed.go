package mirror

import (
	"context"
	"fmt"
	"path"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// CopyExcluded copies the directory p of a project, which the policy leaves out of mirrors, to p below the empty directory
// to: what the agent is to have of its own in its place. What a rule hides in it stays hidden, and so does .git; read-only
// is nothing in it. Links stay as they are where they lead out of the project by a whole path: programs of the machine
// are found so. Of the options Policy, Workers and Progress count.
func CopyExcluded(ctx context.Context, projectDir string, p safety.RelPath, to string, opts Options) (Built, error) {
	project, err := safety.OpenRoot(projectDir)
	if err != nil {
		return Built{}, err
	}
	defer project.Close()
	root, err := safety.OpenRoot(to)
	if err != nil {
		return Built{}, err
	}
	defer root.Close()
	if parent := p.Dir(); parent != safety.Top {
		if err := root.MkdirAll(parent, 0o700); err != nil {
			return Built{}, err
		}
	}
	m := &Mirror{Project: project, Root: root, Policy: opts.Policy, Base: NewBase(), Options: opts}
	v := m.view(ProjectSide)
	v.unprotected, v.apart = true, true
	b := newBuilder(v, m)
	defer b.close()
	if err := b.runFrom(ctx, buildJob{scanJob: scanJob{path: p, access: dotfiles.Writable}}); err != nil {
		return Built{}, fmt.Errorf("copy %s: %w", p, err)
	}
	built := b.collect()
	built.Dirs, err = b.finish()
	sortSkipped(built.Skipped)
	return built, err
}

// decideLink is DecideLink, but for what is kept apart from the mirror's own files.
func (v view) decideLink(p safety.RelPath, target string) LinkVerdict {
	if v.apart && path.IsAbs(target) {
		if _, inside := below(v.root.Path(), path.Clean(target)); !inside {
			return LinkVerdict{Action: KeepLink, Target: target}
		}
	}
	return DecideLink(v.root, v.policy, v.links, v.root.Path(), p, target)
}
