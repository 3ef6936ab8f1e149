package mirror

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror/internal/gitrepo"
	"github.com/alca-mount/alca-mount/safety"
)

const gitDir = ".git"

// addGit gives the mirror a repository of its own, unless under GitNone. A project without one is no error; one that can't be
// copied is: the user asked for it.
func (m *Mirror) addGit(ctx context.Context) error {
	if m.Options.Git == GitNone {
		return nil
	}
	there, err := m.Project.Lstat(gitDir)
	if err != nil {
		return err
	}
	if there.Kind == safety.Absent {
		m.Built.Skipped = append(m.Built.Skipped, Skipped{Path: gitDir, Why: "the project has no repository of its own"})
		return nil
	}
	report, err := gitrepo.CopyStandalone(ctx, m.Project.Path(), filepath.Join(m.Root.Path(), gitDir), gitrepo.Options{
		LeftOut:  m.leftOut,
		Hidden:   m.hiddenInHistory(),
		Depth:    m.Options.GitDepth,
		Info:     m.vouch,
		Excludes: m.ownNames(),
	})
	var hidden *gitrepo.HiddenError
	if errors.As(err, &hidden) {
		return fmt.Errorf("--git %s: %w: the agent could read it there (--git-with-hidden-history lets that pass, --git-depth takes less of it)", m.Options.Git, err)
	}
	if err != nil {
		return fmt.Errorf("copy the repository: %w", err)
	}
	if report.Unnamed > 0 {
		m.Built.Skipped = append(m.Built.Skipped, Skipped{Path: gitDir, Why: fmt.Sprintf(
			"nothing, but its packs hold %d objects that no branch names and that may be of hidden files; git gc --prune=now drops them", report.Unnamed)})
	}
	refs, err := gitRefs(m.Root)
	if err != nil {
		return fmt.Errorf("copy the repository: %w", err)
	}
	m.Session.note(func(r *Record) { r.GitRefs = refs })
	for _, why := range report.Skipped {
		m.Built.Skipped = append(m.Built.Skipped, Skipped{Path: gitDir, Why: why})
	}
	return nil
}

// hiddenInHistory tells which paths may not be in a history that is copied; nil: any may. A rule has to hide them: that
// the text of a rule file is in the history, as it is in most, gives away names and not what they hold.
func (m *Mirror) hiddenInHistory() func(string) bool {
	if m.Options.GitHiddenHistory {
		return nil
	}
	return func(path string) bool {
		v := m.Policy.Explain(path, false)
		return v.Access == dotfiles.Hidden && v.Rule.Source != dotfiles.SourceDefault
	}
}

// leftOut reports whether the project has the path and the mirror does not. What the user deleted is not left out: git
// shows it as deleted, here as there.
func (m *Mirror) leftOut(path string) bool {
	if !m.Base.Get(safety.RelPath(path)).State.Absent() {
		return false
	}
	info, err := m.Project.Lstat(safety.RelPath(path))
	return err != nil || info.Kind != safety.Absent
}

// vouch describes the mirror's copy of a file that is the same as the project's.
func (m *Mirror) vouch(path string) (safety.Info, bool) {
	e := m.Base.Get(safety.RelPath(path))
	if e.State.Kind == safety.Directory || e.Project == (Stamp{}) || !e.Project.Proven() || e.Mirror == (Stamp{}) {
		return safety.Info{}, false
	}
	info, err := m.Root.Lstat(safety.RelPath(path))
	return info, err == nil && StampOf(info) == e.Mirror
}

// ownNames are the ignore patterns for what only the mirror has, and for what is read-only. Where that is not tracked, a
// commit of everything would take it in, and be refused for it; what is tracked, git does not ignore for a pattern.
func (m *Mirror) ownNames() []string {
	names := []string{"/" + safety.MarkerName, "/" + safety.MarkerName + "-*"}
	if m.Base.ownReadme {
		names = append(names, "/"+ReadmeName)
	}
	for _, o := range m.Session.Orphans {
		if !strings.Contains(o.Path, "\n") { // no pattern can have that
			names = append(names, "/"+literally(o.Path))
		}
	}
	return append(names, m.readOnlyNames()...)
}

// readOnlyNames are the patterns of what is read-only: directories that are as a whole, and files.
func (m *Mirror) readOnlyNames() []string {
	var names []string
	whole := ""
	for p, e := range m.Base.All() {
		name, dir := string(p), e.State.Kind == safety.Directory
		if whole != "" && strings.HasPrefix(name, whole) || m.Policy.Access(name, dir) != dotfiles.ReadOnly {
			continue
		}
		if dir {
			whole = name + "/"
		}
		if !strings.Contains(name, "\n") {
			names = append(names, "/"+literally(name))
		}
	}
	return names
}

// literally is a pattern of gitignore(5) that matches the path alone.
func literally(path string) string {
	path = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
	if rest, ok := strings.CutSuffix(path, " "); ok {
		return rest + `\ `
	}
	return path
}
