package gitrepo

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
)

// isHash reports whether s is a full object id in hexadecimal.
func isHash(s string) bool {
	return len(s) == 40 && strings.Trim(s, "0123456789abcdef") == ""
}

// isRefValue reports whether a ref file holds an object id, or a ref inside refs/.
func isRefValue(s string) bool {
	target, symbolic := strings.CutPrefix(s, "ref: ")
	if !symbolic {
		return isHash(s)
	}
	_, err := safety.ParseRelPath(target)
	return err == nil && strings.HasPrefix(target, "refs/") && !hasControl(target)
}

// copyHead copies the HEAD of this work tree.
func (c *copier) copyHead() error {
	data, err := readSmall(c.repo.git, "HEAD")
	if err != nil {
		return err
	}
	value := strings.TrimSpace(string(data))
	if !isRefValue(value) {
		return fmt.Errorf("HEAD of %s names neither a commit nor a ref", c.repo.git.Path())
	}
	return c.write("HEAD", []byte(value+"\n"))
}

// copyRefs copies loose refs before the packed ones: a ref that is packed meanwhile is then met in at least one form.
func (c *copier) copyRefs() error {
	for _, p := range []safety.RelPath{"refs/heads", "refs/tags"} {
		d, err := c.dir(p) // git takes a directory without refs/ for no repository
		if err != nil {
			return err
		}
		d.Close()
	}
	d, err := c.repo.common.OpenDir("refs")
	if err != nil {
		return err
	}
	defer d.Close()
	if err := c.copyLooseRefs(d, "refs"); err != nil {
		return err
	}
	for _, name := range []safety.RelPath{"packed-refs", "shallow"} {
		if err := c.copyLines(c.repo.common, name, isPackedRefLine); err != nil {
			return err
		}
	}
	return nil
}

// ownRefs reports whether git keeps the refs below p for each work tree apart; they stay behind.
func ownRefs(p safety.RelPath) bool {
	return p == "refs/bisect" || p == "refs/worktree" || p == "refs/rewritten"
}

func (c *copier) copyLooseRefs(d *safety.Dir, at safety.RelPath) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	entries, err := d.ReadDir()
	if err != nil {
		return fmt.Errorf("list %s: %w", at, err)
	}
	for _, e := range entries {
		if err := c.copyLooseRef(d, e, at.Join(e.Name)); err != nil {
			return err
		}
	}
	return nil
}

func (c *copier) copyLooseRef(d *safety.Dir, e safety.Dirent, p safety.RelPath) error {
	info, err := d.Lstat(e.Name)
	if err != nil {
		return fmt.Errorf("look at %s: %w", p, err)
	}
	switch {
	case info.Kind == safety.Absent || ownRefs(p) || strings.HasSuffix(e.Name, ".lock"):
	case info.Kind == safety.Directory:
		sub, err := d.OpenDir(e.Name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // git removes a directory with its last ref
		}
		if err != nil {
			return fmt.Errorf("open %s: %w", p, err)
		}
		defer sub.Close()
		return c.copyLooseRefs(sub, p)
	case info.Kind != safety.File:
		c.report.Skipped = append(c.report.Skipped, fmt.Sprintf("%s: a %s", p, info.Kind))
	default:
		data, err := readSmall(c.repo.common, p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		value := strings.TrimSpace(string(data))
		if !isRefValue(value) {
			c.report.Skipped = append(c.report.Skipped, fmt.Sprintf("%s: damaged", p))
			return nil
		}
		return c.write(p, []byte(value+"\n"))
	}
	return nil
}

// isPackedRefLine accepts the lines of packed-refs and of shallow.
func isPackedRefLine(line string) bool {
	if strings.HasPrefix(line, "#") || isHash(strings.TrimPrefix(line, "^")) {
		return true
	}
	hash, name, ok := strings.Cut(line, " ")
	_, err := safety.ParseRelPath(name)
	return ok && isHash(hash) && err == nil && strings.HasPrefix(name, "refs/")
}

// copyLines copies a file of which every line must be accepted; a missing file is fine.
func (c *copier) copyLines(root *safety.Root, p safety.RelPath, accept func(string) bool) error {
	data, err := readFile(root, p, maxPackedRefs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range bytes.Lines(data) {
		if !accept(strings.TrimRight(string(line), "\n")) {
			return fmt.Errorf("%s of %s: a damaged line", p, root.Path())
		}
	}
	return c.write(p, data)
}

// maxPackedRefs allows for some ten million refs.
const maxPackedRefs = 1 << 30

// copyStash copies the reflog of refs/stash, without which git knows only the last stash. Other reflogs stay behind:
// they name what was amended or thrown away.
func (c *copier) copyStash() error {
	data, err := readSmall(c.repo.common, "logs/refs/stash")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	// A message may hold the address that somebody pulled from.
	return c.write("logs/refs/stash", regexp.MustCompile(`://[^/\s]*@`).ReplaceAll(data, []byte("://")))
}

// copyState copies a merge, cherry-pick or revert in progress.
func (c *copier) copyState() error {
	for _, p := range []safety.RelPath{"MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "AUTO_MERGE", "MERGE_AUTOSTASH"} {
		if err := c.copyLines(c.repo.git, p, isHash); err != nil {
			return err
		}
	}
	for _, p := range []safety.RelPath{"MERGE_MSG", "MERGE_MODE", "SQUASH_MSG"} {
		if err := c.copyLines(c.repo.git, p, func(string) bool { return true }); err != nil {
			return err
		}
	}
	return nil
}
