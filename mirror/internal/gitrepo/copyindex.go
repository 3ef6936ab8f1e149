package gitrepo

import (
	"fmt"
	"slices"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/go-git/go-git/v5/plumbing"
)

// readIndex takes the project's index, once, with skip-worktree for what the mirror leaves out and stat data for what
// it has.
func (c *copier) readIndex() error {
	data, err := c.repo.readIndexBytes()
	if err != nil || data == nil {
		return err
	}
	decoded, err := decodeIndex(data)
	if err != nil {
		return fmt.Errorf("read the index of %s: %w", c.repo.git.Path(), err)
	}
	if c.index, err = parseRawIndex(data); err != nil {
		return fmt.Errorf("read the index of %s: %w", c.repo.git.Path(), err)
	}
	if decoded.Cache != nil {
		for _, t := range decoded.Cache.Entries {
			c.cached = append(c.cached, t.Hash)
		}
	}
	if err := c.skipLeftOut(c.index); err != nil {
		return err
	}
	return c.refresh(c.index)
}

// writeIndex writes the index. The tree cache goes when it names a tree that stays behind: git fsck would miss it.
func (c *copier) writeIndex() error {
	if c.index == nil {
		return nil
	}
	if c.named != nil && slices.ContainsFunc(c.cached, func(h plumbing.Hash) bool { return !c.named[h] }) {
		c.index.extensions = nil
	}
	out := c.index.encode()
	if err := c.verifyIndex(out, len(c.index.entries)); err != nil {
		return err
	}
	return c.write("index", out)
}

// skipLeftOut marks what `git commit -a` in the mirror would take for deleted. A submodule is marked always: the mirror
// has no repository for it. An unmerged path cannot be marked: git add -u would resolve it as deleted.
func (c *copier) skipLeftOut(idx *rawIndex) error {
	for i := range idx.entries {
		e := &idx.entries[i]
		if e.mode() != modeGitlink && (c.opts.LeftOut == nil || !c.opts.LeftOut(e.name)) {
			continue
		}
		if e.conflict() {
			return unsupported("%q is in conflict and left out of the mirror: resolve it first", e.name)
		}
		e.skip()
		c.report.LeftOut = append(c.report.LeftOut, e.name)
	}
	return nil
}

// refresh gives every entry the stat data of the mirror's copy where that is known to be the same file, and else none.
func (c *copier) refresh(idx *rawIndex) error {
	project, err := safety.OpenRoot(c.repo.workTree)
	if err != nil {
		return err
	}
	defer project.Close()
	own, err := c.repo.git.Lstat("index")
	if err != nil {
		return err
	}
	for i := range idx.entries {
		e := &idx.entries[i]
		stat := unknownStat(e.mode())
		if c.opts.Info != nil && !e.skipped() && !e.conflict() {
			// RACE: the project's file may have changed between the mirror's copy of it and this look. The size and
			// mtime that both must share, and the ctime that the index and the project must, close it.
			here, err := project.Lstat(safety.RelPath(e.name))
			copied, ok := c.opts.Info(e.name)
			if err == nil && ok {
				stat = refreshed(e, here, copied, own.Mtime)
			}
		}
		e.stat = stat
		if stat != unknownStat(e.mode()) {
			c.report.Refreshed++
		}
	}
	return nil
}

// verifyIndex reads the new index with a reader other than the one that wrote it and looks whether the marks took.
func (c *copier) verifyIndex(data []byte, entries int) error {
	idx, err := decodeIndex(data)
	if err != nil {
		return fmt.Errorf("verify the new index: %w", err)
	}
	if len(idx.Entries) != entries {
		return fmt.Errorf("verify the new index: %d entries of %d", len(idx.Entries), entries)
	}
	for _, e := range idx.Entries {
		if c.opts.LeftOut != nil && c.opts.LeftOut(e.Name) && !e.SkipWorktree {
			return fmt.Errorf("verify the new index: %q is not marked as left out", e.Name)
		}
	}
	return nil
}
