package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/alca-mount/alca-mount/cmd/alca-mount/internal/config"
)

func (a *app) allowCommand() *cobra.Command {
	var revoke bool
	c := &cobra.Command{
		Use:   "allow [--revoke]",
		Short: "Allow what a project's configuration asks for beyond the project",
		Long: `Allow what .alca.toml, and the files that it extends and includes, ask for beyond the project itself: mounts of
other directories, variables of your environment, capabilities, sockets. It holds for these files as they are now.
--revoke takes it back.`,
		Args: args(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			if a.getenv("ALCA_MOUNT_SESSION") != "" {
				return errors.New("allow is the user's to give: not inside a session (ALCA_MOUNT_SESSION is set)")
			}
			where, err := findPlace(a.project)
			if err == nil {
				err = refuseInsideMirror(where.project)
			}
			if err != nil {
				return err
			}
			if revoke {
				return a.revoke(where.project)
			}
			m, err := a.loadConfig(where.project)
			if err != nil {
				return err
			}
			return a.allow(m)
		},
	}
	c.Flags().BoolVar(&revoke, "revoke", false, "take it back")
	return c
}

func (a *app) allow(m *config.Merged) error {
	needs := append(m.Needs(), m.ProfileNeeds()...)
	if len(needs) == 0 {
		a.out().say("%s asks for nothing beyond the project: there is nothing to allow", show(m.Project))
		return nil
	}
	if err := remember(m); err != nil {
		return err
	}
	o := a.out()
	o.say("allowed for %s, until one of %s changes:", show(m.Project), showAll(projectFiles(m)))
	if !o.quiet {
		tellNeeds(o, needs)
	}
	return nil
}

func (a *app) revoke(project string) error {
	state, err := stateFor(project)
	if err != nil {
		return err
	}
	had, err := config.Revoke(state.ProjectDir(project))
	if err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	if had {
		a.out().say("not allowed any more: %s", show(project))
	} else {
		a.out().say("nothing was allowed for %s", show(project))
	}
	return nil
}

// remember keeps the user's word where no session can reach it.
func remember(m *config.Merged) error {
	state, err := stateFor(m.Project)
	if err != nil {
		return err
	}
	dir, err := state.MakeProjectDir(m.Project)
	if err == nil {
		err = m.Allow(dir)
	}
	if err != nil {
		return fmt.Errorf("allow: %w", err)
	}
	return nil
}

// trust refuses a launch whose configuration asks for more than the user has allowed. It asks where somebody can answer.
func (a *app) trust(m *config.Merged, how config.Launch) error {
	var needs []config.Need
	for _, n := range m.Needs() {
		if n.Matters(how) {
			needs = append(needs, n)
		}
	}
	if how.Profile {
		needs = append(needs, m.ProfileNeeds()...)
	}
	if len(needs) == 0 {
		return nil
	}
	state, err := stateFor(m.Project)
	if err != nil {
		return err
	}
	dir, err := state.PrivateProjectDir(m.Project)
	if err != nil {
		return err
	}
	allowed, err := m.Allowed(dir)
	if err != nil {
		a.out().warn("%v", err)
	}
	if allowed && err == nil {
		return nil
	}
	o := a.out()
	o.warn("the configuration of %s asks for what you have not allowed (%s):", show(m.Project), showAll(projectFiles(m)))
	tellNeeds(o, needs)
	if a.askable() && a.ask("allow it, until a file changes? [y/N] ") {
		return remember(m)
	}
	return fmt.Errorf("not allowed; nothing was started; look at it, then: alca-mount -C %s allow", show(m.Project))
}

func tellNeeds(o *output, needs []config.Need) {
	for _, n := range needs {
		o.item(fmt.Sprintf("%s: %s: %s", n.At, n.Key, show(n.Text)))
	}
}

func projectFiles(m *config.Merged) []string {
	var out []string
	for _, f := range m.Files {
		if f.Layer == config.Project {
			out = append(out, f.Shown)
		}
	}
	return out
}

// askable reports whether there is somebody to ask: a terminal on both sides, and no session around us.
func (a *app) askable() bool {
	return a.getenv("ALCA_MOUNT_SESSION") == "" && term.IsTerminal(int(a.stdin.Fd())) && term.IsTerminal(int(a.stderr.Fd()))
}

// ask puts a question whose answer is no unless it says yes.
func (a *app) ask(question string) bool {
	fmt.Fprint(a.stderr, "alca-mount: "+question)
	var answer []byte
	for b := make([]byte, 1); len(answer) < 16; { // a byte at a time: what stands behind the line is for CMD
		n, err := a.stdin.Read(b)
		if n == 0 || err != nil || b[0] == '\n' {
			break
		}
		answer = append(answer, b[0])
	}
	word := strings.ToLower(strings.TrimSpace(string(answer)))
	return word == "y" || word == "yes"
}
