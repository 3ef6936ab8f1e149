// Package gitrepo reads git repositories without running git, and gives a mirror a repository of its own.
//
// [Files] lists what git would list; [CopyStandalone] copies a repository so that nothing in it leads back to the
// project or to the user's credentials; [HistoryHolds] says whether history would show a path that rules hide;
// [BringHome] brings commits made in such a copy into the project's repository.
// Only BringHome writes in the project, and there packs and refs of its own alone. Nothing here runs a program, and
// repositories that cannot be read in full are refused.
package gitrepo

import (
	"errors"
	"fmt"
	"strings"
)

// Usable says why the files of projectDir cannot be listed by [Files]; nil when they can.
// projectDir may be the top of a work tree or a directory inside one. The error wraps fs.ErrNotExist where there is
// no repository, and errors.ErrUnsupported where there is one of a kind that is not supported: bare, sha256, reftable,
// an unknown extension, a work tree elsewhere, a split or sparse index, or a directory that the repository ignores.
func Usable(projectDir string) error {
	r, err := find(projectDir)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.checkListable(); err != nil {
		return err
	}
	_, err = r.readIndex()
	return err
}

// IgnoresCase reports whether git was told that files of the repository at projectDir, or their names in other forms of
// Unicode, are one.
func IgnoresCase(projectDir string) (bool, error) {
	r, err := find(projectDir)
	if err != nil {
		return false, err
	}
	defer r.Close()
	return r.config.getBool("core", "", "ignorecase") || r.config.getBool("core", "", "precomposeunicode"), nil
}

// unsupported is an error that wraps errors.ErrUnsupported.
func unsupported(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), errors.ErrUnsupported)
}

// checkFormat refuses repository formats that would be misread. It looks at extensions in version 0 repositories
// too: there git ignores most of them, and a repository that names another hash or ref format is not guessed at.
func checkFormat(c config) error {
	switch v := c.get("core", "", "repositoryformatversion"); v {
	case "", "0", "1":
	default:
		return unsupported("repository format version %s", v)
	}
	for _, e := range c {
		if e.section != "extensions" || e.subsection != "" {
			continue
		}
		v := strings.ToLower(e.value)
		switch e.key {
		case "objectformat":
			if v != "sha1" {
				return unsupported("repository with %s objects", e.value)
			}
		case "refstorage":
			if v != "files" {
				return unsupported("repository with %s refs", e.value)
			}
		case "noop", "noop-v1", "preciousobjects", "partialclone", "worktreeconfig", "relativeworktrees":
		default:
			return unsupported("repository extension %s", e.key)
		}
	}
	return nil
}
