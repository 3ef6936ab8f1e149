package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/alca-mount/alca-mount/mirror"
)

func (a *app) createCommand() *cobra.Command {
	flags := &mirrorFlags{}
	c := &cobra.Command{
		Use:   "create [flags]",
		Short: "Build a mirror and print its path",
		Long: `Build a mirror of the project, print its path alone on stdout, and leave it there.
alca-mount sync brings its changes home, alca-mount rm removes it.`,
		Example: "  cd \"$(alca-mount create --name try)\"",
		Args:    args(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := a.settleCreate(c.Flags(), flags); err != nil {
				return err
			}
			if flags.dryRun {
				return a.dryRun(c.Context(), flags, nil)
			}
			ctx, stop := interruptible(c.Context())
			defer stop()
			return stopped(ctx, a.create(ctx, flags))
		},
	}
	flags.add(c.Flags())
	return c
}

func (a *app) create(ctx context.Context, flags *mirrorFlags) error {
	began := time.Now()
	o := a.out()
	where, policy, err := a.prepare(flags, nil)
	if err != nil {
		return err
	}
	mirrorDir, err := absolute(flags.mirrorDir)
	if err != nil {
		return fmt.Errorf("--mirror-dir: %w", err)
	}
	state, err := stateFor(where.project)
	if err != nil {
		return err
	}
	tellBadEnds(o, state, where.project)
	session, err := state.New(where.project, mirror.Record{Name: flags.name, Agent: flags.agent})
	if err != nil {
		return err
	}
	defer session.Unlock()
	tellRules(o, policy)
	bar := newProgress(o)
	m, err := mirror.Create(ctx, where.project, mirrorDir, mirror.Options{
		Policy: policy, Agent: flags.agent, Session: session, Progress: bar.show,
		Population: flags.populationMode(), Git: flags.gitMode(), GitHiddenHistory: flags.hiddenHistory, GitDepth: flags.gitDepth, Links: flags.linksMode(),
	})
	bar.done()
	if err != nil {
		return errors.Join(err, session.Remove())
	}
	defer m.Close()
	return a.createdTold(m, flags.name, time.Since(began))
}

func (a *app) createdTold(m *mirror.Mirror, name string, took time.Duration) error {
	s := m.Session
	s.Kept, s.State = true, mirror.SessionReady
	if err := s.Save(); err != nil {
		return err
	}
	o := a.out()
	tellShortcomings(o, m.Built)
	o.say("%s · session %s · %s", builtText(m.Built), s.ID, humanTime(took))
	o.say("next: alca-mount sync %[1]s, alca-mount rm %[1]s", s.ID)
	if !a.json {
		return a.write([]byte(s.Mirror + "\n"))
	}
	return a.answer(createdJSON(m, name, took))
}

type jsonCreated struct {
	Session  string     `json:"session"`
	Name     string     `json:"name"`
	Project  string     `json:"project"`
	Mirror   string     `json:"mirror"`
	Files    int        `json:"files"`
	Dirs     int        `json:"dirs"`
	Links    int        `json:"links"`
	Bytes    int64      `json:"bytes"`
	Hidden   int        `json:"hidden"`
	ReadOnly int        `json:"readonly"`
	Skipped  []jsonNote `json:"skipped"`
	CopiedBy string     `json:"copied_by"`
	Seconds  float64    `json:"seconds"`
}

func createdJSON(m *mirror.Mirror, name string, took time.Duration) jsonCreated {
	b := m.Built
	return jsonCreated{
		Session: m.Session.ID, Name: name, Project: m.Session.Project, Mirror: m.Session.Mirror,
		Files: b.Files, Dirs: b.Dirs, Links: b.Links, Bytes: b.Bytes, Hidden: b.Hidden, ReadOnly: b.ReadOnly,
		Skipped: skippedJSON(b.Skipped), CopiedBy: methodName(b.CopiedBy), Seconds: took.Seconds(),
	}
}
