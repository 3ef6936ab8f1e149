package mirror

import "context"

// addGit gives the mirror a repository of its own, under GitCopy.
func (m *Mirror) addGit(ctx context.Context) error {
	if m.Options.Git != GitCopy {
		return nil
	}
	return nil
}
