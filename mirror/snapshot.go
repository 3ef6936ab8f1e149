package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/alca-mount/alca-mount/safety"
)

// Snapshot writes what the policy lets through to dir, which must not exist or be empty: no .git, no marker, no README,
// and with the project's own modes, since nothing flows back that would have to be protected. Of the options Policy,
// Agent, Population, Links, Workers and Progress count. On an error, what was written is removed again.
func Snapshot(ctx context.Context, projectDir, dir string, opts Options) (Built, error) {
	m, undo, err := snapshot(ctx, projectDir, dir, opts)
	if m != nil {
		err = errors.Join(err, m.Root.Close())
	}
	if err != nil {
		return Built{}, errors.Join(fmt.Errorf("snapshot of %s: %w", projectDir, err), undo.run())
	}
	return m.Built, nil
}

// snapshot returns the finished directory as a mirror without session, whose base lists what is in it. It is not nil
// when its Root has to be closed.
func snapshot(ctx context.Context, projectDir, dir string, opts Options) (_ *Mirror, undo undone, err error) {
	start := time.Now()
	project, err := safety.OpenRoot(projectDir)
	if err != nil {
		return nil, nil, err
	}
	defer project.Close()
	opts.Git = GitNone
	m := &Mirror{Project: project, Base: NewBase(), Options: opts}
	if m.Policy, err = policyFor(project.Path(), opts); err != nil {
		return nil, nil, err
	}
	if m.Built.Population, err = choosePopulation(project.Path(), opts.Population); err != nil {
		return nil, nil, err
	}
	if err := safety.CheckRoots(project.Path(), dir); err != nil {
		return nil, nil, err
	}
	undo, err = m.openEmpty(dir)
	if err != nil {
		return nil, undo, err
	}
	if err = m.foldCase(); err == nil {
		err = m.fill(ctx)
	}
	m.Built.Took = time.Since(start)
	return m, undo, err
}

// openEmpty makes the directory of a snapshot, or takes an empty one.
func (m *Mirror) openEmpty(dir string) (undo undone, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	made, err := makePrivateDir(dir)
	if err != nil {
		return nil, err
	}
	undo.add(func() error { return removeEmpty(made) })
	if m.Root, err = safety.OpenRoot(dir); err != nil {
		return undo, err
	}
	if err := checkEmpty(m.Root); err != nil {
		return undo, errors.Join(err, m.Root.Close())
	}
	before := m.Root.Info()
	undo.add(func() error { return emptyAgain(dir, before) })
	return undo, nil
}

// emptyAgain removes all from a directory that was empty, if it is still that one.
func emptyAgain(dir string, before safety.Info) error {
	root, err := safety.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if !root.Info().SameFile(before) {
		return fmt.Errorf("%s: %w", dir, safety.ErrChanged)
	}
	top, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer top.Close()
	entries, err := fs.ReadDir(top.FS(), ".")
	for _, e := range entries {
		err = errors.Join(err, removeTree(top, e.Name()))
	}
	return errors.Join(err, os.Chmod(dir, osMode(before.Mode)))
}

// fill copies the project into the empty root, as the project has it.
func (m *Mirror) fill(ctx context.Context) error {
	v := m.view(ProjectSide)
	v.unprotected = true
	var err error
	if v.only, err = m.population(ctx, ProjectSide); err != nil {
		return err
	}
	b := newBuilder(v, m)
	defer b.close()
	if err := b.run(ctx); err != nil {
		return err
	}
	population := m.Built.Population
	m.Built = b.collect()
	m.Built.Population = population
	m.Built.Dirs, err = b.finish()
	sortSkipped(m.Built.Skipped)
	return err
}
