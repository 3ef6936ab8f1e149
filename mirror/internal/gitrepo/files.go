package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/index"
)

// Files lists the files and symbolic links below projectDir that are tracked, or untracked and not ignored, sorted,
// relative to projectDir, byte for byte as the file system names them: what
//
//	git ls-files -z --cached --others --exclude-standard
//
// prints there, less what is not on disk (deleted files, sparse paths), submodules, and repositories inside the work
// tree: of those git prints the name of the directory, and neither that nor what is in it is listed here. Environment
// variables that point git elsewhere (GIT_DIR, GIT_INDEX_FILE) are not heeded. The errors are those of [Usable].
func Files(ctx context.Context, projectDir string) ([]string, error) {
	r, err := find(projectDir)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if err := r.checkListable(); err != nil {
		return nil, err
	}
	idx, err := r.readIndex()
	if err != nil {
		return nil, err
	}
	root, err := safety.OpenRoot(r.workTree)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", r.workTree, err)
	}
	defer root.Close()
	l := newLister(ctx, r, root, idx)
	return l.list()
}

// checkListable refuses a project that git ignores as a whole: an empty list would be taken for an empty project.
func (r *repo) checkListable() error {
	if r.prefix == "" {
		return nil
	}
	root, err := safety.OpenRoot(r.workTree)
	if err != nil {
		return fmt.Errorf("list %s: %w", r.workTree, err)
	}
	defer root.Close()
	if _, ignored, err := newLister(context.Background(), r, root, &index.Index{}).above(); err != nil || !ignored {
		return err
	}
	idx, err := r.readIndex()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(idx.Entries, func(e *index.Entry) bool { return strings.HasPrefix(e.Name, r.prefix+"/") }) {
		return unsupported("%s is ignored by the repository of %s", r.prefix, r.workTree)
	}
	return nil
}

// lister is one run of Files. Paths are relative to the work tree.
type lister struct {
	ctx     context.Context
	repo    *repo
	root    *safety.Root
	tracked map[string]*index.Entry
	parents map[string]bool // directories with a tracked path below
	seen    map[string]bool // tracked paths that the walk met
	files   []string
}

func newLister(ctx context.Context, r *repo, root *safety.Root, idx *index.Index) *lister {
	l := &lister{ctx: ctx, repo: r, root: root,
		tracked: make(map[string]*index.Entry, len(idx.Entries)),
		parents: map[string]bool{},
		seen:    make(map[string]bool, len(idx.Entries)),
	}
	for _, e := range idx.Entries {
		l.tracked[e.Name] = e
		for i := len(e.Name) - 1; i > 0; i-- {
			if e.Name[i] != '/' {
				continue
			}
			if l.parents[e.Name[:i]] {
				break
			}
			l.parents[e.Name[:i]] = true
		}
	}
	return l
}

func (l *lister) list() ([]string, error) {
	stack, ignored, err := l.above()
	if err != nil {
		return nil, err
	}
	if !ignored {
		if err := l.walkTop(stack); err != nil {
			return nil, err
		}
	}
	if err := l.addUnseen(); err != nil {
		return nil, err
	}
	slices.Sort(l.files)
	return slices.Compact(l.files), nil
}

// above gathers the pattern files above the project and tells whether one of them ignores the project itself.
func (l *lister) above() (levels, bool, error) {
	stack, err := l.repo.baseLevels()
	if err != nil || l.repo.prefix == "" {
		return stack, false, err
	}
	dir := ""
	for name := range strings.SplitSeq(l.repo.prefix, "/") {
		text, err := l.gitignore(dir)
		if err != nil {
			return nil, false, err
		}
		stack = stack.with(dir, text, join(dir, ".gitignore"))
		dir = join(dir, name)
		if stack.ignored(dir, true) {
			return stack, true, nil
		}
	}
	return stack, false, nil
}

// gitignore returns the text of a directory's .gitignore. Where a sparse checkout left it out, git takes the tracked
// version, and so does this.
func (l *lister) gitignore(dir string) ([]byte, error) {
	p := join(dir, ".gitignore")
	info, err := l.root.Lstat(safety.RelPath(p))
	if err != nil && !errors.Is(err, safety.ErrChanged) {
		return nil, fmt.Errorf("list %s: %w", p, err)
	}
	if e := l.tracked[p]; info.Kind == safety.Absent && e != nil && e.SkipWorktree {
		return l.repo.blob(e.Hash)
	}
	return readIfThere(l.root, safety.RelPath(p))
}

func (l *lister) walkTop(stack levels) error {
	top := safety.Top
	if l.repo.prefix != "" {
		top = safety.RelPath(l.repo.prefix)
	}
	d, err := l.root.OpenDir(top)
	if err != nil {
		return fmt.Errorf("list %s: %w", top, err)
	}
	defer d.Close()
	return l.walk(d, l.repo.prefix, stack)
}

// walk lists one directory that is not ignored.
func (l *lister) walk(d *safety.Dir, dir string, stack levels) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	entries, err := d.ReadDir()
	if err != nil {
		return fmt.Errorf("list %s: %w", dir, err)
	}
	text, err := l.gitignore(dir)
	if err != nil {
		return err
	}
	if len(text) > 0 {
		stack = stack.with(dir, text, join(dir, ".gitignore"))
	}
	for _, e := range entries {
		if e.Name == ".git" {
			continue
		}
		if err := l.visit(d, e, join(dir, e.Name), stack); err != nil {
			return err
		}
	}
	return nil
}

func (l *lister) visit(d *safety.Dir, e safety.Dirent, path string, stack levels) error {
	if e.Kind == safety.Absent {
		info, err := d.Lstat(e.Name)
		if err != nil {
			return fmt.Errorf("list %s: %w", path, err)
		}
		e.Kind = info.Kind
	}
	switch e.Kind {
	case safety.Directory:
		return l.descend(d, e.Name, path, stack)
	case safety.File, safety.Symlink:
		if t := l.tracked[path]; t != nil {
			l.seen[path] = true
			l.add(path, t)
		} else if !stack.ignored(path, false) {
			l.add(path, nil)
		}
	}
	return nil
}

// descend walks a directory unless it is ignored, a submodule or another repository. Tracked files below an ignored
// directory are found through the index, and no untracked file below one can be listed.
func (l *lister) descend(d *safety.Dir, name, path string, stack levels) error {
	if t := l.tracked[path]; t != nil && t.Mode == filemode.Submodule {
		return nil
	}
	if stack.ignored(path, true) {
		return nil
	}
	if !l.parents[path] && isRepository(filepath.Join(l.root.Path(), filepath.FromSlash(path))) {
		return nil
	}
	sub, err := d.OpenDir(name)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, safety.ErrChanged) {
		return nil // as git: what cannot be entered, or is gone meanwhile, is passed over
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", path, err)
	}
	defer sub.Close()
	return l.walk(sub, path, stack)
}

// isRepository reports whether dir is the top of a work tree of its own. An unreadable pointer counts as one.
func isRepository(dir string) bool {
	_, err := gitDirOf(dir)
	return err == nil || errors.Is(err, fs.ErrPermission)
}

// add takes a path into the list; t is its index entry, if it has one.
func (l *lister) add(path string, t *index.Entry) {
	if t != nil && t.Mode == filemode.Submodule {
		return
	}
	if rel, ok := below(l.repo.prefix, path); ok {
		l.files = append(l.files, rel)
	}
}

// addUnseen adds the tracked paths that the walk did not come by: those in ignored directories. What is no file or
// link on disk, or lies behind a link, is not there.
func (l *lister) addUnseen() error {
	for path, e := range l.tracked {
		if _, ok := below(l.repo.prefix, path); !ok || l.seen[path] {
			continue
		}
		rel, err := safety.ParseRelPath(path)
		if err != nil {
			return fmt.Errorf("list %s: %w", l.repo.git.Path(), err)
		}
		info, err := l.root.Lstat(rel)
		if err != nil && !errors.Is(err, safety.ErrChanged) && !absent(err) {
			return fmt.Errorf("list %s: %w", path, err)
		}
		if err == nil && (info.Kind == safety.File || info.Kind == safety.Symlink) {
			l.add(path, e)
		}
	}
	return l.ctx.Err()
}

// below returns path relative to dir ("" for the top) and whether it lies below it.
func below(dir, path string) (string, bool) {
	if dir == "" {
		return path, true
	}
	return strings.CutPrefix(path, dir+"/")
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
