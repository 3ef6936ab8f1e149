package mirror

import (
	"context"
	"fmt"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// Attach opens a mirror that Create made, with its base from the session; nothing is copied. mirrorDir may be "" for
// the session's own. Options.Session must be the mirror's; nil finds it by mirrorDir in the default state directory.
// Population, Git and Links are those of the session, whatever the options say. Without a policy in the options, each
// path gets the stricter of the session's rules and of the project's of now.
func Attach(ctx context.Context, projectDir, mirrorDir string, opts Options) (*Mirror, error) {
	m, err := attach(ctx, projectDir, mirrorDir, opts)
	if err != nil {
		return nil, fmt.Errorf("attach a mirror of %s: %w", projectDir, err)
	}
	return m, nil
}

func attach(ctx context.Context, projectDir, mirrorDir string, opts Options) (m *Mirror, err error) {
	project, err := safety.OpenRoot(projectDir)
	if err != nil {
		return nil, err
	}
	m = &Mirror{Project: project, Options: opts}
	undo := undone{project.Close}
	defer func() {
		if err != nil {
			_ = undo.run()
		}
	}()
	if err := m.findSession(mirrorDir); err != nil {
		return nil, err
	}
	if mirrorDir == "" {
		mirrorDir = m.Session.Mirror
	}
	if err := safety.CheckRoots(project.Path(), mirrorDir); err != nil {
		return nil, err
	}
	if m.Root, err = safety.OpenRoot(mirrorDir); err != nil {
		return nil, err
	}
	undo.add(m.Root.Close)
	if err := m.verify(); err != nil {
		return nil, err
	}
	if err := m.takeUp(); err != nil {
		return nil, err
	}
	return m, ctx.Err()
}

func (m *Mirror) findSession(mirrorDir string) error {
	m.Session = m.Options.Session
	if m.Session != nil {
		return nil
	}
	state, err := DefaultStateDir()
	if err != nil {
		return err
	}
	m.Session, err = state.Find(mirrorDir, m.Project.Path())
	return err
}

// verify holds the three together: the session is of this project, and the directory is its mirror.
func (m *Mirror) verify() error {
	if m.Session.Project != m.Project.Path() {
		return fmt.Errorf("session %s is of %s", m.Session.ID, m.Session.Project)
	}
	marked, err := safety.ReadMarker(m.Root)
	if err != nil {
		return err
	}
	if marked != m.Session.ID {
		return fmt.Errorf("%s is the mirror of session %s, not of %s", m.Root.Path(), marked, m.Session.ID)
	}
	if m.Session.State == SessionRemoving {
		return fmt.Errorf("session %s: its mirror is half removed, after all was synced; alca-mount rm %[1]s finishes that", m.Session.ID)
	}
	if m.Session.State == SessionBuilding {
		return fmt.Errorf("session %s: its mirror was never complete; remove it with `alca-mount rm %s`", m.Session.ID, m.Session.ID)
	}
	return nil
}

// takeUp gives the mirror what it was made with.
func (m *Mirror) takeUp() error {
	r := m.Session.Record
	m.Options.Population, m.Options.Git, m.Options.Links = r.Population, r.Git, r.Links
	m.Built.Population = r.Population
	var err error
	if m.Policy, err = m.strictPolicy(r.Rules); err != nil {
		return err
	}
	m.Base, err = ReadBase(baseFile(m.Session))
	return err
}

func (m *Mirror) strictPolicy(stored dotfiles.Rules) (*dotfiles.Policy, error) {
	if m.Options.Policy != nil {
		return m.Options.Policy, nil
	}
	then, err := dotfiles.New(stored)
	if err != nil {
		return nil, err
	}
	now, err := m.RulesNow()
	if err != nil {
		return nil, err
	}
	return dotfiles.Stricter(then, now), nil
}

// RulesNow is what the project's rule files say now, on the session's defaults.
func (m *Mirror) RulesNow() (*dotfiles.Policy, error) {
	rules, err := dotfiles.ReadRules(m.Project.Path(), m.Session.Agent)
	if err != nil {
		return nil, err
	}
	// What no rule file says stays as the session has it: else the stricter answer would be of other defaults.
	stored := m.Session.Rules
	rules.NoDefaults, rules.Git, rules.FoldCase = stored.NoDefaults, stored.Git, stored.FoldCase
	return dotfiles.New(rules)
}
