package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

func (a *app) namedRunCommand() *cobra.Command {
	c := a.runCommand()
	c.Use, c.Short = "run [flags] -- CMD [ARG…]", "Run a command on a mirror of the project"
	c.Long = "Run CMD on a mirror of the project, bring home what it may change, remove the mirror. The word run can be left out."
	return c
}

func (a *app) runCommand() *cobra.Command {
	flags := &runFlags{}
	c := &cobra.Command{
		Example: "  alca-mount -- claude\n  alca-mount --agent ci --exclude '*.pem' -- ./build.sh --release",
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			command, err := commandOf(c, args, flags.dryRun)
			if err == nil {
				err = a.settleRun(c, flags)
			}
			if err != nil {
				return err
			}
			if flags.dryRun {
				return a.dryRun(c.Context(), &flags.mirrorFlags, command)
			}
			if a.json {
				return errors.New("--json: run has no data of its own; use --events FILE, or --dry-run --json")
			}
			return a.runOn(c.Context(), flags, command)
		},
	}
	flags.add(c.Flags())
	return c
}

// commandOf returns what stands behind "--".
func commandOf(c *cobra.Command, args []string, optional bool) ([]string, error) {
	dash := c.ArgsLenAtDash()
	if dash < 0 {
		dash = len(args)
	}
	if dash > 0 {
		if c.HasParent() {
			return nil, fmt.Errorf("%[1]s: unexpected %[2]q before --; the command stands behind it: alca-mount %[1]s [flags] -- CMD [ARG…]", c.Name(), args[0])
		}
		return nil, unknownCommand(c, args[0])
	}
	if len(args) == 0 && !optional {
		return nil, errors.New("no command given: alca-mount [flags] -- CMD [ARG…]; see alca-mount --help")
	}
	if len(args) > 0 && args[0] == "" {
		return nil, errors.New("the command is an empty string")
	}
	return args, nil
}

// uncollected is how much may be allocated before CMD starts until the collector runs: it would run six times while a usual
// project is copied, on the CPUs that copy. It is memory that nobody touches, and counts for it as in use; of a project so
// large that the collector has to run, it is a small part.
const uncollected = 16 << 20

// runOn builds, launches, and tells.
func (a *app) runOn(ctx context.Context, flags *runFlags, command []string) error {
	began := time.Now()
	o := a.out()
	opts, events, err := a.launchOptions(ctx, flags, command)
	if err != nil {
		return err
	}
	bar := newProgress(o)
	opts.Progress, opts.Pulling = bar.show, bar.pulling
	opts.Events = events.event
	signals, ctx := startRelay(ctx, flags.stay != nil)
	defer signals.stop()
	opts.Signals, opts.Stay = signals.out, flags.stay
	room := make([]byte, uncollected)
	tellSecrets := func() {}
	if !flags.noPreflight {
		opts.Whole, tellSecrets = a.secretsLater(ctx, opts.Project, opts.State)
	}
	opts.AfterBuild = func(s launcher.Start) {
		signals.started.Store(true)
		bar.done()
		tellSecrets()
		tellStart(o, s, flags, time.Since(began))
		events.start(opts.Project, s)
		runtime.KeepAlive(room)
		room = nil
	}
	if opts.Sync == launcher.SyncReview && a.canAsk() {
		opts.Review = a.review
	}
	res, err := a.launch(ctx, opts)
	bar.done()
	events.end(res)
	if signals.started.Load() || res.Mirror != "" {
		end := endOf(res, time.Since(began))
		end.artifacts = len(opts.Artifacts) > 0
		if opts.Sync == launcher.SyncOff && !flags.broughtArtifacts(res) {
			end.unsent = "--sync off"
		}
		end.listAll = storeChanges(opts.State, res)
		tellEnd(o, end)
		tellMounts(o, res)
		a.pruneAfterRun(ctx, opts.State, flags.config, began)
	}
	if eerr := events.Close(); eerr != nil {
		o.warn("--events %s: %v; later events are missing there", show(flags.events), bareErr(eerr))
	}
	if err != nil {
		return stopped(ctx, &exitError{ownCode(res.ExitCode), toldBefore(err)})
	}
	if res.ExitCode == 0 && flags.build {
		return a.artifactsTold(res)
	}
	if res.ExitCode != 0 {
		return &exitError{code: res.ExitCode}
	}
	return nil
}

// toldBefore is err, but of paths that the end lines have named each only how many there are, and nothing of what they said.
func toldBefore(err error) error {
	if onlyEmptied(err) {
		return nil
	}
	var partial *launcher.PartialSyncError
	if !errors.As(err, &partial) || err.Error() != partial.Error() {
		return err
	}
	return fmt.Errorf("%s could not be brought home", count(len(partial.Failed), "path"))
}

// ownCode is the code of a launch with an error: CMD's own where it failed by itself, never a success.
func ownCode(code int) int {
	if code == 0 {
		return exitOwn
	}
	return code
}

func (a *app) launchOptions(ctx context.Context, flags *runFlags, command []string) (launcher.Options, *eventLog, error) {
	where, policy, err := a.prepare(&flags.mirrorFlags, command)
	if err != nil {
		return launcher.Options{}, nil, err
	}
	mirrorDir, err := absolute(flags.mirrorDir)
	if err != nil {
		return launcher.Options{}, nil, fmt.Errorf("--mirror-dir: %w", err)
	}
	state, err := stateFor(where.project)
	if err != nil {
		return launcher.Options{}, nil, err
	}
	a.tellForeign(state, where.project)
	if !flags.noPreflight {
		wrote, err := a.askAboutSecrets(ctx, where, policy, state)
		if err == nil && wrote {
			_, policy, err = a.prepare(&flags.mirrorFlags, command)
		}
		if err != nil {
			return launcher.Options{}, nil, err
		}
	}
	guard, err := configuredGuard(flags.config)
	if err != nil {
		return launcher.Options{}, nil, err
	}
	overlays, auto, err := flags.overlays()
	if err != nil {
		return launcher.Options{}, nil, err
	}
	tellBadEnds(a.out(), state, where.project)
	events, err := openEvents(flags.events)
	if err != nil {
		return launcher.Options{}, nil, err
	}
	return launcher.Options{
		Project: where.project, Mirror: mirrorDir, Policy: policy, Agent: flags.agentOf(command),
		Command: command, Subdir: shownSubdir(a.out(), policy, where.subdir), Env: append(configuredEnv(flags.config), flags.env...),
		Container: flags.container(flags.config), Profile: flags.profile(command),
		Isolation: flags.isolationMode(),
		Hide:      flags.hide, AllowSockets: flags.allowSockets, NoNetwork: flags.noNetwork, ConfineWrites: flags.confine, Writable: flags.config.Config.Writable,
		Overlays: overlays, AutoOverlays: auto, OverlaysOf: flags.overlaysOf(policy, command),
		Artifacts:  flags.artifacts,
		Sync:       launcher.Sync(flags.sync.value),
		Live:       flags.live.options(where.project),
		Population: flags.populationMode(), Git: flags.gitMode(), GitHiddenHistory: flags.hiddenHistory, GitDepth: flags.gitDepth, Links: flags.linksMode(),
		State: state, Name: flags.name, Keep: flags.keep, Grace: max(flags.grace, time.Nanosecond),
		Untold:          true,
		AllowMassDelete: flags.massDel, AllowGuarded: flags.guarded, Guarded: guard,
	}, events, nil
}

// stateFor is the state directory, which may not lie in the project: it would be mirrored, and its sessions synced.
func stateFor(project string) (*mirror.StateDir, error) {
	state, err := mirror.DefaultStateDir()
	if err != nil {
		return nil, err
	}
	if err := checkProject(project); err != nil {
		return nil, err
	}
	if err := safety.CheckRoots(project, state.Path()); err != nil {
		return nil, fmt.Errorf("the state directory (XDG_STATE_HOME): %w", err)
	}
	return state, nil
}

// prepare finds the project and its rules, and tells what is odd about them.
func (a *app) prepare(flags *mirrorFlags, command []string) (place, *dotfiles.Policy, error) {
	where, err := findPlace(a.project)
	if err != nil {
		return place{}, nil, err
	}
	if err := refuseInsideMirror(where.project); err != nil {
		return place{}, nil, err
	}
	agent := flags.agentOf(command)
	policy, err := flags.policy(where.project, agent)
	if err != nil {
		return place{}, nil, err
	}
	tellIgnored(a.out(), where.project, agent)
	return where, policy, nil
}

func absolute(dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	return filepath.Abs(dir)
}

// shownSubdir is the directory that CMD starts in: the one we were started in, or where that is not mirrored the
// nearest above it that is.
func shownSubdir(o *output, policy *dotfiles.Policy, dir safety.RelPath) safety.RelPath {
	for d := dir; d != safety.Top; d = d.Dir() {
		if policy.Access(string(d), true).Mirrored() {
			return d
		}
		v := policy.Explain(string(d), true)
		o.warn("%s is not in the mirror (%s): starting in %s", show(string(d)), ruleText(v), show(string(d.Dir())))
	}
	return safety.Top
}

// tellStart says that CMD is about to run, and on what.
func tellStart(o *output, s launcher.Start, flags *runFlags, took time.Duration) {
	session := s.Session
	if s.Name != "" {
		session += " (" + s.Name + ")"
	}
	what := builtText(s.Built)
	if s.Warm != nil {
		what = fmt.Sprintf("kept mirror taken up: %d to the mirror, %d to the project, %d deleted there", len(s.Warm.ToMirror), len(s.Warm.ToProject), len(s.Warm.Deleted))
	}
	o.say("%s · session %s · %s", what, session, humanTime(took))
	tellProfile(o, s.Profile)
	for _, w := range s.Warnings {
		o.warn("%s", oneLine(w))
	}
	tellShortcomings(o, s.Built)
	if flags.isolation.value == "auto" && s.Isolation == launcher.IsolationNone {
		tell := o.say
		if s.Unforeseen {
			tell = o.warn
		}
		tell("isolation none: hidden files are absent from the mirror, but CMD can read the rest of the machine%s", whyNone(s.Fallback))
	}
	if len(s.Enforced) > 0 {
		o.more("enforced: %s", strings.Join(s.Enforced, ", "))
	}
	if flags.sync.value == string(launcher.SyncOff) && !flags.build {
		o.warn("--sync off: nothing is brought home")
	}
	o.more("mirror: %s", show(s.Mirror))
}

// whyNone says what is in the way of a stronger isolation.
func whyNone(reason string) string {
	if reason == "" {
		return ""
	}
	return " (no namespace: " + oneLine(reason) + ")"
}

func builtText(b mirror.Built) string {
	return fmt.Sprintf("%s · %s hidden · %s read-only", filesText(b), grouped(b.Hidden), grouped(b.ReadOnly))
}

func filesText(b mirror.Built) string {
	files := fmt.Sprintf("%s, %s", count(b.Files, "file"), humanBytes(b.Bytes))
	if how := copiedText(b.CopiedBy); how != "" {
		files += " (" + how + ")"
	}
	return files
}

func copiedText(m safety.Method) string {
	switch m {
	case safety.Reflink:
		return "reflinked"
	case safety.CopyRange, safety.ReadWrite:
		return "copied"
	}
	return ""
}

// tellShortcomings names what the mirror is not: entries that are missing for another reason than the rules, and
// protection that did not take effect.
func tellShortcomings(o *output, b mirror.Built) {
	if b.Unguarded > 0 {
		o.warn("%s not write-protected in the mirror: its file system has no modes; edits of them still never come home", count(b.Unguarded, "read-only file"))
	}
	tellSkipped(o, b.Skipped)
}

func tellSkipped(o *output, skipped []mirror.Skipped) {
	if len(skipped) == 0 {
		return
	}
	o.warn("%s left out:", count(len(skipped), "entry"))
	for i, s := range skipped {
		if i == maxListed && !o.verbose {
			o.item(fmt.Sprintf("… and %d more: alca-mount --dry-run -v", len(skipped)-i))
			return
		}
		o.item(show(string(s.Path)) + "  " + oneLine(s.Why))
	}
}

// ruleText names the rule of a verdict as "FILE:LINE: PATTERN".
func ruleText(v dotfiles.Verdict) string {
	switch {
	case v.Rule.Source == "":
		return v.Access.String()
	case v.Rule.Line > 0:
		return fmt.Sprintf("%s:%d: %s", show(v.Rule.Source), v.Rule.Line, show(v.Rule.Pattern))
	}
	return fmt.Sprintf("%s: %s", show(v.Rule.Source), show(v.Rule.Pattern))
}
