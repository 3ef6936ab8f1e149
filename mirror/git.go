package mirror

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/alca-mount/alca-mount/mirror/internal/gitrepo"
	"github.com/alca-mount/alca-mount/safety"
)

const gitDir = ".git"

// addGit gives the mirror a repository of its own, under GitCopy. A project without one is no error; one that can't be
// copied is: the user asked for it.
func (m *Mirror) addGit(ctx context.Context) error {
	if m.Options.Git != GitCopy {
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
		Info:     m.vouch,
		Excludes: m.ownNames(),
	})
	if err != nil {
		return fmt.Errorf("copy the repository: %w", err)
	}
	for _, why := range report.Skipped {
		m.Built.Skipped = append(m.Built.Skipped, Skipped{Path: gitDir, Why: why})
	}
	return nil
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
	if e.State.Kind == safety.Directory || e.Project == (Stamp{}) || e.Mirror == (Stamp{}) {
		return safety.Info{}, false
	}
	info, err := m.Root.Lstat(safety.RelPath(path))
	return info, err == nil && StampOf(info) == e.Mirror
}

// ownNames are the ignore patterns for what only the mirror has.
func (m *Mirror) ownNames() []string {
	names := []string{"/" + safety.MarkerName}
	if m.Base.ownReadme {
		names = append(names, "/"+ReadmeName)
	}
	return names
}
