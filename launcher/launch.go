package launcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/launcher/internal/container"
	"github.com/alca-mount/alca-mount/launcher/internal/namespace"
	"github.com/alca-mount/alca-mount/launcher/internal/plain"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

const (
	defaultGrace = 10 * time.Second
	// linger is how long what outlives CMD may go on: a language server or a build daemon that was told to stop needs
	// a moment, and what it still writes belongs to the session.
	linger = 500 * time.Millisecond
)

// unsettledMost is how long a launch may run before its session is durable, though nothing of it came home yet. What was
// written to the mirror within that time is on no disk either.
const unsettledMost = 2 * time.Second

// ownFailure is the exit code of run when it is not CMD's.
const ownFailure = 125

// Launch builds the mirror, runs the command on it, syncs and cleans up.
//
// An error is the launcher's own failure; Result is filled as far as the launch got, and its ExitCode is what run exits
// with: 126 or 127 for a command that could not be started, else 125. Whatever fails once the mirror stands, changes
// made in it are synced; where they can't be, the mirror is kept and Result says where and why.
func Launch(ctx context.Context, opts Options) (Result, error) {
	l, err := prepare(opts)
	if err != nil {
		return Result{ExitCode: ownFailure}, err
	}
	if err := l.ready(); err != nil {
		return Result{ExitCode: startFailure(err)}, err // before anything is copied for it
	}
	if err := l.wakeNamespace(); err != nil {
		return Result{ExitCode: ownFailure}, err
	}
	defer l.sleepNamespace()
	defer l.closeWatched() // where no live sync has taken it over
	if err := l.buildAll(ctx); err != nil {
		return l.result(ownFailure), err
	}
	exit, runErr := l.startAndRun(ctx)
	endErr := errors.Join(l.end(), l.endMounts())
	return l.conclude(exit, runErr, errors.Join(endErr, l.docked.release()))
}

// launch is one launch on its way.
type launch struct {
	opts    Options
	project string // real path
	policy  *dotfiles.Policy
	state   *mirror.StateDir
	session *mirror.Session
	mirror  *mirror.Mirror
	runtime runtime
	place   place
	syncer  *autosync.Syncer     // under SyncLive
	watched *autosync.Watched    // from before the live sync
	early   *namespace.Namespace // started before the mirror is built
	noEarly error                // why there is none
	warm    *warm                // on the mirror of a kept session; else nil
	waiting bool                 // under SyncReview: not all is decided on
	res     Result

	laid      []*laid                     // overlays
	passed    map[string][]safety.RelPath // what auto would have made more of, by why it is not
	docked    *containerRuntime           // of a container launch, from before the build
	mounts    []*mounted
	notes     []string
	ended     []string // sessions of the project whose containers outlived their process, where CMD runs in none
	undead    bool     // there may be more of them
	succeeded bool     // CMD did
	mayRun    bool     // it is not known whether CMD has ended
}

// prepare checks all that can be checked before anything is made.
func prepare(opts Options) (*launch, error) {
	l := &launch{opts: opts, policy: opts.Policy, state: opts.State}
	if opts.Stay != nil {
		if err := opts.Stay.check(opts); err != nil {
			return nil, err
		}
		l.opts.Command = []string{"alca-mount", "up"} // for the record
	} else if len(opts.Command) == 0 {
		return nil, errors.New("no command to run")
	}
	if err := supported(opts); err != nil {
		return nil, err
	}
	l.opts.Events = oneAtATime(opts.Events)
	if opts.inContainer() && opts.NoNetwork {
		l.opts.Container = opts.Container.offline()
	}
	var err error
	project, err := filepath.Abs(opts.Project)
	if err == nil {
		project, err = filepath.EvalSymlinks(project)
	}
	if err != nil {
		return nil, fmt.Errorf("project %s: %w", opts.Project, err)
	}
	l.project = project
	if (opts.Sync != SyncOff || len(opts.Artifacts) > 0) && onReadOnlyDisk(project) {
		return nil, fmt.Errorf("project %s: it lies on a read-only file system, so that nothing can come home; --sync off runs the command all the same", project)
	}
	if l.opts.Hide, err = realPaths(project, opts.Hide); err != nil {
		return nil, err
	}
	if l.policy == nil {
		if l.policy, err = dotfiles.Read(project, opts.Agent); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(l.checkOverlays(), l.checkArtifacts()); err != nil {
		return nil, err
	}
	return l, l.findState()
}

// findState knows the state directory by its real path: mounts are compared by theirs, and what is to be covered or not to
// be mounted must not be missed for a link on the way to it.
func (l *launch) findState() (err error) {
	if l.state == nil {
		if l.state, err = mirror.DefaultStateDir(); err != nil {
			return err
		}
	}
	real, err := l.state.Real()
	l.state = mirror.NewStateDir(real)
	return err
}

// oneAtATime calls events for one event after the other: every mirrored mount has a loop of its own that tells.
func oneAtATime(events func(autosync.Event)) func(autosync.Event) {
	if events == nil {
		return nil
	}
	var telling sync.Mutex
	return func(e autosync.Event) {
		telling.Lock()
		defer telling.Unlock()
		events(e)
	}
}

// supported refuses what is not built yet: never silently less than was asked for.
func supported(opts Options) error {
	switch opts.Isolation {
	case "", IsolationAuto, IsolationNone, IsolationNamespace, IsolationContainer:
	default:
		return fmt.Errorf("isolation %s: %w", opts.Isolation, errors.ErrUnsupported)
	}
	if opts.needsNamespace() && !opts.inContainer() && (opts.Isolation == "" || opts.Isolation == IsolationNone) {
		return errors.New("hiding paths, sockets, network or writes takes a namespace: isolation none has nothing for it")
	}
	if err := opts.meantForNamespace(); err != nil {
		return err
	}
	switch opts.Sync {
	case "", SyncLive, SyncExit, SyncReview, SyncOff:
		return nil
	}
	return fmt.Errorf("sync %s: %w", opts.Sync, errors.ErrUnsupported)
}

// inContainer reports whether CMD runs in a container: asked for, or configured and nothing else asked for.
func (o Options) inContainer() bool {
	return o.Isolation == IsolationContainer || o.Container != nil && (o.Isolation == "" || o.Isolation == IsolationAuto)
}

// ready sees that there is something to run.
func (l *launch) ready() error {
	if l.opts.inContainer() {
		return l.opts.Container.check()
	}
	return plain.Find(l.opts.Command[0], l.project, environment(os.Environ(), l.opts.Env))
}

// buildAll makes the mirrors, or none. A container's engine is asked meanwhile; when it can't be had, the copying ends.
func (l *launch) buildAll(ctx context.Context) error {
	building, stop := context.WithCancel(ctx)
	defer stop()
	if l.opts.inContainer() {
		l.docked = l.engage(building, stop)
	}
	if err := l.build(building); err != nil {
		stop()
		if asked := l.docked.engaged(); l.docked.wasRefused() {
			err = asked
		}
		return errors.Join(err, l.docked.release(), l.abandon())
	}
	err := l.docked.engaged()
	if err == nil {
		err = l.buildMounts(ctx)
	}
	if err != nil {
		err = errors.Join(err, l.docked.release(), l.abandonMounts(), l.takeDown(ctx), l.abandon())
	}
	return err
}

// build makes the session and the mirror.
func (l *launch) build(ctx context.Context) error {
	o := l.opts
	kept, err := l.findKept()
	if err != nil {
		return err
	}
	if kept != nil {
		if err := l.docked.engaged(); err != nil { // before its changes are carried
			return err
		}
		return l.takeUp(ctx, kept)
	}
	l.session, err = l.state.Begin(l.project, mirror.Record{
		Name: o.Name, Agent: o.Agent, Command: o.Command, Rules: l.policy.Rules(), Keep: o.Keep,
		Population: o.Population, Git: o.Git, Links: o.Links,
		Untold: o.Untold, Sync: string(o.Sync), Guarded: guardRules(o.Guarded),
	})
	if err != nil {
		return err
	}
	l.mirror, err = mirror.Create(ctx, l.project, o.Mirror, mirror.Options{
		Policy: l.policy, Agent: o.Agent, Session: l.session, Population: o.Population, Git: o.Git, Links: o.Links, Progress: o.Progress,
		GitHiddenHistory: o.GitHiddenHistory, GitDepth: o.GitDepth, Unsettled: true,
		Standing: func(m *mirror.Mirror) mirror.Meeting { return l.standing(ctx, m) },
	})
	if err != nil {
		return errors.Join(err, l.watched.Close())
	}
	l.watched.Built(ctx, l.mirror)
	return nil
}

// standing is what begins when there is an empty mirror. Where it can't be watched, that is met again, and told, by the live
// sync.
func (l *launch) standing(ctx context.Context, m *mirror.Mirror) mirror.Meeting {
	if l.docked != nil {
		l.docked.beginEarly(ctx, m)
	}
	if l.opts.Sync != SyncLive {
		return mirror.Meeting{}
	}
	watched, err := autosync.NewWatched(ctx, m, l.opts.Live)
	if err != nil {
		return mirror.Meeting{}
	}
	l.watched = watched
	return watched.Building(ctx)
}

// abandon removes the session of a launch that never came to its command.
func (l *launch) abandon() error {
	if l.session == nil {
		return nil
	}
	if l.warm != nil {
		return l.putDown()
	}
	return errors.Join(l.session.Remove(), l.session.Unlock())
}

// takeDown removes a mirror that was built in vain; one of a kept session stays.
func (l *launch) takeDown(ctx context.Context) error {
	if l.warm != nil {
		return nil
	}
	return errors.Join(l.mirror.Remove(context.WithoutCancel(ctx)), l.mirror.Close())
}

// startAndRun begins the live sync, if there is one, before or with the command: its first edit crosses too.
func (l *launch) startAndRun(ctx context.Context) (exit plain.Exit, err error) {
	defer func() { err = errors.Join(err, l.docked.close()) }() // also where there is no runtime yet to close
	defer func() { err = errors.Join(err, l.fold()) }()         // before the last sync
	if l.opts.Whole != nil {
		l.opts.Whole(l.files())
	}
	if err := l.lay(ctx); err != nil {
		return plain.Exit{Code: ownFailure}, err
	}
	if err := l.enter(ctx); err != nil {
		return plain.Exit{Code: ownFailure}, err
	}
	defer func() { err = errors.Join(err, l.runtime.close()) }()
	if err := l.runSeeds(ctx); err != nil {
		return plain.Exit{Code: ownFailure}, err
	}
	if !l.syncsMeanwhile() {
		if err := l.startSyncs(ctx); err != nil {
			return plain.Exit{Code: ownFailure}, err
		}
	}
	defer l.settleSoon()()
	exit, err = l.run(ctx)
	l.mayRun, l.succeeded = errors.Is(err, container.ErrMayRun), err == nil && exit == plain.Exit{Left: exit.Left}
	return exit, err
}

// files are what both sides agree on that is one, in whatever order.
func (l *launch) files() iter.Seq2[safety.RelPath, string] {
	return func(yield func(safety.RelPath, string) bool) {
		for _, dir := range l.mirror.Base.Directories() {
			for name, e := range l.mirror.Base.In(dir) {
				if e.State.Kind == safety.File && !yield(dir, name) {
					return
				}
			}
		}
	}
}

// syncsMeanwhile reports whether the live sync begins while the engine starts the container, which takes it a while. CMD
// may have written something by then: the first pass looks at all there is.
func (l *launch) syncsMeanwhile() bool { return l.docked != nil && l.opts.Stay == nil }

func (l *launch) startSyncs(ctx context.Context) error {
	return errors.Join(l.startSync(ctx), l.syncMounts(ctx))
}

// settleSoon makes the sessions durable in a moment, unless they end before that.
func (l *launch) settleSoon() (stop func()) {
	timer := time.AfterFunc(unsettledMost, l.settle)
	return func() { timer.Stop() }
}

// settle makes the session and those of the mounts durable. An error is told by what needs it to be, which tries again.
func (l *launch) settle() {
	_ = l.session.Settle()
	for _, m := range l.mounts {
		if m.launch != nil {
			m.launch.settle()
		}
	}
}

func (l *launch) startSync(ctx context.Context) (err error) {
	if l.opts.Sync == SyncLive {
		live := l.opts.Live
		live.Watched = l.watched
		l.syncer, err = autosync.Start(ctx, l.mirror, l.syncOptions(), live)
	}
	return err
}

func (l *launch) syncOptions() autosync.Options {
	return autosync.Options{
		Deletes: true, Final: !l.opts.Keep && !l.mayRun, AllowMassDelete: l.opts.AllowMassDelete, AllowGuarded: l.opts.AllowGuarded, Guarded: l.opts.Guarded, Events: l.opts.Events,
		Shield: l.place.shield,
	}
}

// run starts the command and returns when it and all that it started are gone.
func (l *launch) run(ctx context.Context) (plain.Exit, error) {
	l.announce()
	if err := l.rest(ctx); err != nil {
		return plain.Exit{Code: ownFailure}, err
	}
	if l.opts.BeforeLaunch != nil {
		if err := l.opts.BeforeLaunch(l.mirror.Root.Path()); err != nil {
			return plain.Exit{Code: ownFailure}, fmt.Errorf("before launch: %w", err)
		}
	}
	exit, err := l.runtime.run(ctx, l.command(l.place.workdir))
	if err != nil && exit == (plain.Exit{}) {
		exit.Code = startFailure(err)
	}
	return exit, err
}

// command is CMD, where workdir is its path of the mirror's top.
func (l *launch) command(workdir string) plain.Spec {
	dir := workdir
	if l.opts.Subdir != "" {
		dir = filepath.Join(dir, filepath.FromSlash(string(l.opts.Subdir)))
	}
	env, mark := l.ownEnvironment(dir)
	return plain.Spec{
		Argv: l.opts.Command, Dir: dir, Env: env,
		Stdin: l.opts.Stdin, Stdout: l.opts.Stdout, Stderr: l.opts.Stderr,
		Grace: cmp.Or(l.opts.Grace, defaultGrace), Linger: linger, Signals: l.opts.Signals, Mark: mark,
	}
}

func startFailure(err error) int {
	switch {
	case errors.Is(err, plain.ErrNotFound):
		return 127
	case errors.Is(err, plain.ErrNotExecutable):
		return 126
	}
	return ownFailure
}

func (l *launch) announce() {
	start := Start{
		Session: l.session.ID, Name: l.opts.Name, Mirror: l.mirror.Root.Path(), Built: l.mirror.Built,
		Isolation: l.place.isolation, Fallback: l.place.fallback, Unforeseen: l.place.unforeseen, Enforced: l.place.enforced, Warnings: l.place.warnings,
	}
	if l.docked != nil {
		start.Profile = l.docked.profile
	}
	l.warm.tell(&start)
	if l.docked == nil { // else they are the place's
		start.Warnings = append(append(start.Warnings, toldEnded(l.ended)...), l.notes...)
	}
	start.Warnings = append(start.Warnings, l.overlayNotes()...)
	for _, w := range l.policy.Warnings() {
		start.Warnings = append(start.Warnings, fmt.Sprintf("%s:%d: %s", w.Source, w.Line, w.Text))
	}
	l.noteEnforced()
	if l.opts.AfterBuild != nil {
		l.opts.AfterBuild(start)
	}
	if l.opts.Sync != SyncLive {
		l.event(autosync.Ready, "")
	}
}

// noteEnforced records what is enforced, for status to tell; the launch goes on without. What the live sync has to record
// before CMD writes goes with it.
func (l *launch) noteEnforced() {
	known := slices.Equal(l.session.Enforced, l.place.enforced) // of a kept session
	l.session.Enforced = l.place.enforced
	if writing := l.opts.Sync == SyncLive && l.session.NoteWriting(); writing || !known {
		_ = l.session.Save()
	}
}

func (l *launch) event(t autosync.EventType, reason string) {
	if l.opts.Events != nil {
		l.opts.Events(autosync.Event{Time: time.Now(), Type: t, Session: l.session.ID, Reason: reason})
	}
}

// end syncs for the last time and cleans up. An error is a sync or clean-up that did not come to its end.
func (l *launch) end() error {
	syncErr := l.lastSync()
	l.res.Changes = l.warm.with(l.res.Changes)
	if l.opts.AfterSync != nil {
		l.opts.AfterSync(l.res.Changes)
	}
	if !l.stands() {
		return errors.Join(syncErr, l.close())
	}
	if why := l.whyKeep(syncErr); why != "" {
		l.res.Mirror, l.res.WhyKept = l.mirror.Root.Path(), why
		return errors.Join(syncErr, l.keep())
	}
	return errors.Join(syncErr, l.cleanUp())
}

func (l *launch) lastSync() error {
	ctx := l.opts.ShutdownContext
	if ctx == nil {
		ctx = context.Background() // the launch's own may be what ended CMD: its edits come home all the same
	}
	var err error
	if l.opts.Sync == SyncOff {
		if len(l.opts.Artifacts) == 0 || !l.succeeded {
			return nil
		}
		l.res.Changes, l.res.Missing, err = autosync.BringArtifacts(ctx, l.mirror, l.opts.Artifacts, l.syncOptions())
	} else if l.opts.Sync == SyncReview {
		err = l.review(ctx)
	} else if l.syncer != nil {
		if l.mayRun { // which was not known when it began
			l.syncer.MirrorStays()
		}
		l.res.Changes, _, err = l.syncer.Stop(ctx)
	} else {
		l.res.Changes, err = autosync.Once(ctx, l.mirror, l.syncOptions())
	}
	if err != nil {
		return fmt.Errorf("last sync: %w", err)
	}
	if n := len(l.res.Changes.Failed); n > 0 {
		return &PartialSyncError{Failed: l.res.Changes.Failed}
	}
	return nil
}

// PartialSyncError says that the last sync left paths behind; the rest was synced.
type PartialSyncError struct {
	Failed []autosync.PathNote
}

func (e *PartialSyncError) Error() string {
	if len(e.Failed) == 1 {
		return "last sync: " + e.Failed[0].Why
	}
	return fmt.Sprintf("last sync: %d paths could not be synced, the first: %s", len(e.Failed), e.Failed[0].Why)
}

// whyKeep says why the mirror must not go; "": it may.
func (l *launch) whyKeep(syncErr error) string {
	switch {
	case l.opts.Keep && !l.waiting:
		return "--keep"
	case l.res.Changes.Halted != "":
		return l.res.Changes.Halted
	case l.mayRun:
		return "its container may still be running"
	case syncErr != nil:
		return "not all changes could be synced"
	case l.waiting:
		return WhyReview
	}
	return ""
}

// stands reports whether there is a mirror to keep or to remove.
func (l *launch) stands() bool {
	_, err := os.Lstat(l.mirror.Root.Path())
	return !errors.Is(err, fs.ErrNotExist)
}

// close ends a session whose mirror is gone, and its container: where that could not be removed, though it has ended, the
// session's record leads to it, as after a crash.
func (l *launch) close() error {
	goneErr, closeErr := l.docked.gone(), l.mirror.Close()
	if goneErr != nil {
		return errors.Join(goneErr, closeErr, l.session.BeginRemoval(), l.session.Unlock())
	}
	if l.res.Changes.Untouched() && !l.session.KeepsVersions() && !l.broughtBefore() {
		return errors.Join(closeErr, l.session.Remove(), l.session.Unlock())
	}
	l.session.Ended, l.session.State = time.Now(), mirror.SessionEnded
	return errors.Join(closeErr, l.session.Save(), l.session.Unlock())
}

// broughtBefore reports whether the session changed the project before this end began, by a launch that died or was
// another one: that can be undone as long as there is the session.
func (l *launch) broughtBefore() bool {
	if l.state == nil && l.findState() != nil {
		return true
	}
	return autosync.HasChanged(context.Background(), l.state, l.session)
}

// WhyNotRemoved is Result.WhyKept when all was synced and the mirror could not be removed whole.
const WhyNotRemoved = "it could not be removed"

// keep leaves mirror and session for later commands.
func (l *launch) keep() error {
	goneErr := l.docked.gone()
	l.session.Kept, l.session.Ended, l.session.State = true, time.Now(), mirror.SessionEnded
	if l.opts.Sync != SyncOff { // which decided on nothing
		l.session.Waiting = l.waiting
	}
	if l.mayRun || goneErr != nil {
		l.session.State = mirror.SessionReady // as after a crash: whoever takes it up ends the container first
	}
	err := l.session.Save() // first: on a full disk, what room there is goes to it
	baseErr := l.mirror.SaveBase()
	if safety.IsNoRoom(baseErr) {
		baseErr = nil // the base of before and the journal say the same
	}
	return errors.Join(goneErr, err, baseErr, l.syncMirror(), l.mirror.Close(), l.session.Unlock())
}

// syncMirror writes a mirror that stays to the disk and notes that a power cut takes nothing from it any more.
func (l *launch) syncMirror() error {
	was := l.session.Boot
	err := l.mirror.SyncAll()
	if err == nil && l.session.Boot != was {
		err = l.session.Save()
	}
	if safety.IsNoRoom(err) {
		return nil // it counts as not synced, which costs a look
	}
	return err
}

// cleanUp removes the mirror and, when nothing of the session is worth keeping, the session.
func (l *launch) cleanUp() error {
	if err := l.mirror.Remove(context.Background()); err != nil {
		l.res.Mirror, l.res.WhyKept = l.mirror.Root.Path(), WhyNotRemoved
		return errors.Join(err, l.docked.gone(), l.mirror.Close(), l.session.Unlock())
	}
	return l.close()
}

func (l *launch) result(code int) Result {
	if l.session != nil {
		l.res.Session, l.res.Store = l.session.ID, l.session.Dir()
	}
	l.res.ExitCode = code
	return l.res
}

// conclude gives CMD's exit code, unless our own failure would go unnoticed under a success.
func (l *launch) conclude(exit plain.Exit, runErr, endErr error) (Result, error) {
	res := l.result(exit.Code)
	res.Signal, res.Left = exit.Signal, exit.Left
	if endErr != nil && res.ExitCode == 0 {
		res.ExitCode = ownFailure
	}
	l.event(autosync.Ended, res.WhyKept)
	return res, errors.Join(runErr, endErr)
}
