package mirror

import (
	"fmt"
	"unicode"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// foldCase makes the policy decide on folded names where either side's file system folds case.
func (m *Mirror) foldCase() error {
	rules := m.Policy.Rules()
	if rules.FoldCase {
		return nil
	}
	project, err := folds(m.Project, "")
	if err != nil {
		return err
	}
	mirror, err := folds(m.Root, safety.MarkerName)
	if err != nil || !project && !mirror {
		return err
	}
	rules.FoldCase = true
	if m.Policy, err = dotfiles.New(rules); err != nil {
		return fmt.Errorf("rules on names without case: %w", err)
	}
	return nil
}

// folds reports whether the root's file system takes names that differ in case for the same. It writes nothing: it
// asks for name, or for an entry that is there, in the other case. A root without a name to ask by does not fold
// as far as anybody can tell.
func folds(root *safety.Root, name string) (bool, error) {
	top, err := root.OpenDir(safety.Top)
	if err != nil {
		return false, err
	}
	defer top.Close()
	names := []safety.Dirent{{Name: name}}
	if name == "" {
		if names, err = top.ReadDir(); err != nil {
			return false, err
		}
	}
	there := map[string]bool{}
	for _, n := range names {
		there[n.Name] = true
	}
	for _, n := range names {
		other := swapCase(n.Name)
		if other == n.Name || there[other] {
			continue
		}
		info, err := top.Lstat(other)
		return info.Kind != safety.Absent, err
	}
	return false, nil
}

// swapCase swaps the case of ASCII letters, which every file system that folds case folds.
func swapCase(name string) string {
	out := []byte(name)
	for i, c := range out {
		switch {
		case c >= unicode.MaxASCII:
		case c >= 'a' && c <= 'z':
			out[i] = c - 'a' + 'A'
		case c >= 'A' && c <= 'Z':
			out[i] = c - 'A' + 'a'
		}
	}
	return string(out)
}
