package gitrepo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/objfile"
)

// survey looks through all that the copied refs and index name, before any object is copied: it refuses what shows a
// hidden path and learns which objects are named at all. It starts from the copy's refs, not from the project's, which
// may have moved since.
func (c *copier) survey() error {
	if c.opts.Hidden == nil && c.opts.Depth == 0 {
		return nil
	}
	var err error
	for range packTries {
		c.report.Unnamed = 0
		err = c.surveyOnce()
		var hidden *HiddenError
		if err == nil || errors.As(err, &hidden) || c.ctx.Err() != nil {
			return err
		}
		// RACE: git gc moved objects to other packs while they were read; a new look finds them there.
	}
	return err
}

func (c *copier) surveyOnce() error {
	s, err := c.repo.openStore()
	if err != nil {
		return err
	}
	defer s.Close()
	hidden := c.opts.Hidden
	if hidden == nil {
		hidden = func(string) bool { return false }
	}
	h, tips, err := newHistorian(c.ctx, s, c.dst, c.dst, hidden)
	if err != nil {
		return err
	}
	if c.index != nil {
		for i := range c.index.entries {
			e := &c.index.entries[i]
			if hidden(e.name) {
				return &HiddenError{IndexCommit, e.name}
			}
			if e.mode() != modeGitlink { // a commit, of this repository perhaps: it is yet to be searched
				h.reached[plumbing.Hash(e.object)] = true
			}
		}
	}
	if commit, path, err := h.search(tips); err != nil || path != "" {
		return errors.Join(err, hiddenError(commit, path))
	}
	c.named = h.reached
	if c.opts.Depth > 0 {
		return nil // no pack is copied
	}
	return c.surveyPacks(h)
}

func hiddenError(commit, path string) error {
	if path == "" {
		return nil
	}
	return &HiddenError{commit, path}
}

// wanted reports whether an object is to be copied.
func (c *copier) wanted(h plumbing.Hash) bool { return c.named == nil || c.named[h] }

// surveyPacks looks at what else the packs hold. Packs are copied whole, so their unnamed commits and trees are searched
// for hidden paths like the named ones; what an unnamed blob was called nothing tells. Of cruft packs, which
// hold what git has found unnamed, only named objects come along, loose.
func (c *copier) surveyPacks(h *historian) error {
	dirs, err := c.repo.objectDirs()
	if err != nil {
		return err
	}
	named := make(map[plumbing.Hash]bool, len(c.named))
	for id := range c.named {
		named[id] = true
	}
	c.named = named // what the search below meets stays unnamed
	for _, dir := range dirs {
		root, err := safety.OpenRoot(dir)
		if err != nil {
			return err
		}
		err = c.surveyPackDir(h, root)
		if err := errors.Join(err, root.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (c *copier) surveyPackDir(h *historian, root *safety.Root) error {
	d, err := root.OpenDir("pack")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open pack: %w", err)
	}
	defer d.Close()
	entries, err := d.ReadDir()
	if err != nil {
		return fmt.Errorf("list pack: %w", err)
	}
	files := packFiles(entries)
	isCruft := cruft(files)
	for _, name := range files {
		if !strings.HasSuffix(name, ".idx") {
			continue
		}
		ids, err := packIDs(root, safety.RelPath("pack").Join(name))
		if err != nil {
			return err
		}
		for _, id := range ids {
			switch {
			case isCruft(name) && c.named[id]:
				err = c.writeLoose(h.store, id)
			case !isCruft(name) && !c.named[id]:
				err = c.surveyUnnamed(h, id)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// surveyUnnamed searches an unnamed object of a pack. A tree is searched as if it were a commit's.
func (c *copier) surveyUnnamed(h *historian, id plumbing.Hash) error {
	c.report.Unnamed++
	if h.reached[id] {
		return nil
	}
	o, err := h.store.object(id)
	if err != nil {
		return err
	}
	tree, _, err := h.links(o)
	if err != nil || tree.IsZero() {
		return err
	}
	path, err := h.searchTree(tree, "")
	return errors.Join(err, hiddenError(id.String(), path))
}

// cruft returns a test for the files of cruft packs, told by their table of times.
func cruft(files []string) func(string) bool {
	return func(name string) bool {
		base, _, _ := strings.Cut(name, ".")
		return slices.Contains(files, base+".mtimes")
	}
}

// packIDs reads which objects a pack holds from its index.
func packIDs(root *safety.Root, p safety.RelPath) ([]plumbing.Hash, error) {
	data, err := readFile(root, p, maxIndex)
	if err != nil {
		return nil, err
	}
	idx := idxfile.NewMemoryIndex()
	if err := idxfile.NewDecoder(bytes.NewReader(data)).Decode(idx); err != nil {
		return nil, fmt.Errorf("read %s: %w", p, err)
	}
	entries, err := idx.Entries()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", p, err)
	}
	defer entries.Close()
	var ids []plumbing.Hash
	for {
		e, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return ids, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", p, err)
		}
		ids = append(ids, e.Hash)
	}
}

// writeLoose puts one object into the copy as a file of its own.
func (c *copier) writeLoose(s *store, id plumbing.Hash) error {
	o, err := s.object(id)
	if err != nil {
		return err
	}
	in, err := o.Reader()
	if err != nil {
		return fmt.Errorf("read object %s: %w", id, err)
	}
	defer in.Close()
	name := id.String()
	d, err := c.dir(safety.RelPath("objects").Join(name[:2]))
	if err != nil {
		return err
	}
	defer d.Close()
	f, err := d.Create(name[2:], 0o444)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make object %s: %w", id, err)
	}
	w := objfile.NewWriter(f)
	err = w.WriteHeader(o.Type(), o.Size())
	if err == nil {
		_, err = io.Copy(w, in)
	}
	if err := errors.Join(err, w.Close(), f.Close()); err != nil {
		return fmt.Errorf("write object %s: %w", id, err)
	}
	c.report.Objects++
	return nil
}
