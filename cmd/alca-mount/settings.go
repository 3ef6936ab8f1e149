package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/cmd/alca-mount/internal/config"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/mirror"
)

// loadConfig reads what .alca.toml and the user's file say for a project (real path).
func (a *app) loadConfig(project string) (*config.Merged, error) {
	opts, err := configOptions(project)
	if err != nil {
		return nil, err
	}
	m, err := config.Load(opts)
	if err != nil {
		return nil, err
	}
	for _, f := range m.Files {
		a.out().more("configuration: %s (%s)", show(f.Shown), f.Layer)
	}
	return m, nil
}

func configOptions(project string) (config.Options, error) {
	home, _ := mirror.Home() // without one, ~ is an error where it is used
	user, err := config.UserFile(home, os.LookupEnv)
	if err != nil {
		return config.Options{}, err
	}
	opts := config.Options{Project: project, User: user, Home: home, Getenv: os.LookupEnv}
	if state, err := mirror.DefaultStateDir(); err == nil {
		if opts.State, err = state.Real(); err != nil {
			return config.Options{}, err
		}
	}
	return opts, nil
}

// configured reads a project's configured rules for live sync, whenever one of their files changes.
func configured(project string) func() (autosync.Configured, error) {
	return func() (autosync.Configured, error) {
		opts, err := configOptions(project)
		if err != nil {
			return autosync.Configured{}, err
		}
		m, err := config.Load(opts)
		if err != nil {
			return autosync.Configured{}, err
		}
		out := autosync.Configured{Rules: addConfigured(dotfiles.Rules{}, m), Files: []string{filepath.Join(project, config.ProjectFile)}}
		if opts.User != "" {
			out.Files = append(out.Files, opts.User)
		}
		for _, f := range m.Files {
			out.Files = append(out.Files, f.Path)
		}
		return out, nil
	}
}

// settle reads the configuration of the project that we stand in and gives the flags that were not given its values.
func (a *app) settle(f *pflag.FlagSet) (*config.Merged, error) {
	where, err := findPlace(a.project)
	if err != nil {
		return nil, err
	}
	if err := refuseInsideMirror(where.project); err != nil {
		return nil, err
	}
	m, err := a.loadConfig(where.project)
	if err != nil {
		return nil, err
	}
	return m, setFlags(f, m)
}

// flagOf is the flag that a key is the same as; keys without one are not in it.
func flagOf() map[string]string {
	return map[string]string{
		"agent": "agent", "no_default_excludes": "no-default-excludes", "population": "population", "symlinks": "symlinks",
		"git": "git", "git_depth": "git-depth", "git_with_hidden_history": "git-with-hidden-history",
		"isolation": "isolation", "hide": "hide", "confine_writes": "confine-writes", "allow_socket": "allow-socket", "network": "no-network",
		"grace": "grace", "keep": "keep", "image": "image", "runtime": "runtime",
		"sync.mode": "sync", "sync.scan_interval": "scan-interval", "sync.debounce": "debounce", "sync.watcher": "watcher",
	}
}

// setFlags makes the configuration the flags' default: a flag that was given overrides it, lists unite.
func setFlags(f *pflag.FlagSet, m *config.Merged) error {
	lists := map[string][]string{}
	for _, v := range m.Values() {
		key, isElement := strings.CutSuffix(v.Key, "]")
		if isElement {
			key, _, _ = strings.Cut(key, "[")
		}
		flag := f.Lookup(flagOf()[key])
		if flag == nil || flag.Changed && !isElement || ofContainer(key) && ruledOut(f) || key == "allow_socket" && plainly(f) {
			continue
		}
		text := fmt.Sprint(v.Value)
		switch {
		case isElement:
			lists[flag.Name] = append(lists[flag.Name], text)
			continue
		case key == "network":
			text = fmt.Sprint(text == "none")
		}
		if err := f.Set(flag.Name, text); err != nil {
			return fmt.Errorf("%s: %s: %w", v.At, v.Key, err)
		}
	}
	for name, values := range lists {
		if err := prepend(f, name, values); err != nil {
			return err
		}
	}
	return nil
}

// plainly reports whether --isolation is none, where CMD reaches every socket: there is nothing to allow.
func plainly(f *pflag.FlagSet) bool {
	flag := f.Lookup("isolation")
	return flag != nil && flag.Value.String() == "none"
}

// ruledOut reports whether --isolation, which stands before the keys of a container, is for no container.
func ruledOut(f *pflag.FlagSet) bool {
	flag := f.Lookup("isolation")
	return flag != nil && flag.Value.String() != "auto" && flag.Value.String() != "container"
}

// prepend puts the configuration's values before those that were given.
func prepend(f *pflag.FlagSet, name string, values []string) error {
	flag := f.Lookup(name)
	given := []string(nil)
	if s, ok := flag.Value.(pflag.SliceValue); ok && flag.Changed {
		given = s.GetSlice()
	}
	for _, v := range values {
		if err := f.Set(name, v); err != nil {
			return err
		}
	}
	if s, ok := flag.Value.(pflag.SliceValue); ok {
		return s.Replace(append(values, given...))
	}
	return nil
}

// addMounts adds those of --mount.
func (r *runFlags) addMounts(m *config.Merged) error {
	cwd, err := os.Getwd()
	for _, given := range r.mounts {
		if err == nil {
			err = m.AddMount(given, cwd)
		}
		if err != nil {
			return fmt.Errorf("--mount %s: %w", show(given), err)
		}
	}
	return nil
}

// checkHide sees that what is to be hidden can be, and names the flag or the line that asks for it.
func (a *app) checkHide(flags *runFlags, m *config.Merged) error {
	where, err := findPlace(a.project)
	if err != nil {
		return err
	}
	for _, p := range flags.hide {
		_, err := launcher.HiddenPath(where.project, p)
		if err == nil {
			continue
		}
		for _, v := range m.Values() {
			if strings.HasPrefix(v.Key, "hide[") && v.Value == p {
				return fmt.Errorf("%s: %s: %s: %w", v.At, v.Key, show(p), err)
			}
		}
		return fmt.Errorf("--hide %s: %w", show(p), err)
	}
	return nil
}

// blame says which line of the configuration gave a flag that is refused.
func blame(err error, m *config.Merged, f *pflag.FlagSet) error {
	if err == nil {
		return nil
	}
	for _, v := range m.Values() {
		key, _, isList := strings.Cut(v.Key, "[")
		name := flagOf()[key]
		flag := f.Lookup(name)
		same := flag != nil && (isList || key == "network" || flag.Value.String() == fmt.Sprint(v.Value))
		if same && name != "" && strings.Contains(strings.ReplaceAll(err.Error(), ",", "")+" ", "--"+name+" ") {
			return fmt.Errorf("%s: %s: %w", v.At, v.Key, err)
		}
	}
	return err
}

// keepLimits are how long, and how much of, what ended sessions keep is kept: the user's, else the defaults.
func keepLimits(m *config.Merged) (after time.Duration, size int64) {
	after, size = mirror.PruneAfter, mirror.PruneSize
	if m != nil && m.Config.Undo.MaxAge != nil {
		after = *m.Config.Undo.MaxAge
	}
	if m != nil && m.Config.Undo.MaxSize > 0 {
		size = int64(m.Config.Undo.MaxSize)
	}
	return after, size
}

func ofContainer(section string) bool {
	switch section {
	case "image", "runtime", "workdir", "user", "resources", "caps", "commands", "mounts":
		return true
	}
	return false
}

// addConfigured adds the configuration's rules. They come after the rule files', and can only hide and protect more.
func addConfigured(rules dotfiles.Rules, m *config.Merged) dotfiles.Rules {
	if m == nil {
		return rules
	}
	for _, v := range m.Values() {
		key, _, _ := strings.Cut(v.Key, "[")
		rule := dotfiles.Rule{Source: v.At.File, Line: v.At.Line}
		rule.Pattern, _ = v.Value.(string)
		switch key {
		case "exclude", "workdir_exclude":
			rules.Excludes = append(rules.Excludes, rule)
		case "readonly":
			rules.ReadOnly = append(rules.ReadOnly, rule)
		}
	}
	for _, f := range m.Files {
		if f.Rel != "" {
			rules.Policy = append(rules.Policy, dotfiles.Rule{Pattern: dotfiles.Literal(f.Rel), Source: config.ProjectFile})
		}
	}
	return rules
}

// configuredGuard is the built-in guard with the configuration's patterns: what the user excepts passes, and what either
// file adds is guarded all the same. nil: the built-in one.
func configuredGuard(m *config.Merged) (*dotfiles.Guard, error) {
	if len(m.Config.Guard.Paths)+len(m.Config.Guard.Except) == 0 {
		return nil, nil
	}
	rules := dotfiles.GuardedDefault()
	for _, negated := range []bool{true, false} {
		for _, v := range m.Values() {
			key, _, _ := strings.Cut(v.Key, "[")
			rule := dotfiles.Rule{Source: v.At.File, Line: v.At.Line}
			switch {
			case negated && key == "guard.except":
				rule.Pattern = "!" + v.Value.(string)
			case !negated && key == "guard.paths":
				rule.Pattern = v.Value.(string)
			default:
				continue
			}
			rules = append(rules, rule)
		}
	}
	guard, err := dotfiles.NewGuard(rules)
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	return guard, nil
}

// sessionPolicy is the stricter of the rules that a session began with and those of now, the configuration's included.
func sessionPolicy(s *mirror.Session, m *config.Merged) (*dotfiles.Policy, error) {
	then, err := dotfiles.New(s.Rules)
	if err != nil {
		return nil, err
	}
	rules, err := dotfiles.ReadRules(s.Project, s.Agent)
	if err != nil {
		return nil, err
	}
	// What no rule says stays as the session has it: else the stricter answer would be of other defaults.
	rules.NoDefaults, rules.Git, rules.FoldCase = s.Rules.NoDefaults, s.Rules.Git, s.Rules.FoldCase
	now, err := dotfiles.New(addConfigured(rules, m))
	if err != nil {
		return nil, err
	}
	return dotfiles.Stricter(then, now), nil
}

// configuredEnv is the configuration's environment, as --env takes it.
func configuredEnv(m *config.Merged) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(m.Config.Env)) {
		e := m.Config.Env[name]
		if !e.Pass {
			name += "=" + e.Value
		}
		out = append(out, name)
	}
	return out
}

// mayContain reports whether a container is not ruled out by --isolation.
func (r *runFlags) mayContain() bool {
	return r.isolation.value == "auto" || r.isolation.value == "container"
}

// inContainer reports whether CMD runs in a container.
func (r *runFlags) inContainer() bool { return r.image != "" && r.mayContain() }

// container is the launch in a container that flags and configuration ask for; nil for none.
func (r *runFlags) container(m *config.Merged) *launcher.Container {
	if !r.inContainer() {
		return nil
	}
	c := m.Config
	out := &launcher.Container{
		Image: r.image, Runtime: launcher.ContainerRuntime(r.runtime.value), Workdir: c.Mounts[0].Target, User: c.User,
		Memory: int64(c.Resources.Memory), CPUs: c.Resources.CPUs, CapAdd: c.Caps.Add, CapDrop: c.Caps.Drop,
		Up: c.Commands.Up, Enter: c.Commands.Enter,
	}
	if r.noNetwork {
		out.Network = "none"
	}
	for _, mount := range c.Mounts[1:] {
		out.Mounts = append(out.Mounts, launcher.Mount{
			Source: mount.Source, Target: mount.Target, ReadOnly: mount.Readonly, Exclude: mount.Exclude, Mirror: launcher.MirrorMode(mount.Mirror),
		})
	}
	return out
}

// settleRun completes run's flags with the configuration and checks them.
func (a *app) settleRun(c *cobra.Command, flags *runFlags) error {
	m, err := a.settle(c.Flags())
	if err != nil {
		return err
	}
	flags.config = m
	container := flags.inContainer()
	if err := blame(flags.check(c, a.getenv), m, c.Flags()); err != nil {
		return err
	}
	if err := a.checkHide(flags, m); err != nil {
		return err
	}
	if err := flags.addMounts(m); err != nil {
		return err
	}
	if flags.dryRun {
		return nil // nothing takes effect
	}
	return a.trust(m, config.Launch{Container: container, Profile: flags.profile(c.Flags().Args()) != nil})
}

// settleCreate is settleRun for create.
func (a *app) settleCreate(f *pflag.FlagSet, flags *mirrorFlags) error {
	m, err := a.settle(f)
	if err != nil {
		return err
	}
	flags.config = m
	if err := blame(flags.check(f), m, f); err != nil || flags.dryRun {
		return err
	}
	return a.trust(m, config.Launch{Container: true})
}

// settleRules is settleRun for commands that only ask what the rules say.
func (a *app) settleRules(f *pflag.FlagSet, flags *ruleFlags) error {
	m, err := a.settle(f)
	if err != nil {
		return err
	}
	flags.config = m
	return blame(flags.check(f), m, f)
}

// settleLive completes the flags of live sync with the configuration of a session's project.
func (a *app) settleLive(f *pflag.FlagSet, flags *liveFlags, session string) error {
	s, err := a.findSession(session)
	if err != nil {
		return err
	}
	m, err := a.loadConfig(s.Project)
	if err != nil {
		return err
	}
	if err := setFlags(f, m); err != nil {
		return err
	}
	return blame(flags.check(f), m, f)
}
