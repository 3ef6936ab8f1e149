package autosync

import (
	"context"
	"fmt"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// takeCommits keeps the repository of a mirror that is about to go, and brings its commits home from there: what the
// agent left running can't reach it any more. It stays in the session, with what no branch leads to.
func (e *engine) takeCommits(ctx context.Context) {
	kept, err := e.keepTree(repository, gitFolder)
	if err != nil {
		e.failNow(repository, fmt.Errorf("keep the commits made in the mirror: %w", err))
		return
	}
	e.bringCommits(ctx, kept)
}

// bringCommits brings home what was committed in the repository, under [mirror.GitImport].
func (e *engine) bringCommits(ctx context.Context, from string) {
	if e.m.Options.Git != mirror.GitImport || e.m.Session.GitRefs == "" {
		return
	}
	brought, err := e.m.BringCommitsHome(ctx, from, func(p safety.RelPath, link bool) string {
		kind := safety.File
		if link {
			kind = safety.Symlink
		}
		return e.guard.why(p, kind)
	})
	e.changes.Commits = brought.Branches
	for _, b := range brought.Branches {
		e.emit(Imported, repository, ToProject, fmt.Sprintf("%d commits of %s as %s", len(b.Commits), b.Branch, b.Ref), "")
	}
	for _, r := range brought.Refused {
		e.noteRefused(repository, refusedText(r), from)
	}
	if err != nil {
		e.noteRefused(repository, fmt.Sprintf("the commits could not be brought home: %v; git fetch from where they are kept brings them", err), from)
	}
}

// refusedText says why a branch stays behind.
func refusedText(r mirror.RefusedBranch) string {
	switch {
	case r.Commit == "":
		return fmt.Sprintf("branch %s: %s", r.Branch, r.Why)
	case r.Path == "":
		return fmt.Sprintf("branch %s: commit %.10s: %s", r.Branch, r.Commit, r.Why)
	}
	return fmt.Sprintf("branch %s: commit %.10s changes %s: %s", r.Branch, r.Commit, r.Path, r.Why)
}
