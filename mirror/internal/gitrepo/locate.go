package gitrepo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
)

// maxSmall bounds every file that is read whole and is small in any real repository: HEAD, config, a ref.
const maxSmall = 16 << 20

// repo is a repository found from a project directory.
type repo struct {
	workTree string       // real path of the directory that holds .git
	prefix   string       // the project relative to workTree, slash-separated; "" for the top
	git      *safety.Root // HEAD, index and what else belongs to this work tree
	common   *safety.Root // objects, refs, config; the same as git except in a linked worktree
	config   config       // config and, where the extension asks for it, config.worktree
}

func (r *repo) Close() error { return errors.Join(r.git.Close(), r.common.Close()) }

// linked reports whether the work tree is one that `git worktree add` made.
func (r *repo) linked() bool { return r.git.Path() != r.common.Path() }

// find looks for the repository in whose work tree projectDir lies, from projectDir upwards.
func find(projectDir string) (*repo, error) {
	project, err := realPath(projectDir)
	if err != nil {
		return nil, err
	}
	for dir := project; ; dir = filepath.Dir(dir) {
		gitDir, err := gitDirOf(dir)
		if err == nil {
			return open(dir, project, gitDir)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if looksLikeGitDir(dir) == nil {
			return nil, unsupported("%s is a bare repository or lies in a .git directory", dir)
		}
		if filepath.Dir(dir) == dir {
			return nil, fmt.Errorf("%s: not in a git work tree: %w", project, fs.ErrNotExist)
		}
	}
}

func realPath(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("locate repository: %w", err)
	}
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return "", fmt.Errorf("locate repository: %w", err)
	}
	return real, nil
}

// gitDirOf returns the git directory that dir/.git is or points to. The error wraps fs.ErrNotExist only when there is
// no .git, or one that git would pass over as well: a directory that is no repository.
// A .git that is a symbolic link is followed once, as the pointer that it is.
func gitDirOf(dir string) (string, error) {
	dotGit := filepath.Join(dir, ".git")
	info, err := os.Stat(dotGit)
	switch {
	case err != nil:
		return "", fmt.Errorf("locate repository: %w", err)
	case info.IsDir():
		if err := looksLikeGitDir(dotGit); err != nil {
			return "", err
		}
		return dotGit, nil
	case !info.Mode().IsRegular():
		return "", unsupported("%s is neither a directory nor a file", dotGit)
	}
	target, err := readPointer(dotGit, "gitdir: ")
	if err != nil {
		return "", err
	}
	if err := looksLikeGitDir(target); err != nil {
		// Not ErrNotExist: the parents must not be searched past a pointer that leads nowhere.
		return "", fmt.Errorf("%s points to %s, which is no git directory", dotGit, target)
	}
	return target, nil
}

// readPointer reads a file whose one line is prefix and a path, taken relative to the file's directory.
func readPointer(file, prefix string) (string, error) {
	data, err := readSmallFile(file)
	if err != nil {
		return "", err
	}
	line, ok := strings.CutPrefix(strings.TrimRight(string(data), "\r\n"), prefix)
	if !ok || line == "" {
		return "", fmt.Errorf("%s: not a pointer to a git directory", file)
	}
	if !filepath.IsAbs(line) {
		line = filepath.Join(filepath.Dir(file), line)
	}
	return line, nil
}

// readSmallFile reads a regular file outside any root: a pointer, or the user's own config.
func readSmallFile(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSmall {
		return nil, fmt.Errorf("read %s: %w", file, safety.ErrNotRegular)
	}
	return os.ReadFile(file)
}

// looksLikeGitDir is git's own test: a HEAD, and objects and refs here or in the common directory.
func looksLikeGitDir(dir string) error {
	common, err := commonDirOf(dir)
	if err != nil {
		return err
	}
	for _, p := range []string{filepath.Join(dir, "HEAD"), filepath.Join(common, "objects"), filepath.Join(common, "refs")} {
		if _, err := os.Lstat(p); err != nil {
			return fmt.Errorf("locate repository: %w", err)
		}
	}
	return nil
}

func commonDirOf(gitDir string) (string, error) {
	common, err := readPointer(filepath.Join(gitDir, "commondir"), "")
	if errors.Is(err, fs.ErrNotExist) {
		return gitDir, nil
	}
	return common, err
}

// open opens the repository and refuses what would be misread.
func open(workTree, project, gitDir string) (_ *repo, err error) {
	common, err := commonDirOf(gitDir)
	if err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(workTree, project)
	if err != nil {
		return nil, fmt.Errorf("locate repository: %w", err)
	}
	r := &repo{workTree: workTree}
	if rel != "." {
		r.prefix = filepath.ToSlash(rel)
	}
	if r.git, err = safety.OpenRoot(gitDir); err != nil {
		return nil, fmt.Errorf("open %s: %w", gitDir, err)
	}
	if r.common, err = safety.OpenRoot(common); err != nil {
		r.git.Close()
		return nil, fmt.Errorf("open %s: %w", common, err)
	}
	if err := r.load(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// load reads the configuration and checks the repository's format and work tree.
func (r *repo) load() error {
	for _, p := range []safety.RelPath{"objects", "refs"} {
		if info, err := r.common.Lstat(p); err != nil || info.Kind != safety.Directory {
			return errors.Join(unsupported("%s in %s is not a plain directory", p, r.common.Path()), err)
		}
	}
	data, err := readSmall(r.common, "config")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if r.config, err = parseConfig(data); err != nil {
		return fmt.Errorf("parse %s: %w", filepath.Join(r.common.Path(), "config"), err)
	}
	if r.config.getBool("extensions", "", "worktreeconfig") {
		if err := r.loadWorktreeConfig(); err != nil {
			return err
		}
	}
	if err := checkFormat(r.config); err != nil {
		return err
	}
	return r.checkWorkTree()
}

func (r *repo) loadWorktreeConfig() error {
	data, err := readSmall(r.git, "config.worktree")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	more, err := parseConfig(data)
	if err != nil {
		return fmt.Errorf("parse %s: %w", filepath.Join(r.git.Path(), "config.worktree"), err)
	}
	r.config = append(r.config, more...)
	return nil
}

// checkWorkTree refuses a repository whose work tree is not the directory that holds its .git. In a linked worktree
// git ignores both settings.
func (r *repo) checkWorkTree() error {
	if r.linked() {
		return nil
	}
	if r.config.getBool("core", "", "bare") {
		return unsupported("%s is a bare repository", r.git.Path())
	}
	wt := r.config.get("core", "", "worktree")
	if wt == "" {
		return nil
	}
	if !filepath.IsAbs(wt) {
		wt = filepath.Join(r.git.Path(), wt)
	}
	if real, err := filepath.EvalSymlinks(wt); err != nil || real != r.workTree {
		return unsupported("the work tree of %s is %s", r.git.Path(), wt)
	}
	return nil
}

// readSmall reads the regular file p whole. The error wraps fs.ErrNotExist where there is none.
func readSmall(root *safety.Root, p safety.RelPath) ([]byte, error) {
	return readFile(root, p, maxSmall)
}

func readFile(root *safety.Root, p safety.RelPath, limit int64) ([]byte, error) {
	f, info, err := openFile(root, p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size > limit {
		return nil, fmt.Errorf("read %s: %d bytes are too many", f.Name(), info.Size)
	}
	var buf bytes.Buffer
	if _, err := io.Copy(&buf, io.LimitReader(f, limit)); err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	return buf.Bytes(), nil
}

// openFile opens the regular file p; what is absent and what is no regular file are told apart.
func openFile(root *safety.Root, p safety.RelPath) (*os.File, safety.Info, error) {
	info, err := root.Lstat(p)
	if err == nil && info.Kind == safety.Absent {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, info, fmt.Errorf("open %s: %w", filepath.Join(root.Path(), string(p)), err)
	}
	f, info, err := root.Open(p)
	if err != nil {
		return nil, info, fmt.Errorf("open %s: %w", filepath.Join(root.Path(), string(p)), err)
	}
	return f, info, nil
}
