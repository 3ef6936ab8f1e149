package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
)

// place is where we are asked to work.
type place struct {
	project string         // real path
	subdir  safety.RelPath // where in it we were started; Top at the top or outside of it
	cwd     string         // real path
}

// findPlace finds the project: dir where it is given (-C), else the nearest parent of the current directory, itself
// included, that holds rules, looked for up to the git root or $HOME; else the current directory.
func findPlace(dir string) (place, error) {
	cwd, err := os.Getwd()
	if err == nil {
		cwd, err = filepath.EvalSymlinks(cwd)
	}
	if err != nil {
		return place{}, fmt.Errorf("current directory: %w", err)
	}
	project := cwd
	if dir != "" {
		project, err = realDir(dir)
	} else if project, err = searchUp(cwd); err != nil {
		err = fmt.Errorf("find the project: %w", err)
	}
	if err != nil {
		return place{}, err
	}
	p := place{project: project, subdir: safety.Top, cwd: cwd}
	if rel, err := filepath.Rel(project, cwd); err == nil && filepath.IsLocal(rel) {
		p.subdir, err = safety.ParseRelPath(filepath.ToSlash(rel))
		return p, err
	}
	return p, nil
}

// checkProject refuses what can be no project, whatever its rules say.
func checkProject(project string) error {
	if why := safety.Unfit(project); why != "" {
		return fmt.Errorf("%s: choose a directory below it with -C", why)
	}
	if fs := safety.KernelFS(project); fs != "" {
		return fmt.Errorf("project %s lies on %s, whose files are the kernel's own: choose another directory with -C", show(project), fs)
	}
	return nil
}

func realDir(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return "", fmt.Errorf("-C %s: %w", show(dir), bareErr(err))
	}
	if info, err := os.Stat(abs); err != nil || !info.IsDir() {
		return "", fmt.Errorf("-C %s: not a directory", show(dir))
	}
	return abs, nil
}

func searchUp(cwd string) (string, error) {
	home, _ := os.UserHomeDir()
	if real, err := filepath.EvalSymlinks(home); err == nil {
		home = real
	}
	for dir := cwd; ; dir = filepath.Dir(dir) {
		if dir != cwd && (dir == home || dir == filepath.Dir(dir)) {
			return cwd, nil // neither can be a project
		}
		rules, err := holdsRules(dir)
		if err != nil {
			return "", err
		}
		if rules != "" && dir != cwd {
			return dir, checkRulesOwner(filepath.Join(dir, rules), cwd)
		}
		if rules != "" {
			return dir, nil
		}
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil || dir == filepath.Dir(dir) || dir == home {
			return cwd, nil
		}
	}
}

// holdsRules returns the name of a file in dir that makes it a project, or "".
func holdsRules(dir string) (string, error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return knownRules(dir), nil // it may still be searched by name
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	for _, name := range names {
		if isRuleFile(name) {
			return name, nil
		}
	}
	return "", err
}

func knownRules(dir string) string {
	for _, name := range []string{".alca.toml", ".agentignore", ".agentreadonly"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return name
		}
	}
	return ""
}

func isRuleFile(name string) bool {
	return name == ".alca.toml" || strings.HasPrefix(name, ".") &&
		(strings.HasSuffix(name, ".agentignore") || strings.HasSuffix(name, ".agentreadonly"))
}

// refuseInsideMirror refuses to make a mirror of a mirror: what is hidden is not there, and what the inner session
// brought home would be taken for the agent's own work by the outer one. Another project is fine, also under a session.
func refuseInsideMirror(project string) error {
	if top, session := mirrorAround(project); session != "" {
		return fmt.Errorf("%s is the mirror of session %s: run the command in it directly, without alca-mount (if it is no mirror any more, remove its %s)", show(top), session, safety.MarkerName)
	}
	return nil
}

// mirrorAround finds the mirror that a directory is or is in, and its session; "" where there is none.
func mirrorAround(dir string) (top, session string) {
	for ; ; dir = filepath.Dir(dir) {
		root, err := safety.OpenRoot(dir)
		if err == nil {
			session, err = safety.ReadMarker(root)
			root.Close()
			if err == nil {
				return dir, session
			}
		}
		if dir == filepath.Dir(dir) {
			return "", ""
		}
	}
}

// bareErr strips the operation and path from an error that is going to be told with its own.
func bareErr(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
