package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// overlays are what flags and configuration ask for. A path that is given by a flag overrides the configuration's.
func (r *runFlags) overlays() (list []launcher.Overlay, auto bool, err error) {
	given := map[safety.RelPath]bool{}
	for _, text := range r.overlayPaths {
		if text == "auto" {
			auto = true
			continue
		}
		p, err := overlayPath(text)
		if err != nil {
			return nil, false, fmt.Errorf("--overlay %w", err)
		}
		if !given[p] {
			given[p] = true
			list = append(list, launcher.Overlay{Path: p})
		}
	}
	auto = auto || r.config.Config.Overlays == "auto"
	for _, o := range r.config.Config.Overlay {
		p, err := overlayPath(o.Path)
		if err != nil {
			return nil, false, fmt.Errorf("overlay: path %w", err)
		}
		if given[p] {
			continue
		}
		given[p] = true
		one := launcher.Overlay{
			Path: p, Seed: launcher.OverlaySeed(o.Seed), Command: o.Command, Session: o.Scope == "session", OnStale: launcher.OnStale(o.OnStale),
		}
		if one.Seed == "" && o.Command != "" {
			one.Seed = launcher.SeedCommand
		}
		for _, lock := range o.Lock {
			q, err := overlayPath(lock)
			if err != nil {
				return nil, false, fmt.Errorf("overlay %s: lock %w", p, err)
			}
			one.Lock = append(one.Lock, q)
		}
		list = append(list, one)
	}
	return list, auto, nil
}

// overlaysOf is the name that overlays are kept under: the agent's if it was given, or has rule files of its own. All other
// commands share theirs.
func (r *runFlags) overlaysOf(policy *dotfiles.Policy, command []string) string {
	agent := r.agentOf(command)
	if r.agentGiven || agent == "" {
		return agent
	}
	rules := policy.Rules()
	for _, rule := range slices.Concat(rules.Hidden, rules.ReadOnly) {
		if strings.HasPrefix(rule.Source, "."+agent+".agent") {
			return agent
		}
	}
	return ""
}

func overlayPath(text string) (safety.RelPath, error) {
	p, err := safety.ParseRelPath(filepath.ToSlash(strings.TrimPrefix(text, "./")))
	if err != nil || p == safety.Top {
		return "", fmt.Errorf("%s: expected a path below the project", show(text))
	}
	return p, nil
}

func (a *app) overlaysCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "overlays [ls|rm|refresh]",
		Short: "Directories that agents have a copy of their own of",
		Long: `Overlays are directories that the mirror leaves out, such as node_modules, and that the agent has a private copy of.
They are kept per project and agent, outside of the project. Without a word: ls.`,
		Args: args(0, 0, "ls, rm or refresh"),
		RunE: func(*cobra.Command, []string) error { return a.listOverlays() },
	}
	ls := &cobra.Command{
		Use: "ls", Short: "List them", Args: args(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error { return a.listOverlays() },
	}
	c.AddCommand(ls,
		a.overlaysDo("rm", "Remove some, with all that is in them", launcher.KeptOverlay.Remove),
		a.overlaysDo("refresh", "Have some seeded anew at the next start", launcher.KeptOverlay.Refresh))
	return c
}

func (a *app) overlaysDo(name, short string, do func(launcher.KeptOverlay) error) *cobra.Command {
	var all bool
	var agent string
	c := &cobra.Command{
		Use: name + " PATH…|--all [--agent NAME]", Short: short, Args: args(0, -1, "paths"),
		RunE: func(c *cobra.Command, paths []string) error {
			if all == (len(paths) > 0) {
				return fmt.Errorf("overlays %s: expected paths, or --all", name)
			}
			return a.onOverlays(paths, agent, c.Flags().Changed("agent"), do)
		},
	}
	c.Flags().BoolVar(&all, "all", false, "all of the project's")
	c.Flags().StringVar(&agent, "agent", "", "those of the agent `NAME` only")
	return c
}

func (a *app) findOverlays() ([]launcher.KeptOverlay, error) {
	where, err := findPlace(a.project)
	if err != nil {
		return nil, err
	}
	state, err := mirror.DefaultStateDir()
	if err != nil {
		return nil, err
	}
	return launcher.Overlays(state, where.project)
}

type jsonOverlay struct {
	jsonPath
	Agent  string     `json:"agent"`
	Seed   string     `json:"seed"`
	Seeded *time.Time `json:"seeded"`
	Used   *time.Time `json:"used"`
	InUse  bool       `json:"in_use"`
	Kept   string     `json:"kept"`
}

func overlayJSON(o launcher.KeptOverlay) jsonOverlay {
	return jsonOverlay{
		jsonPath: pathFields(string(o.Path)), Agent: o.Agent, Seed: string(o.Seed), Seeded: timeOrNull(o.Seeded), Used: timeOrNull(o.Used),
		InUse: o.InUse, Kept: o.Dir,
	}
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (a *app) listOverlays() error {
	list, err := a.findOverlays()
	if err != nil {
		return err
	}
	if a.json {
		rows := []jsonOverlay{}
		for _, o := range list {
			rows = append(rows, overlayJSON(o))
		}
		return a.answer(rows)
	}
	return a.write([]byte(overlayTable(list, time.Now())))
}

func overlayTable(list []launcher.KeptOverlay, now time.Time) string {
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "AGENT\tSEED\tSEEDED\tSTATE\tPATH")
	for _, o := range list {
		seeded, state, agent := "at the next start", "free", o.Agent
		if !o.Seeded.IsZero() {
			seeded = age(o.Seeded, now)
		}
		if o.InUse {
			state = "in use"
		}
		if agent == "" {
			agent = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", agent, o.Seed, seeded, state, show(string(o.Path)+"/"))
	}
	w.Flush()
	return b.String()
}

// onOverlays does something with each overlay that is asked for, and tells which.
func (a *app) onOverlays(paths []string, agent string, ofAgent bool, do func(launcher.KeptOverlay) error) error {
	if a.getenv("ALCA_MOUNT_SESSION") != "" {
		return errors.New("overlays are the user's to remove or refresh: not inside a session (ALCA_MOUNT_SESSION is set)")
	}
	list, err := a.findOverlays()
	if err != nil {
		return err
	}
	chosen, err := chooseOverlays(list, paths, agent, ofAgent)
	if err != nil {
		return err
	}
	done, failed := []jsonOverlay{}, 0
	for _, o := range chosen {
		if err := do(o); err != nil {
			a.out().failure(fmt.Errorf("%s: %w", show(string(o.Path)), err))
			failed++
			continue
		}
		done = append(done, overlayJSON(o))
		a.out().more("%s", show(string(o.Path)))
	}
	if a.json {
		err = a.answer(done)
	} else {
		a.out().say("done: %s", count(len(done), "overlay"))
	}
	if err == nil && failed > 0 {
		return &exitError{code: exitPartly}
	}
	return err
}

// chooseOverlays finds what paths name, of every agent or one.
func chooseOverlays(list []launcher.KeptOverlay, paths []string, agent string, ofAgent bool) ([]launcher.KeptOverlay, error) {
	var of []launcher.KeptOverlay
	for _, o := range list {
		if !ofAgent || o.Agent == agent {
			of = append(of, o)
		}
	}
	if len(paths) == 0 {
		return of, nil
	}
	var out []launcher.KeptOverlay
	for _, text := range paths {
		p, err := overlayPath(text)
		if err != nil {
			return nil, err
		}
		before := len(out)
		for _, o := range of {
			if o.Path == p {
				out = append(out, o)
			}
		}
		if len(out) == before {
			return nil, fmt.Errorf("%s: no such overlay; alca-mount overlays lists them", show(text))
		}
	}
	return out, nil
}
