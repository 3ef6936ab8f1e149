package gitrepo

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/go-git/go-git/v5/plumbing"
)

// copyRecent copies, of all refs, the branch that HEAD is on, and of its history the latest commits alone: the file
// "shallow" names those whose parents stay behind (gitrepository-layout(5)).
func (c *copier) copyRecent() error {
	if info, err := c.repo.git.Lstat("MERGE_HEAD"); err != nil || info.Kind != safety.Absent {
		return unsupported("a merge is in progress in %s: finish or abort it first, or copy the whole history", c.repo.workTree)
	}
	for _, p := range []safety.RelPath{"refs/heads", "refs/tags"} {
		d, err := c.dir(p)
		if err != nil {
			return err
		}
		d.Close()
	}
	head, ref, err := c.headCommit()
	if err != nil || head.IsZero() {
		return err // a branch without a commit yet
	}
	if ref != "" {
		if err := c.write(safety.RelPath(ref), []byte(head.String()+"\n")); err != nil {
			return err
		}
	}
	edge, err := c.edge(head)
	if err != nil || len(edge) == 0 {
		return err
	}
	return c.write("shallow", []byte(strings.Join(edge, "\n")+"\n"))
}

// headCommit is the commit that HEAD is at and the branch it is on; zero for a branch without a commit.
func (c *copier) headCommit() (id plumbing.Hash, ref string, err error) {
	data, err := readSmall(c.repo.git, "HEAD")
	if err != nil {
		return id, "", err
	}
	ref, onBranch := strings.CutPrefix(strings.TrimSpace(string(data)), "ref: ")
	if !onBranch {
		return plumbing.NewHash(ref), "", nil
	}
	heads, err := headsOf(c.repo.common)
	if err != nil {
		return id, "", err
	}
	return heads[strings.TrimPrefix(ref, "refs/heads/")], ref, nil
}

// edge lists the commits, sorted, at which the copied history ends although they have parents.
func (c *copier) edge(head plumbing.Hash) ([]string, error) {
	s, err := c.repo.openStore()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	own := map[plumbing.Hash]bool{}
	if err := addTips(c.repo.common, "shallow", own); err != nil {
		return nil, err
	}
	edge, seen, level := map[string]bool{}, map[plumbing.Hash]bool{head: true}, []plumbing.Hash{head}
	for depth := 1; len(level) > 0; depth++ {
		var next []plumbing.Hash
		for _, id := range level {
			commit, err := s.commit(id)
			if err != nil {
				return nil, fmt.Errorf("read history: %w", err)
			}
			if own[id] || depth == c.opts.Depth && len(commit.ParentHashes) > 0 {
				edge[id.String()] = true
				continue
			}
			for _, p := range commit.ParentHashes {
				if !seen[p] {
					seen[p] = true
					next = append(next, p)
				}
			}
		}
		level = next
	}
	return slices.Sorted(maps.Keys(edge)), nil
}

// copyNamed copies the objects that the copy's refs and index lead to, each as a file of its own.
func (c *copier) copyNamed() error {
	d, err := c.dir("objects/pack")
	if err != nil {
		return err
	}
	d.Close()
	s, err := c.repo.openStore()
	if err != nil {
		return err
	}
	defer s.Close()
	for id := range c.named {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if !s.has(id) {
			continue // a submodule's commit, or what a partial clone does not have
		}
		if err := c.writeLoose(s, id); err != nil {
			return err
		}
	}
	return nil
}
