package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/go-git/go-git/v5/plumbing"
)

// maxRepeats is how often a tree may be met again in another place, in a repository that nobody trusts: trees that hold
// the same tree twice, level upon level, would never end.
const maxRepeats = 200_000

// Shows looks for a path that hidden reports as hidden in a repository that nobody trusts, at gitDir: in the index, and in
// all commits and trees that it has, named or not. The first one found is a [HiddenError]; any other error means that not
// all could be looked at.
func Shows(ctx context.Context, gitDir string, hidden func(path string) bool) error {
	return shows(ctx, gitDir, hidden, maxRepeats)
}

func shows(ctx context.Context, gitDir string, hidden func(path string) bool, repeats int) error {
	git, err := safety.OpenRoot(gitDir)
	if err != nil {
		return fmt.Errorf("open %s: %w", gitDir, err)
	}
	defer git.Close()
	if err := plainTree(ctx, git); err != nil {
		return err
	}
	if err := indexShows(git, hidden); err != nil {
		return err
	}
	s, err := openUntrusted(git)
	if err != nil {
		return err
	}
	defer s.Close()
	h, tips, err := newHistorian(ctx, s, git, git, hidden)
	if err != nil {
		return err
	}
	h.repeats = repeats
	if commit, path, err := h.search(tips); err != nil || path != "" {
		return errors.Join(err, hiddenError(commit, path))
	}
	return h.searchRest(git)
}

func indexShows(git *safety.Root, hidden func(path string) bool) error {
	data, err := readFile(git, "index", maxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	idx, err := decodeIndex(data)
	if err != nil {
		return fmt.Errorf("read the index of %s: %w", git.Path(), err)
	}
	for _, e := range idx.Entries {
		if hidden(e.Name) {
			return &HiddenError{IndexCommit, e.Name}
		}
	}
	return nil
}

// searchRest looks at the commits and trees that no name led to. Commits come first: a tree that none of them has is
// searched as if it were a commit's.
func (h *historian) searchRest(git *safety.Root) error {
	ids, err := h.store.bounds.ids(git)
	if err != nil {
		return err
	}
	var trees []plumbing.Hash
	for _, id := range ids {
		if h.reached[id] {
			continue
		}
		o, err := h.store.object(id)
		if err != nil {
			return err
		}
		if o.Type() == plumbing.TreeObject {
			trees = append(trees, id)
			continue
		}
		if commit, path, err := h.search([]plumbing.Hash{id}); err != nil || path != "" {
			return errors.Join(err, hiddenError(commit, path))
		}
	}
	for _, id := range trees {
		if h.reached[id] {
			continue
		}
		if path, err := h.searchTree(id, ""); err != nil || path != "" {
			return errors.Join(err, hiddenError(id.String(), path))
		}
	}
	return nil
}

// ids are all objects of the repository.
func (b *bounds) ids(git *safety.Root) ([]plumbing.Hash, error) {
	var ids []plumbing.Hash
	for _, p := range b.packs {
		entries, err := p.index.Entries()
		if err != nil {
			return nil, err
		}
		for {
			e, err := entries.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, err
			}
			ids = append(ids, e.Hash)
		}
	}
	err := git.Walk("objects", func(p safety.RelPath, info safety.Info) error {
		dir, name, _ := strings.Cut(strings.TrimPrefix(string(p), "objects/"), "/")
		if info.Kind == safety.File && len(dir) == 2 && isHash(dir+name) {
			ids = append(ids, plumbing.NewHash(dir+name))
		}
		return nil
	})
	return ids, err
}
