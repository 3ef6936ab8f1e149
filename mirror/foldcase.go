package mirror

import (
	"fmt"

	"github.com/alca-mount/alca-mount/dotfiles"
)

// foldCase makes the policy decide on folded names where either side's file system folds case. The mirror holds its
// marker by now, so that there is a name to ask by.
func (m *Mirror) foldCase() error {
	rules := m.Policy.Rules()
	for _, dir := range []string{m.Project.Path(), m.Root.Path()} {
		if rules.FoldCase {
			return nil
		}
		var err error
		if rules.FoldCase, err = dotfiles.Folds(dir); err != nil {
			return err
		}
		if !rules.FoldCase {
			continue
		}
		if m.Policy, err = dotfiles.New(rules); err != nil {
			return fmt.Errorf("rules on names without case: %w", err)
		}
	}
	return nil
}
