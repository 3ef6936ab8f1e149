package autosync

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// BringArtifacts carries the files at paths, and below them, from the mirror to the project, and nothing else: also where
// the built-in list leaves them out, as it does most of what builds make. What is hidden, read-only or guarded is not
// touched, and reported. What is replaced is kept like all else; nothing is deleted. missing are the paths at which the
// mirror has nothing; then nothing is carried. The caller has the session's lock, and the mirror is not synced after it.
func BringArtifacts(ctx context.Context, m *mirror.Mirror, paths []safety.RelPath, opts Options) (changes Changes, missing []safety.RelPath, err error) {
	for _, p := range paths {
		info, err := m.Root.Lstat(p)
		if err != nil {
			return Changes{}, nil, err
		}
		if info.Kind == safety.Absent {
			missing = append(missing, p)
		}
	}
	if len(missing) > 0 {
		return Changes{}, missing, nil
	}
	if err := reopen(m, paths); err != nil {
		return Changes{}, nil, err
	}
	if err := acceptProject(ctx, m, paths); err != nil {
		return Changes{}, nil, err
	}
	opts.aside = opts.Final
	opts.Paths, opts.OnlyToProject, opts.Deletes, opts.Final, opts.Shield = paths, true, false, false, nil
	changes, err = artifacts(ctx, m, opts)
	changes.NewInExcluded, changes.PendingDelete = nil, nil
	return changes, nil, err
}

func artifacts(ctx context.Context, m *mirror.Mirror, opts Options) (Changes, error) {
	e, err := openEngine(m, opts)
	if err != nil {
		return Changes{}, err
	}
	err = e.finish(ctx)
	for _, list := range []*[]PathNote{&e.changes.Refused, &e.changes.Held, &e.changes.Orphans} { // all else goes with the mirror
		*list = slices.DeleteFunc(*list, func(n PathNote) bool { return !among(n.Path, opts.Paths) && n.Path != repository })
	}
	if err == nil {
		err = e.settleArtifacts(ctx)
	}
	err = errors.Join(err, e.close())
	return e.result(), err
}

// settleArtifacts keeps what of the artifacts may not cross, before the mirror goes.
func (e *engine) settleArtifacts(ctx context.Context) error {
	if err := e.noteUnplaced(ctx); err != nil {
		return err
	}
	e.changes.sort()
	if e.opts.aside && len(e.changes.Failed) == 0 {
		e.keepRefusedCommits()
		e.setAsideLeft(ctx)
	}
	return nil
}

// keepRefusedCommits moves the repository that branches stayed behind in out of a mirror that goes.
func (e *engine) keepRefusedCommits() {
	kept := ""
	for i, n := range e.changes.Refused {
		if n.Path != repository {
			continue
		}
		if kept == "" {
			var err error
			if kept, err = e.keepTree(repository, gitFolder); err != nil {
				e.failNow(repository, fmt.Errorf("keep the commits made in the mirror: %w", err))
				return
			}
		}
		e.changes.Refused[i].Kept = kept
	}
}

// noteUnplaced reports the files that gave way without a word of their own: to a directory in which something may not
// change, say.
func (e *engine) noteUnplaced(ctx context.Context) error {
	tree, err := e.m.Scan(ctx, mirror.MirrorSide)
	if err != nil {
		return err
	}
	c, told := &e.changes, map[safety.RelPath]bool{}
	for _, n := range slices.Concat(c.Refused, c.Held, c.Orphans, c.Conflicts, c.Failed) {
		told[n.Path] = true
	}
	for p, f := range tree.All() {
		if among(p, e.opts.Paths) && f.Info.Kind != safety.Directory && e.m.Base.Get(p).State.Kind != f.Info.Kind && !told[p] {
			c.Refused = append(c.Refused, PathNote{Path: p, Why: "something that may not change is in its place"})
			e.left[p] = true
		}
	}
	return nil
}

func among(p safety.RelPath, paths []safety.RelPath) bool {
	return slices.ContainsFunc(paths, p.In)
}

// reopen has the policy let the paths through that the built-in list leaves out, and git's ignored files; the session is
// to know it, for undo.
func reopen(m *mirror.Mirror, paths []safety.RelPath) error {
	rules := m.Policy.Rules()
	for _, p := range paths {
		rules.Artifacts = append(rules.Artifacts, string(p))
	}
	policy, err := dotfiles.New(rules)
	if err != nil {
		return err
	}
	m.Policy, m.Session.Rules, m.Built.Population = policy, rules, mirror.Walk
	return m.Session.Save()
}

// acceptProject takes what the project has at the paths, and the mirror was not built with, as what both sides agreed on:
// the artifact replaces it, and is no conflict.
func acceptProject(ctx context.Context, m *mirror.Mirror, paths []safety.RelPath) error {
	tree, err := m.Scan(ctx, mirror.ProjectSide)
	if err != nil {
		return err
	}
	for p, f := range tree.All() {
		if !among(p, paths) || !m.Base.Get(p).State.Absent() {
			continue
		}
		state := mirror.State{Kind: f.Info.Kind, Target: f.Target}
		if f.Info.Kind == safety.File {
			content, info, err := mirror.Hash(ctx, m.Project, p)
			if err != nil {
				return fmt.Errorf("look at what the artifact replaces: %w", err)
			}
			state.Exec, state.Content, f.Info = info.Exec(), content, info
		}
		m.Base.Put(p, mirror.Entry{State: state, Project: mirror.StampOf(f.Info)})
	}
	return nil
}
