package main

import (
	"errors"
	"fmt"
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
	"github.com/alca-mount/alca-mount/safety"
)

// defaultSync is when changes cross unless --sync says otherwise.
const defaultSync = launcher.SyncLive

// choice is a flag that takes one of a few words.
type choice struct {
	value string
	of    []string
}

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return strings.Join(c.of, "|") }

func (c *choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		return fmt.Errorf("must be one of %s", strings.Join(c.of, ", "))
	}
	c.value = s
	return nil
}

func choiceVar(f *pflag.FlagSet, name, value, usage string, of ...string) *choice {
	c := &choice{value, of}
	f.Var(c, name, usage)
	return c
}

// ruleFlags change which access paths have.
type ruleFlags struct {
	agent      string
	agentGiven bool
	exclude    []string
	readonly   []string
	noDefaults bool
	git        *choice
	config     *config.Merged // of the project; nil: none was read
}

func (r *ruleFlags) add(f *pflag.FlagSet) {
	f.StringVar(&r.agent, "agent", "", "whose .`NAME`.agentignore and .NAME.agentreadonly are added (default: CMD's base name)")
	f.StringArrayVar(&r.exclude, "exclude", nil, "leave out what matches `PATTERN`, as in .gitignore; repeatable")
	f.StringArrayVar(&r.readonly, "readonly", nil, "write-protect what matches `PATTERN`; repeatable")
	f.BoolVar(&r.noDefaults, "no-default-excludes", false, "drop the built-in list of what is left out (.git stays under --git)")
	r.git = choiceVar(f, "git", "none", "leave .git out, copy it one-way, or bring the agent's commits home", "none", "copy", "import")
}

// mirrorFlags say what a mirror is to be like.
type mirrorFlags struct {
	ruleFlags
	population *choice
	symlinks   *choice
	mirrorDir  string
	name       string
	dryRun     bool

	hiddenHistory bool
	gitDepth      int
}

func (m *mirrorFlags) add(f *pflag.FlagSet) {
	m.ruleFlags.add(f)
	m.population, m.symlinks = addHow(f)
	f.IntVar(&m.gitDepth, "git-depth", 0, "how many commits of HEAD's history --git copy and import take, without other branches (default: all)")
	f.BoolVar(&m.hiddenHistory, "git-with-hidden-history", false, "let --git copy and import take a history that holds hidden files")
	f.StringVar(&m.mirrorDir, "mirror-dir", "", "build the mirror in `DIR` (default: in the state directory)")
	f.StringVar(&m.name, "name", "", "a `NAME` to refer to the session by")
	f.BoolVar(&m.dryRun, "dry-run", false, "print what would be mirrored, hidden and read-only; start and write nothing")
}

// addHow adds the flags that say which entries count and what becomes of links.
func addHow(f *pflag.FlagSet) (population, symlinks *choice) {
	population = choiceVar(f, "population", "walk", "all that the rules allow, git's tracked and unignored files, or git where possible", "walk", "git", "auto")
	symlinks = choiceVar(f, "symlinks", "keep", "keep links, copy the files they lead to, or leave links out", "keep", "follow", "skip")
	return population, symlinks
}

// check validates what cobra cannot.
func (m *mirrorFlags) check(f *pflag.FlagSet) error {
	if m.name != "" || f.Changed("name") {
		if err := mirror.CheckName(m.name); err != nil {
			return fmt.Errorf("--name %w", err)
		}
	}
	if f.Changed("mirror-dir") && m.mirrorDir == "" {
		return errors.New("--mirror-dir: expected a directory, got an empty string")
	}
	if f.Changed("git-depth") && m.gitDepth < 1 {
		return fmt.Errorf("--git-depth %d: expected 1 or more", m.gitDepth)
	}
	if m.gitDepth > 0 && m.git.value == "none" {
		return errors.New("--git-depth: there is no history without --git copy or --git import")
	}
	return m.ruleFlags.check(f)
}

func (r *ruleFlags) check(f *pflag.FlagSet) error {
	for _, p := range r.readonly {
		if strings.HasPrefix(p, "!") {
			return fmt.Errorf("--readonly %q: expected a pattern without \"!\": what a rule file protects is opened there", p)
		}
	}
	r.agentGiven = f.Changed("agent")
	if r.agentGiven && !dotfiles.ValidAgent(r.agent) {
		return fmt.Errorf("--agent %q: expected letters, digits, '_' and '-' only", r.agent)
	}
	return nil
}

func (m *mirrorFlags) populationMode() mirror.Population { return populationOf(m.population) }
func (m *mirrorFlags) linksMode() mirror.Links           { return linksOf(m.symlinks) }

func populationOf(c *choice) mirror.Population {
	return map[string]mirror.Population{"walk": mirror.Walk, "git": mirror.Git, "auto": mirror.Auto}[c.value]
}

func linksOf(c *choice) mirror.Links {
	return map[string]mirror.Links{"keep": mirror.KeepLinks, "follow": mirror.FollowLinks, "skip": mirror.SkipLinks}[c.value]
}

func (r *ruleFlags) gitMode() mirror.GitMode {
	return map[string]mirror.GitMode{"none": mirror.GitNone, "copy": mirror.GitCopy, "import": mirror.GitImport}[r.git.value]
}

// runFlags are run's.
type runFlags struct {
	mirrorFlags
	sync      *choice
	isolation *choice
	env       []string
	image     string
	runtime   *choice
	mounts    []string
	noNetwork bool
	keep      bool
	events    string
	massDel   bool
	guarded   bool
	grace     time.Duration

	noPreflight bool
	noProfile   bool
	live        liveFlags

	stay *launcher.Stay // of up

	build     bool // nothing comes home but
	artifacts []safety.RelPath

	overlayPaths []string
	hide         []string
	allowSockets []string
	confine      bool
}

// liveFlags are of live sync, in run and watch.
type liveFlags struct {
	interval time.Duration
	given    bool // interval was
	debounce time.Duration
	watcher  *choice
}

func (l *liveFlags) add(f *pflag.FlagSet) {
	f.DurationVar(&l.interval, "scan-interval", 0, "compare both sides whole at that interval, however healthy the watcher; 0: never (default: by its cost)")
	f.DurationVar(&l.debounce, "debounce", 20*time.Millisecond, "coalesce repeated events of one path")
	l.watcher = choiceVar(f, "watcher", "auto", "how changes are noticed", "auto", "inotify", "notify")
}

func (l *liveFlags) check(f *pflag.FlagSet) error {
	l.given = f.Changed("scan-interval")
	if l.interval < 0 {
		return fmt.Errorf("--scan-interval %v: expected 0 or more", l.interval)
	}
	if l.debounce < 0 {
		return fmt.Errorf("--debounce %v: expected 0 or more", l.debounce)
	}
	return nil
}

func (l *liveFlags) options(project string) autosync.LiveOptions {
	out := autosync.LiveOptions{Configured: configured(project), Watcher: l.watcher.value, Debounce: max(l.debounce, time.Nanosecond)}
	if l.given {
		out.ScanInterval = &l.interval
	}
	return out
}

func (r *runFlags) add(f *pflag.FlagSet) {
	r.mirrorFlags.add(f)
	r.sync = choiceVar(f, "sync", string(defaultSync), "carry changes continuously, once at the end, when approved, or never", "live", "exit", "review", "off")
	r.isolation = choiceVar(f, "isolation", "auto", "how CMD is confined", "auto", "none", "namespace", "container")
	f.StringArrayVar(&r.env, "env", nil, "set `K[=V]`, or pass K on, for CMD; repeatable")
	f.StringVar(&r.image, "image", "", "run CMD in a container of `IMG`")
	r.runtime = choiceVar(f, "runtime", "auto", "the container engine", "auto", "docker", "podman")
	f.StringArrayVar(&r.mounts, "mount", nil, "`SRC:DST[:ro]`, a further mount of the container; repeatable")
	r.live.add(f)
	f.BoolVar(&r.keep, "keep", false, "keep mirror and session at the end")
	f.StringVar(&r.events, "events", "", "append what happens to `FILE` as JSON lines")
	f.BoolVar(&r.massDel, "allow-mass-delete", false, "let mass deletions pass")
	f.BoolVar(&r.guarded, "allow-guarded", false, "let changes of files that host tools execute pass")
	f.BoolVar(&r.noPreflight, "no-preflight", false, "do not look for likely secrets before the first launch without rule files")
	f.BoolVar(&r.noProfile, "no-profile", false, "in a container, bring nothing of the agent's settings, login and keys")
	f.DurationVar(&r.grace, "grace", 10*time.Second, "from TERM to KILL for a CMD that does not go")
	f.StringArrayVar(&r.overlayPaths, "overlay", nil, "give CMD a kept copy of its own of the left-out directory `PATH`; auto: of node_modules, .venv, target … where the project has such; repeatable")
	f.StringArrayVar(&r.hide, "hide", nil, "hide the host's `PATH` from CMD, in a namespace; repeatable")
	f.StringArrayVar(&r.allowSockets, "allow-socket", nil, "let CMD reach the socket `PATH`, which a namespace hides; repeatable")
	f.BoolVar(&r.noNetwork, "no-network", false, "no network for CMD, in a namespace")
	f.BoolVar(&r.confine, "confine-writes", false, "CMD writes to project, temporary and agents' own directories only, in a namespace")
}

func (r *runFlags) check(c *cobra.Command, getenv func(string) string) error {
	f := c.Flags()
	if err := r.mirrorFlags.check(f); err != nil {
		return err
	}
	if r.grace < 0 {
		return fmt.Errorf("--grace %v: expected 0 or more", r.grace)
	}
	if err := r.live.check(f); err != nil {
		return err
	}
	if err := errors.Join(r.checkEnv(), r.checkContainer(f)); err != nil {
		return err
	}
	if (r.massDel || r.guarded) && getenv("ALCA_MOUNT_SESSION") != "" {
		return errors.New("--allow-mass-delete and --allow-guarded are the user's to give: not inside a session (ALCA_MOUNT_SESSION is set)")
	}
	if r.isolation.value == "none" && r.needsNamespace() {
		return errors.New("--hide, --allow-socket, --no-network and --confine-writes need --isolation namespace: plainly launched, CMD reaches all of the machine")
	}
	return nil
}

func (r *runFlags) checkEnv() error {
	for _, e := range r.env {
		if key, _, _ := strings.Cut(e, "="); key == "" || strings.ContainsRune(e, 0) {
			return fmt.Errorf("--env %q: expected K or K=V", e)
		}
	}
	return nil
}

func unsupported(what, instead string) error {
	return fmt.Errorf("%s is not supported yet: %s%w", what, instead, silent{errors.ErrUnsupported})
}

// silent makes an error part of a chain without a word.
type silent struct{ error }

func (silent) Error() string   { return "" }
func (s silent) Unwrap() error { return s.error }

// isolationMode is what --isolation says, where a configured image decides auto.
func (r *runFlags) isolationMode() launcher.Isolation {
	if r.inContainer() {
		return launcher.IsolationContainer
	}
	return launcher.Isolation(r.isolation.value)
}

// needsNamespace reports whether something was asked for that only a namespace gives.
func (r *runFlags) needsNamespace() bool {
	return len(r.hide)+len(r.allowSockets) > 0 || r.noNetwork || r.confine
}
