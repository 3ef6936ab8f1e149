package gitrepo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// IndexCommit stands for the index in the answer of [HistoryHolds].
const IndexCommit = "index"

// HistoryHolds looks for a path that hidden reports as hidden in the index and in the tree of every commit that a copy
// by [CopyStandalone] would have a name for: reachable from HEAD, any ref, the stash, a merge in progress. It returns
// the commit's id (or [IndexCommit]) and the path of the first one found, or two empty strings.
// hidden is asked for files, links and submodules by their full path. Objects that nothing names are not looked at.
// Missing commits are an error, except below a shallow boundary; so are missing trees, which a treeless clone has.
func HistoryHolds(ctx context.Context, projectDir string, hidden func(path string) bool) (commit, path string, err error) {
	r, err := find(projectDir)
	if err != nil {
		return "", "", err
	}
	defer r.Close()
	idx, err := r.readIndex()
	if err != nil {
		return "", "", err
	}
	for _, e := range idx.Entries {
		if hidden(e.Name) {
			return IndexCommit, e.Name, nil
		}
	}
	s, err := r.openStore()
	if err != nil {
		return "", "", err
	}
	defer s.Close()
	h, tips, err := newHistorian(ctx, s, r.git, r.common, hidden)
	if err != nil {
		return "", "", err
	}
	return h.search(tips)
}

// tipsOf are the ids that the files of a git directory name, sorted.
func tipsOf(git, common *safety.Root) ([]plumbing.Hash, error) {
	found := map[plumbing.Hash]bool{}
	for p, root := range map[safety.RelPath]*safety.Root{
		"HEAD": git, "MERGE_HEAD": git, "CHERRY_PICK_HEAD": git, "REVERT_HEAD": git, "MERGE_AUTOSTASH": git,
		"AUTO_MERGE": git, "logs/refs/stash": common,
	} {
		if err := addTips(root, p, found); err != nil {
			return nil, err
		}
	}
	if err := addPackedTips(common, found); err != nil {
		return nil, err
	}
	err := common.Walk("refs", func(p safety.RelPath, info safety.Info) error {
		if info.Kind != safety.File {
			return nil
		}
		return addTips(common, p, found)
	})
	if err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b plumbing.Hash) int { return bytes.Compare(a[:], b[:]) }), nil
}

// addTips adds every id among the first two words of each line of a ref or a reflog.
func addTips(root *safety.Root, p safety.RelPath, found map[plumbing.Hash]bool) error {
	data, err := readFile(root, p, maxPackedRefs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		for _, w := range words[:min(2, len(words))] {
			if w = strings.TrimPrefix(w, "^"); isHash(w) && w != plumbing.ZeroHash.String() {
				found[plumbing.NewHash(w)] = true
			}
		}
	}
	return nil
}

// addPackedTips adds the ids of packed-refs, but for refs that have a file of their own: it holds, and what the older
// packed value named may long be pruned.
func addPackedTips(common *safety.Root, found map[plumbing.Hash]bool) error {
	data, err := readFile(common, "packed-refs", maxPackedRefs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\n")
		id, name, ok := strings.Cut(line, " ")
		if !ok || !isHash(id) || !isPackedRefLine(line) {
			continue
		}
		info, err := common.Lstat(safety.RelPath(name))
		if err != nil {
			return fmt.Errorf("look at %s: %w", name, err)
		}
		if info.Kind != safety.File {
			found[plumbing.NewHash(id)] = true
		}
	}
	return nil
}

// treeAt is a tree in the place where it was met: what is hidden depends on the whole path.
type treeAt struct {
	tree plumbing.Hash
	dir  string
}

// historian is one search through history.
type historian struct {
	ctx     context.Context
	store   *store
	hidden  func(string) bool
	shallow map[plumbing.Hash]bool // commits whose parents the repository does not have
	trees   map[treeAt]bool
	reached map[plumbing.Hash]bool // every object met
	repeats int                    // how often a tree may be met in yet another place; 0: ever
}

// newHistorian returns a search and where it starts from.
func newHistorian(ctx context.Context, s *store, git, common *safety.Root, hidden func(string) bool) (*historian, []plumbing.Hash, error) {
	h := &historian{ctx: ctx, store: s, hidden: hidden,
		shallow: map[plumbing.Hash]bool{}, trees: map[treeAt]bool{}, reached: map[plumbing.Hash]bool{}}
	if err := addTips(common, "shallow", h.shallow); err != nil {
		return nil, nil, err
	}
	tips, err := tipsOf(git, common)
	return h, tips, err
}

// search looks at every object that the starts lead to.
func (h *historian) search(queue []plumbing.Hash) (commit, path string, err error) {
	for len(queue) > 0 {
		if err := h.ctx.Err(); err != nil {
			return "", "", err
		}
		id := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if h.reached[id] {
			continue
		}
		h.reached[id] = true
		o, err := h.store.object(id)
		if err != nil {
			return "", "", err
		}
		tree, next, err := h.links(o)
		if err != nil {
			return "", "", fmt.Errorf("read object %s: %w", id, err)
		}
		if !tree.IsZero() {
			if path, err = h.searchTree(tree, ""); path != "" || err != nil {
				return id.String(), path, err
			}
		}
		queue = append(queue, next...)
	}
	return "", "", nil
}

// links returns the tree of a commit (or the object itself, if it is a tree) and the objects that lead on.
func (h *historian) links(o plumbing.EncodedObject) (tree plumbing.Hash, next []plumbing.Hash, err error) {
	switch o.Type() {
	case plumbing.CommitObject:
		c := &object.Commit{}
		if err := c.Decode(o); err != nil {
			return tree, nil, err
		}
		if h.shallow[o.Hash()] {
			return c.TreeHash, nil, nil
		}
		return c.TreeHash, c.ParentHashes, nil
	case plumbing.TagObject:
		t := &object.Tag{}
		err := t.Decode(o)
		return tree, []plumbing.Hash{t.Target}, err
	case plumbing.TreeObject:
		return o.Hash(), nil, nil
	}
	return tree, nil, nil
}

// searchTree returns the first hidden path in a tree that lies at dir.
func (h *historian) searchTree(id plumbing.Hash, dir string) (string, error) {
	at := treeAt{id, dir}
	if h.trees[at] || h.ctx.Err() != nil {
		return "", h.ctx.Err()
	}
	if h.reached[id] && h.repeats > 0 {
		if h.repeats--; h.repeats == 0 {
			return "", fmt.Errorf("read tree %s: it is in too many places", id)
		}
	}
	if len(dir) > maxPath {
		return "", fmt.Errorf("read tree %s: too long a path", id)
	}
	h.trees[at] = true
	h.reached[id] = true
	entries, err := h.store.tree(id)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		path := join(dir, e.Name)
		if e.Mode != filemode.Dir {
			if e.Mode != filemode.Submodule { // whose commit may be one of this repository: it is yet to be searched
				h.reached[e.Hash] = true
			}
			if h.hidden(path) {
				return path, nil
			}
			continue
		}
		if found, err := h.searchTree(e.Hash, path); found != "" || err != nil {
			return found, err
		}
	}
	return "", nil
}

// tree returns the entries of a tree as they stand there: go-git's own decoder sorts and maps them.
func (s *store) tree(id plumbing.Hash) ([]object.TreeEntry, error) {
	o, err := s.object(id)
	if err != nil {
		return nil, err
	}
	if o.Type() != plumbing.TreeObject {
		return nil, fmt.Errorf("read tree %s: it is a %s", id, o.Type())
	}
	rd, err := o.Reader()
	if err != nil {
		return nil, fmt.Errorf("read tree %s: %w", id, err)
	}
	defer rd.Close()
	var out []object.TreeEntry
	for b := bufio.NewReader(rd); ; {
		mode, err := b.ReadString(' ')
		if errors.Is(err, io.EOF) && mode == "" {
			return out, nil
		}
		e := object.TreeEntry{}
		var modeErr error
		e.Mode, modeErr = filemode.New(strings.TrimSuffix(mode, " "))
		name, nameErr := b.ReadString(0)
		_, hashErr := io.ReadFull(b, e.Hash[:])
		if err := errors.Join(err, modeErr, nameErr, hashErr); err != nil {
			return nil, fmt.Errorf("read tree %s: %w", id, err)
		}
		e.Name = strings.TrimSuffix(name, "\x00")
		out = append(out, e)
	}
}
