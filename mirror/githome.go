package mirror

import (
	"context"
	"path"
	"path/filepath"
	"strings"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror/internal/gitrepo"
	"github.com/alca-mount/alca-mount/safety"
)

// The commits that came home, and those that did not.
type (
	Brought       = gitrepo.Brought
	BroughtBranch = gitrepo.BroughtBranch
	RefusedBranch = gitrepo.RefusedBranch
	Commit        = gitrepo.Commit
)

// BringCommitsHome brings what was committed in the mirror's repository, which lies at repository now, into the
// project's as refs/alca/SESSION/BRANCH. HEAD, index, configuration and work tree of the project stay as they are.
//
// A branch with a commit that adds, changes or deletes a path which is hidden, left out or read-only, or for which guarded
// gives a reason, stays where it is. guarded may be nil.
func (m *Mirror) BringCommitsHome(ctx context.Context, repository string, guarded func(p safety.RelPath, link bool) string) (Brought, error) {
	policy, err := m.policyOfCommits()
	if err != nil {
		return Brought{}, err
	}
	return gitrepo.BringHome(ctx, repository, m.Project.Path(), gitrepo.BringOptions{
		Refs: "refs/alca/" + m.Session.ID,
		Work: m.Session.Dir(),
		Refuse: func(p, target string) string {
			if why := m.mayNotCommit(policy, p, target); why != "" || guarded == nil {
				return why
			}
			return guarded(safety.RelPath(p), target != "")
		},
	})
}

// CommitsLeft names the branches of the mirror's repository with commits that the project does not have, "stash" among
// them. A repository that the project has no counterpart to is left as a whole.
func (m *Mirror) CommitsLeft() ([]string, error) {
	moved, err := m.GitMoved()
	if err != nil || !moved {
		return nil, err
	}
	if m.Session.GitRefs == "" {
		return []string{"all of it"}, nil
	}
	return gitrepo.Unbrought(filepath.Join(m.Root.Path(), gitDir), m.Project.Path())
}

// HistoryShows looks through the mirror's copy of a repository, with what was committed to it since, for paths that a rule
// hides now and none of before did: CMD could read them there. The first one is the error, and so is a repository that
// can't be looked through.
func (m *Mirror) HistoryShows(ctx context.Context, before *dotfiles.Policy) error {
	info, err := m.Root.Lstat(gitDir)
	if err != nil || m.Session.GitRefs == "" || info.Kind != safety.Directory {
		return err // there is none of the project's
	}
	return gitrepo.Shows(ctx, filepath.Join(m.Root.Path(), gitDir), func(p string) bool {
		v := m.Policy.Explain(p, false)
		return v.Access == dotfiles.Hidden && v.Rule.Source != dotfiles.SourceDefault && before.Access(p, false) != dotfiles.Hidden
	})
}

// policyOfCommits is the mirror's; on folded names also where git alone does not tell their case: what is committed is
// checked out in other places than this one.
func (m *Mirror) policyOfCommits() (*dotfiles.Policy, error) {
	folds, err := gitrepo.IgnoresCase(m.Project.Path())
	rules := m.Policy.Rules()
	if err != nil || !folds || rules.FoldCase {
		return m.Policy, err
	}
	rules.FoldCase = true
	return dotfiles.New(rules)
}

// mayNotCommit says why a commit may not add, change or delete a path; target is where a link leads that it puts there.
func (m *Mirror) mayNotCommit(policy *dotfiles.Policy, p, target string) string {
	switch access := policy.Access(p, false); {
	case access == dotfiles.Hidden:
		return "the path is hidden"
	case access == dotfiles.ReadOnly:
		return "the path is read-only"
	case access != dotfiles.Writable, m.leftOut(p):
		return "the path is left out of the mirror"
	}
	if target == "" {
		return ""
	}
	return committedLink(policy, p, target)
}

// committedLink says why a link may not be committed. It is judged by its text alone, since what else the commit puts in
// place decides where the text leads: names only, behind as many ".." as stay inside. Each such link leads from a real
// directory to a path of the same tree, whatever other links are on the way.
func committedLink(policy *dotfiles.Policy, p, target string) string {
	if path.IsAbs(target) {
		return "the link leads outside the project"
	}
	names := strings.TrimLeft(target, "./")
	for _, name := range strings.Split(names, "/") {
		if name == ".." {
			return "the link leads up again on its way"
		}
	}
	at := path.Join(path.Dir(p), target)
	if at == ".." || strings.HasPrefix(at, "../") {
		return "the link leads outside the project"
	}
	if at != "." && (!plainAccess(policy.Access(at, false)) || !plainAccess(policy.Access(at, true))) {
		return "the link leads to what is hidden or left out"
	}
	return ""
}

func plainAccess(a dotfiles.Access) bool { return a == dotfiles.Writable || a == dotfiles.ReadOnly }
