package gitrepo

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/go-git/go-git/v5/plumbing"
)

// packTries is how often the packs are listed again when `git gc` takes some away while they are copied.
const packTries = 5

// copyObjects copies the object files of the repository and of all it borrows from.
func (c *copier) copyObjects() error {
	d, err := c.dir("objects/pack")
	if err != nil {
		return err
	}
	d.Close()
	dirs, err := c.repo.objectDirs()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := c.copyObjectDir(dir); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	return nil
}

// copyObjectDir copies loose objects before packs: what is packed meanwhile is then met in at least one form.
// Only files with an object's or pack's own name come along; no alternates, no multi-pack index or commit graph (they
// describe packs that this copy may not have, and git does without), no leftovers.
func (c *copier) copyObjectDir(dir string) error {
	root, err := safety.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	top, err := root.OpenDir(safety.Top)
	if err != nil {
		return err
	}
	defer top.Close()
	entries, err := top.ReadDir()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if len(e.Name) == 2 && strings.Trim(e.Name, "0123456789abcdef") == "" {
			if err := c.copyLoose(top, e.Name); err != nil {
				return err
			}
		}
	}
	for range packTries {
		if err = c.copyPacks(top); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

func (c *copier) copyLoose(top *safety.Dir, name string) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	src, err := top.OpenDir(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer src.Close()
	entries, err := src.ReadDir()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // packed meanwhile
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", name, err)
	}
	dst, err := c.dir(safety.RelPath("objects").Join(name))
	if err != nil {
		return err
	}
	defer dst.Close()
	for _, e := range entries {
		if !isHash(name+e.Name) || !c.wanted(plumbing.NewHash(name+e.Name)) {
			continue
		}
		if err := c.copyObjectFile(dst, src, e.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// copyPacks copies every pack that has an index: one without is still being written. The index comes last, so that
// the copy never has an index without its pack. The error wraps fs.ErrNotExist when a pack went away.
func (c *copier) copyPacks(top *safety.Dir) error {
	src, err := top.OpenDir("pack")
	if err != nil {
		if info, e := top.Lstat("pack"); e == nil && info.Kind == safety.Absent {
			return nil
		}
		return fmt.Errorf("open pack: %w", err)
	}
	defer src.Close()
	dst, err := c.dir("objects/pack")
	if err != nil {
		return err
	}
	defer dst.Close()
	entries, err := src.ReadDir()
	if err != nil {
		return fmt.Errorf("list pack: %w", err)
	}
	packs := packFiles(entries)
	if c.named != nil {
		packs = slices.DeleteFunc(packs, cruft(packs))
	}
	for _, name := range packs {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if err := c.copyObjectFile(dst, src, name); err != nil {
			return err
		}
	}
	return nil
}

// packFiles picks the files of complete packs, of each the pack first and the index last.
func packFiles(entries []safety.Dirent) []string {
	name := regexp.MustCompile(`^(pack-[0-9A-Za-z_-]+)\.(pack|rev|bitmap|mtimes|promisor|idx)$`)
	order := []string{"pack", "rev", "bitmap", "mtimes", "promisor", "idx"}
	packs := map[string][]string{}
	for _, e := range entries {
		if m := name.FindStringSubmatch(e.Name); m != nil {
			packs[m[1]] = append(packs[m[1]], m[2])
		}
	}
	var out []string
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name, ".idx")
		if !ok || !slices.Contains(packs[base], "pack") {
			continue
		}
		for _, ext := range order {
			if slices.Contains(packs[base], ext) {
				out = append(out, base+"."+ext)
			}
		}
	}
	return out
}

// copyObjectFile copies one file, whose name says what it holds: one that is there already is the same.
func (c *copier) copyObjectFile(dst, src *safety.Dir, name string) error {
	in, _, err := src.Open(name)
	if err != nil {
		return fmt.Errorf("open object file %s: %w", name, err)
	}
	defer in.Close()
	out, err := dst.Create(name, 0o444)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make object file %s: %w", name, err)
	}
	copied, err := c.dst.Copier().CopyContent(c.ctx, out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("copy object file %s: %w", name, err)
	}
	c.report.Objects++
	c.report.Bytes += copied.Bytes
	c.report.CopiedBy = max(c.report.CopiedBy, copied.Method)
	return nil
}
