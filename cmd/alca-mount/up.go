package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/alca-mount/alca-mount/cmd/alca-mount/internal/config"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/mirror"
)

func (a *app) upCommand() *cobra.Command {
	flags := &runFlags{}
	var foreground bool
	c := &cobra.Command{
		Use:   "up [flags]",
		Short: "Start a container that stays, with a live mirror of the project",
		Long: `Build a mirror, start a container on it that stays, and keep both sides in step until alca-mount down. A process in the
background looks after it; --foreground stays in the foreground until INT or TERM. alca-mount exec runs commands there.
When image, mounts, rules or settings are no more those that it was started with, up says what changed, and starts it
anew when you agree (or with -y).`,
		Example: "  alca-mount up --image node:22\n  alca-mount exec -- npm test\n  alca-mount down",
		Args:    args(0, 0, "no arguments: alca-mount exec -- CMD runs a command there"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := a.settleUp(c, flags); err != nil {
				return err
			}
			if foreground {
				return a.stay(c.Context(), flags)
			}
			return a.up(c.Context(), flags)
		},
	}
	flags.add(c.Flags())
	for _, name := range []string{"sync", "dry-run", "isolation", "name", "keep"} {
		_ = c.Flags().MarkHidden(name)
	}
	c.Flags().BoolVar(&foreground, "foreground", false, "look after the container in this process, until INT or TERM")
	return c
}

// settleUp refuses what a container that stays can't have.
func (a *app) settleUp(c *cobra.Command, flags *runFlags) error {
	for _, name := range []string{"sync", "dry-run", "isolation", "name", "keep"} {
		if c.Flags().Changed(name) {
			return fmt.Errorf("up --%s: a container that stays is synced live, and goes with alca-mount down", name)
		}
	}
	if a.json {
		return errors.New("--json: up has no data of its own")
	}
	flags.isolation.value = string(launcher.IsolationContainer)
	c.Flags().Lookup("isolation").Changed = true // it stands before what the configuration says
	if err := a.settleRun(c, flags); err != nil {
		return err
	}
	if flags.sync.value != string(launcher.SyncLive) {
		return fmt.Errorf("up: a container that stays is synced live; the configuration says sync %q", flags.sync.value)
	}
	if !flags.inContainer() {
		return errors.New("up: no image is named; expected --image IMG, or image in .alca.toml")
	}
	return nil
}

// up starts a process that looks after the container, unless there is one that does what is asked for.
func (a *app) up(ctx context.Context, flags *runFlags) error {
	where, policy, err := a.prepare(&flags.mirrorFlags, nil)
	if err != nil {
		return err
	}
	state, err := stateFor(where.project)
	if err != nil {
		return err
	}
	if !flags.noPreflight {
		if _, err := a.askAboutSecrets(ctx, where, policy, state); err != nil {
			return err
		}
	}
	s, at, err := launcher.FindStanding(state, where.project)
	if err != nil {
		return err
	}
	if s != nil {
		now, err := flags.settings(where.project)
		if err != nil {
			return err
		}
		drift := launcher.Drift(at.Settings, now)
		if id, err := launcher.ImageNow(ctx, s, flags.image); err == nil && id != at.Image && at.Settings["image"] == flags.image {
			drift = append(drift, "image: "+flags.image+" is another one now")
		}
		if len(drift) == 0 {
			a.out().say("already up · session %s", s.ID)
			return nil
		}
		if err := a.agreeToDrift(s, drift); err != nil {
			return err
		}
		if err := a.down(ctx, s); err != nil {
			return err
		}
	}
	return a.startKeeper(state, where.project)
}

// agreeToDrift tells what changed and asks whether to start anew.
func (a *app) agreeToDrift(s *mirror.Session, drift []string) error {
	o := a.out()
	o.warn("session %s was started with other settings:", s.ID)
	for _, d := range drift {
		o.item(oneLine(d))
	}
	if !a.yes && !(a.askable() && a.ask("end it and start anew? [y/N] ")) {
		return fmt.Errorf("session %s goes on as it was started: alca-mount up -y starts it anew, alca-mount down ends it", s.ID)
	}
	return nil
}

// settings are what the container is to be like, a text for each: two of them are compared for drift.
func (r *runFlags) settings(project string) (map[string]string, error) {
	c := r.container(r.config)
	out := map[string]string{
		"image": c.Image, "runtime": string(c.Runtime), "workdir": c.Workdir, "user": c.User, "network": c.Network,
		"memory": textOf(c.Memory), "cpus": textOf(c.CPUs), "caps": textOf([]any{c.CapAdd, c.CapDrop}),
		"commands.up": c.Up, "commands.enter": c.Enter, "mounts": textOf(c.Mounts), "env": digestOf(append(configuredEnv(r.config), r.env...)),
		"overlays": textOf([]any{r.overlayPaths, r.config.Config.Overlay}), "git": r.git.value, "population": r.population.value, "symlinks": r.symlinks.value,
		rulesKey: textOf(addConfigured(dotfiles.Rules{Excludes: patterns(r.exclude), ReadOnly: patterns(r.readonly), NoDefaults: r.noDefaults}, r.config)),
	}
	for k, v := range out {
		if v == "null" || v == "0" || v == "[null,null]" {
			delete(out, k)
		}
	}
	return out, nil
}

// rulesKey is the setting of rules that are in no rule file: those are read anew while the container is up.
const rulesKey = "rules"

func patterns(texts []string) []dotfiles.Rule {
	var out []dotfiles.Rule
	for _, t := range texts {
		out = append(out, dotfiles.Rule{Pattern: t})
	}
	return out
}

// digestOf stands for what may be secret.
func digestOf(values []string) string {
	if len(values) == 0 {
		return "null"
	}
	sum := sha256.Sum256([]byte(textOf(values)))
	return launcher.Digest + hex.EncodeToString(sum[:])
}

func textOf(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}

// stay looks after a container that stays until a signal ends it.
func (a *app) stay(ctx context.Context, flags *runFlags) error {
	where, err := findPlace(a.project)
	if err != nil {
		return err
	}
	state, err := stateFor(where.project)
	if err != nil {
		return err
	}
	if s, _, err := launcher.FindStanding(state, where.project); err != nil || s != nil {
		if s != nil {
			err = fmt.Errorf("session %s is up already: alca-mount down ends it", s.ID)
		}
		return err
	}
	settings, err := flags.settings(where.project)
	if err != nil {
		return err
	}
	asked, stop := flushRequests(state, where.project)
	defer stop()
	flags.stay = &launcher.Stay{Settings: settings, Flush: asked, Ready: func(session string) {
		a.out().say("up · session %s", session)
		tellParent(session)
	}}
	err = a.runOn(ctx, flags, nil)
	code := 0
	var exit *exitError
	if errors.As(err, &exit) {
		code, err = exit.code, exit.err
	} else if err != nil {
		code = exitOwn
	}
	if err != nil {
		a.out().failure(err)
	}
	allTold(state, where.project)
	if code == 0 {
		return nil
	}
	return &exitError{code: code}
}

// configDrift reports whether the rules in the configuration are not those of then; those of flags count for the session.
func configDrift(m *config.Merged, at launcher.Standing) bool {
	var then dotfiles.Rules
	if json.Unmarshal([]byte(at.Settings[rulesKey]), &then) != nil {
		return true
	}
	var before, now []string
	for _, list := range [][]dotfiles.Rule{then.Excludes, then.ReadOnly} {
		for _, r := range list {
			if r.Source != "" {
				before = append(before, r.Pattern)
			}
		}
		before = append(before, "")
	}
	rules := addConfigured(dotfiles.Rules{}, m)
	for _, list := range [][]dotfiles.Rule{rules.Excludes, rules.ReadOnly} {
		for _, r := range list {
			now = append(now, r.Pattern)
		}
		now = append(now, "")
	}
	return strings.Join(before, "\n") != strings.Join(now, "\n")
}

func (a *app) execCommand() *cobra.Command {
	var env []string
	c := &cobra.Command{
		Use:   "exec [flags] -- CMD [ARG…]",
		Short: "Run a command in the container that is up",
		Long: `Run CMD in the container that alca-mount up started for this project. What changed on either side is carried before CMD
starts, and again before exec returns. It exits as CMD does.`,
		Example: "  alca-mount exec -- npm test\n  alca-mount exec -- sh",
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			command, err := commandOf(c, args, false)
			if err == nil && a.json {
				err = errors.New("--json: exec has no data of its own")
			}
			if err == nil {
				err = (&runFlags{env: env}).checkEnv()
			}
			if err != nil {
				return err
			}
			return a.exec(c.Context(), env, command)
		},
	}
	c.Flags().StringArrayVar(&env, "env", nil, "set `K[=V]`, or pass K on, for CMD; repeatable")
	return c
}

func (a *app) exec(ctx context.Context, env, command []string) error {
	where, s, at, err := a.standing()
	if err != nil {
		return err
	}
	if s == nil {
		return fmt.Errorf("nothing is up for %s: alca-mount up starts a container", show(where.project))
	}
	m, err := a.loadConfig(where.project)
	if err != nil {
		return err
	}
	if configDrift(m, at) {
		return fmt.Errorf("the rules in the configuration are not those that session %s was started with: alca-mount up -y starts it anew", s.ID)
	}
	state, err := mirror.DefaultStateDir()
	if err != nil {
		return err
	}
	if err := askFlush(ctx, s); err != nil {
		return err
	}
	policy, err := sessionPolicy(s, m)
	if err != nil {
		return err
	}
	signals, ctx := startRelay(ctx, false)
	signals.started.Store(true)
	code, err := launcher.Enter(ctx, state, s, at, launcher.EnterOptions{
		Command: command, Dir: shownSubdir(a.out(), policy, where.subdir), Env: env, Stdin: a.stdin, Stdout: a.stdout, Stderr: a.stderr, Signals: signals.out,
	})
	signals.stop()
	if ferr := askFlush(context.WithoutCancel(ctx), s); ferr != nil {
		err = errors.Join(err, ferr)
	}
	if err != nil {
		return &exitError{ownCode(code), err}
	}
	if code != 0 {
		return &exitError{code: code}
	}
	return nil
}

// standing finds the container that is up for the project that we stand in; a nil session: there is none.
func (a *app) standing() (place, *mirror.Session, launcher.Standing, error) {
	where, err := findPlace(a.project)
	if err != nil {
		return place{}, nil, launcher.Standing{}, err
	}
	state, err := stateFor(where.project)
	if err != nil {
		return place{}, nil, launcher.Standing{}, err
	}
	s, at, err := launcher.FindStanding(state, where.project)
	return where, s, at, err
}

func (a *app) downCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Bring all home, and end the container that is up",
		Long: `Carry what changed on either side, end the container that alca-mount up started for this project, reconcile both sides
whole, and remove the mirror. What can't be brought home is told, and its mirror is kept.`,
		Args: args(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if a.json {
				return errors.New("--json: down has no data of its own; alca-mount ls SESSION --json has")
			}
			where, s, _, err := a.standing()
			if err != nil {
				return err
			}
			if s == nil {
				a.out().say("nothing is up for %s", show(where.project))
				state, err := mirror.DefaultStateDir()
				if err == nil {
					tellBadEnds(a.out(), state, where.project)
				}
				return err
			}
			return a.down(c.Context(), s)
		},
	}
}

// down ends what is up, and waits for it.
func (a *app) down(ctx context.Context, s *mirror.Session) error {
	if err := askFlush(ctx, s); err != nil {
		return fmt.Errorf("session %s goes on: what changed could not be carried: %w", s.ID, err)
	}
	if err := a.endKeeper(ctx, s); err != nil {
		return err
	}
	if _, err := os.Lstat(s.Mirror); err == nil {
		return &exitError{exitPartly, fmt.Errorf("the mirror of session %s is kept: alca-mount diff %[1]s tells what it holds", s.ID)}
	}
	return nil
}
