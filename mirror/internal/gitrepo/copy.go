package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/go-git/go-git/v5/plumbing"
)

// Options of CopyStandalone. Paths are relative to the project.
type Options struct {
	// LeftOut tells which tracked paths the mirror does not have although the project may, or has in another form (a
	// link made relative): they get skip-worktree, so that no commit in the mirror deletes or changes them. nil: none.
	LeftOut func(path string) bool
	// Hidden tells which paths the agent may not see. A history or index that holds one is refused with a
	// [HiddenError], and objects that nothing names, such as a file once added and taken out again, stay behind as
	// far as they are not in a pack. nil: the objects are copied unseen, which shows all of history.
	Hidden func(path string) bool
	// Depth is how many commits of history are copied, counted from HEAD's, and of it alone: other branches, tags and the
	// stash stay behind. 0: all.
	Depth int
	// Info describes the mirror's copy of a path, false where there is none. Files whose copy it vouches for are
	// clean in the copied index from the start; of others git reads the content once. nil: git reads them all.
	Info func(path string) (safety.Info, bool)
	// Excludes are further patterns for the mirror's .git/info/exclude: names that only the mirror has.
	Excludes []string
}

// Report says what CopyStandalone made. All lists are sorted.
type Report struct {
	Objects     int           // files copied: packs and loose objects
	Bytes       int64         // of these
	CopiedBy    safety.Method // the dearest method that one of them needed
	LeftOut     []string      // tracked paths that were given skip-worktree, submodules among them
	Refreshed   int           // index entries that are known to be clean
	DroppedKeys []string      // settings left behind, as "section.key"
	Skipped     []string      // refs that were not carried, and why
	Unnamed     int           // objects in copied packs that nothing names; counted only with Options.Hidden
}

// HiddenError says that history shows what rules hide.
type HiddenError struct {
	Commit string // its id, or [IndexCommit]
	Path   string
}

func (e *HiddenError) Error() string {
	return fmt.Sprintf("the repository holds %q, which is hidden, in %s", e.Path, e.Commit)
}

// CopyStandalone makes destGitDir, which must not exist, a repository of its own with the history, branches, HEAD and
// index of the one at projectDir, for a mirror whose top is destGitDir's directory. It shares no inode with the
// original and names no path, program or credential of the host: hooks, other work trees, the repositories of
// submodules, FETCH_HEAD, ORIG_HEAD, bisect state and all reflogs but the stash's stay behind, and of the
// configuration only an allowlist comes along (see allowed). What is borrowed through alternates is copied in.
// Of a linked work tree or submodule it makes an ordinary repository. A submodule inside counts as left out.
//
// A merge, cherry-pick or revert in progress is carried. The error wraps errors.ErrUnsupported for a rebase, git-am or
// series in progress and for what [Usable] refuses; fs.ErrNotExist where projectDir itself has no .git (also when a
// directory above it has); fs.ErrExist where destGitDir is there. On an error nothing is left at destGitDir.
func CopyStandalone(ctx context.Context, projectDir, destGitDir string, opts Options) (rep Report, err error) {
	r, err := find(projectDir)
	if err != nil {
		return rep, err
	}
	defer r.Close()
	if r.prefix != "" {
		return rep, fmt.Errorf("%s: the repository's top is %s: %w", projectDir, r.workTree, fs.ErrNotExist)
	}
	if err := r.checkCopyable(); err != nil {
		return rep, err
	}
	dst, err := makeGitDir(r, destGitDir)
	if err != nil {
		return rep, err
	}
	defer dst.Close()
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(destGitDir))
		}
	}()
	c := &copier{ctx: ctx, repo: r, dst: dst, opts: opts}
	err = c.copyAll()
	return c.report, err
}

// checkCopyable refuses states that a copy cannot go on from without the project's own files.
func (r *repo) checkCopyable() error {
	for name, what := range map[string]string{
		"rebase-merge": "a rebase", "rebase-apply": "a rebase or git am", "sequencer": "a series of picks or reverts",
	} {
		info, err := r.git.Lstat(safety.RelPath(name))
		if err != nil {
			return fmt.Errorf("copy repository: %w", err)
		}
		if info.Kind != safety.Absent {
			return unsupported("%s is in progress in %s: finish or abort it first", what, r.workTree)
		}
	}
	return nil
}

// makeGitDir makes the directory with the permissions of the original.
func makeGitDir(r *repo, dest string) (*safety.Root, error) {
	parent, err := safety.OpenRoot(filepath.Dir(dest))
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", dest, err)
	}
	defer parent.Close()
	name, err := safety.ParseRelPath(filepath.Base(dest))
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", dest, err)
	}
	if err := parent.Mkdir(name, r.common.Info().Mode&0o777|0o700); err != nil {
		return nil, fmt.Errorf("make %s: %w", dest, err)
	}
	dst, err := safety.OpenRoot(dest)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make %s: %w", dest, err), os.Remove(dest))
	}
	return dst, nil
}

// copier is one run of CopyStandalone.
type copier struct {
	ctx    context.Context
	repo   *repo
	dst    *safety.Root
	opts   Options
	report Report
	index  *rawIndex
	cached []plumbing.Hash        // trees that the index remembers
	named  map[plumbing.Hash]bool // objects that the copy names; nil: not known
}

// copyAll copies what names objects before the objects: whatever is committed or repacked meanwhile, no ref or index
// of the copy then names an object that the copy does not have.
func (c *copier) copyAll() error {
	names, objects := []func() error{c.copyHead, c.copyRefs, c.copyStash, c.copyState}, c.copyObjects
	if c.opts.Depth > 0 {
		names, objects = []func() error{c.copyHead, c.copyRecent}, c.copyNamed
	}
	for _, step := range append(names, c.readIndex, c.survey, c.writeIndex, c.copyInfo, c.copyConfig, objects) {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if err := step(); err != nil {
			return fmt.Errorf("copy repository: %w", err)
		}
	}
	slices.Sort(c.report.LeftOut)
	c.report.LeftOut = slices.Compact(c.report.LeftOut)
	slices.Sort(c.report.Skipped)
	return nil
}

// write makes a file of the copy; directories above it are made as needed.
func (c *copier) write(p safety.RelPath, data []byte) error {
	d, err := c.dir(p.Dir())
	if err != nil {
		return err
	}
	defer d.Close()
	f, err := d.Create(p.Base(), 0o644)
	if err != nil {
		return fmt.Errorf("make %s: %w", p, err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", p, err)
	}
	return nil
}

// dir opens a directory of the copy, making it and those above it.
func (c *copier) dir(p safety.RelPath) (*safety.Dir, error) {
	for _, q := range append(p.Parents(), p) {
		if q == safety.Top {
			continue
		}
		if err := c.dst.Mkdir(q, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make %s: %w", q, err)
		}
	}
	d, err := c.dst.OpenDir(p)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", p, err)
	}
	return d, nil
}

// copyConfig writes the allowed settings.
func (c *copier) copyConfig() error {
	keep, dropped := allowed(c.repo.config)
	c.report.DroppedKeys = dropped
	return c.write("config", keep.encode())
}

// copyInfo writes info/exclude and the attributes and sparse-checkout patterns. The user's excludes file is taken into
// info/exclude, at its lower rank: elsewhere, in a container, the mirror could not find it.
func (c *copier) copyInfo() error {
	user, err := c.repo.userExcludes()
	if err != nil {
		return err
	}
	own, err := readIfThere(c.repo.common, "info/exclude")
	if err != nil {
		return err
	}
	bom := []byte("\xef\xbb\xbf")
	parts := [][]byte{bytes.TrimPrefix(user, bom), bytes.TrimPrefix(own, bom), []byte(strings.Join(c.opts.Excludes, "\n"))}
	if err := c.write("info/exclude", append(bytes.Join(parts, []byte("\n")), '\n')); err != nil {
		return err
	}
	for p, root := range map[safety.RelPath]*safety.Root{"info/attributes": c.repo.common, "info/sparse-checkout": c.repo.git} {
		data, err := readIfThere(root, p)
		if err == nil && len(data) > 0 {
			err = c.write(p, data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
