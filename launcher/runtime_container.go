package launcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/launcher/internal/container"
	"github.com/alca-mount/alca-mount/launcher/internal/docker"
	"github.com/alca-mount/alca-mount/launcher/internal/plain"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// The labels of our containers.
const (
	labelSession = "alca-mount.session"
	labelState   = "alca-mount.state" // the state directory: another one's containers are not ours
	labelProject = "alca-mount.project"
)

// ownPassedOn are the caller's variables that every container gets: what a terminal program and its messages need.
func ownPassedOn(name string) bool {
	return name == "TERM" || name == "COLORTERM" || name == "LANG" || strings.HasPrefix(name, "LC_")
}

// containerRuntime runs CMD in a container that ends with it.
type containerRuntime struct {
	l         *launch
	opts      Container
	engine    *container.Engine
	image     docker.Image
	user      container.Identity
	binds     []docker.Bind
	shields   []*bindShield
	profile   *ProfileUsed
	home      string   // CMD's, where the image has none; "": the image's
	ended     []string // sessions whose containers outlived their process
	notes     []string // what is less than was asked for
	closed    bool
	homeFound bool
	early     *early              // being made; nil: none is, or it is over
	made      *container.Prepared // early, and as it is needed
	removed   func() error        // waits for the removal of what ran
	giveBack  func() error        // the engine, once

	likely  chan *container.Engine // an engine as it is likely to be; none comes where that can't be said before it is known
	asked   chan struct{}          // closed when engine, image and user are known
	askErr  error
	refused bool
}

// engage begins to look for the engine and the image. refused is called when they can't be had.
func (l *launch) engage(ctx context.Context, refused func()) *containerRuntime {
	r := &containerRuntime{l: l, opts: *l.opts.Container, likely: make(chan *container.Engine, 1), asked: make(chan struct{})}
	if r.opts.Workdir == "" {
		r.opts.Workdir = DefaultWorkdir
	}
	search := container.Begin(string(cmp.Or(r.opts.Runtime, RuntimeAuto)), r.opts.Image, engineEnv())
	search.Likely = func(e *container.Engine) {
		select {
		case r.likely <- e:
		default: // the engine before did not do
		}
	}
	go func() {
		defer close(r.asked)
		r.askErr = r.ask(ctx, search)
		if r.refused = r.askErr != nil && ctx.Err() == nil; r.refused {
			refused()
		}
	}()
	return r
}

// engaged waits for the end of what engage began. Where there is no container, there is nothing to wait for.
func (r *containerRuntime) engaged() error {
	if r == nil {
		return nil
	}
	<-r.asked
	return r.askErr
}

// wasRefused reports whether the engine or the image can't be had, once engaged has returned.
func (r *containerRuntime) wasRefused() bool { return r != nil && r.refused }

func (r *containerRuntime) ask(ctx context.Context, search *container.Search) error {
	var ending sync.WaitGroup
	var endErr error
	ending.Go(func() { r.ended, endErr = EndDeadContainers(ctx, r.l.state, "") })
	err := r.findEngine(ctx, search)
	ending.Wait()
	if endErr != nil {
		r.notes, r.l.undead = append(r.notes, endErr.Error()), true // they are others': this launch goes on
	}
	return err
}

// findEngine knows the engine, the image, and who CMD is going to be.
func (r *containerRuntime) findEngine(ctx context.Context, search *container.Search) error {
	var err error
	if r.engine, err = search.Find(ctx); err != nil {
		return err
	}
	r.giveBack = sync.OnceValue(r.engine.Close)
	if err := r.haveImage(ctx); err != nil {
		return err
	}
	if err := r.checkLimits(ctx); err != nil {
		return err
	}
	r.user, err = r.identity(r.engine)
	return err
}

// identity is whom CMD is to be in a container of an engine.
func (r *containerRuntime) identity(e *container.Engine) (container.Identity, error) {
	return container.IdentityOf(goruntime.GOOS, e.Kind, e.Facts, r.opts.User, ownerOf(r.l.project))
}

func engineEnv() container.Env {
	home, _ := os.UserHomeDir() // without one, there is nothing below it
	return container.Env{
		Getenv: os.Getenv, Home: home, Runtime: os.Getenv("XDG_RUNTIME_DIR"), Root: os.Geteuid() == 0, GOOS: goruntime.GOOS,
	}
}

// haveImage pulls the image where the engine does not have it.
func (r *containerRuntime) haveImage(ctx context.Context) error {
	r.image = r.engine.First
	if err := r.engine.FirstErr; !errors.Is(err, docker.ErrNoImage) {
		return err
	}
	err := r.engine.Pull(ctx, r.opts.Image, func(p docker.Progress) {
		if r.l.opts.Pulling != nil {
			r.l.opts.Pulling(r.opts.Image, p.Done, p.Total)
		}
	})
	if err == nil {
		r.image, err = r.engine.Image(ctx, r.opts.Image)
	}
	if err != nil {
		return fmt.Errorf("image %s is not on this machine (%s): %w; build it, or pull it yourself: %s pull %s",
			r.opts.Image, r.engine.Kind, err, r.engine.Facts.Name, r.opts.Image)
	}
	return nil
}

// makeHome makes the agent's home, once, and knows which of its variables are set.
func (r *containerRuntime) makeHome() error {
	p := r.l.opts.Profile
	if p == nil || r.profile != nil {
		return nil
	}
	home, err := mirror.Home()
	if err != nil {
		return err
	}
	used, err := prepareHome(r.l.state, r.l.project, home, *p)
	if err != nil {
		return err
	}
	for _, name := range p.Env {
		if os.Getenv(name) != "" {
			used.Env = append(used.Env, name)
		}
	}
	r.profile = used
	return nil
}

func (r *containerRuntime) homeBinds() []docker.Bind {
	if r.profile == nil {
		return nil
	}
	return []docker.Bind{{Source: r.profile.Home, Target: homeTarget}}
}

// open plans the binds: the mirror, its read-only paths over it, and the mounts.
func (r *containerRuntime) open(ctx context.Context, on ground) (place, error) {
	if err := errors.Join(r.endEarly(ctx), r.findable()); err != nil {
		return place{}, err
	}
	p := place{
		isolation: IsolationContainer, workdir: r.opts.Workdir,
		enforced: []string{fmt.Sprintf("container: %s %s (%s)", r.engine.Kind, r.engine.Facts.Version, r.engine.Why), "hidden: absent from the container"},
	}
	if err := r.makeHome(); err != nil {
		return place{}, err
	}
	r.findHome(ctx)
	r.binds = r.homeBinds()
	open, shield, err := r.bindMirror(r.l.mirror, r.opts.Workdir, false)
	if err != nil {
		return place{}, err
	}
	p.shield = shield
	for _, m := range r.l.mounts {
		if m.launch == nil {
			r.binds = append(r.binds, docker.Bind{Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly})
			continue
		}
		n, shield, err := r.bindMirror(m.launch.mirror, m.Target, m.ReadOnly)
		if err != nil {
			return place{}, fmt.Errorf("mount %s: %w", m.Source, err)
		}
		m.launch.place.shield = shield
		open += n
	}
	if err := errors.Join(r.l.knowPlace(r.opts.Workdir), makePlaces(r.l.mirror, on.binds)); err != nil {
		return place{}, err
	}
	for _, b := range on.binds {
		r.binds = append(r.binds, docker.Bind{Source: b.source, Target: path.Join(r.opts.Workdir, string(b.path))})
	}
	p.enforced = append(p.enforced, "read-only: read-only mounts")
	if open > 0 {
		p.enforced = append(p.enforced, fmt.Sprintf("read-only: mode bits only for %d", open))
		p.warnings = append(p.warnings, fmt.Sprintf("%d read-only paths are protected by mode bits only inside (links, or more than %d mounts); edits of them never come home", open, container.MaxBinds))
	}
	if r.user.Note != "" {
		p.warnings = append(p.warnings, r.user.Note)
	}
	p.warnings = append(p.warnings, toldEnded(r.ended)...)
	p.warnings = append(append(p.warnings, r.notes...), r.l.notes...)
	return p, nil
}

// checkLimits notes limits that were asked for and that the engine can't set.
func (r *containerRuntime) checkLimits(ctx context.Context) error {
	if r.opts.Memory == 0 && r.opts.CPUs == 0 {
		return nil
	}
	memory, cpus, err := r.engine.Limits(ctx)
	if r.opts.Memory > 0 && !memory {
		r.notes = append(r.notes, "the engine can't limit memory here")
	}
	if r.opts.CPUs > 0 && !cpus {
		r.notes = append(r.notes, "the engine can't limit CPUs here")
	}
	return err
}

// bindMirror adds a mirror's binds. It returns how many read-only paths have none, and what keeps those that have one.
func (r *containerRuntime) bindMirror(m *mirror.Mirror, target string, readOnly bool) (int, *bindShield, error) {
	top := m.Root.Path()
	p := container.Protection{ReadOnly: []string{string(safety.Top)}}
	if readOnly {
		r.binds = append(r.binds, docker.Bind{Source: top, Target: target, ReadOnly: true})
	} else {
		p = container.Protect(entriesOf(m), container.MaxBinds)
		r.binds = append(r.binds, bindsOf(top, target, p)...)
	}
	shield, err := newBindShield(top, p.ReadOnly)
	if err == nil {
		r.shields = append(r.shields, shield)
	}
	return len(p.Open), shield, err
}

// entriesOf lists what a mirror holds. Its marker is nobody's to change: without it, syncing halts.
func entriesOf(m *mirror.Mirror) []container.Entry {
	out := []container.Entry{{Path: safety.MarkerName, ReadOnly: true}}
	for p, e := range m.Base.All() {
		dir := e.State.Kind == safety.Directory
		out = append(out, container.Entry{
			Path: string(p), Dir: dir, Link: e.State.Kind == safety.Symlink,
			ReadOnly: m.Policy.Access(string(p), dir) == dotfiles.ReadOnly,
		})
	}
	return out
}

func (r *containerRuntime) run(ctx context.Context, spec plain.Spec) (plain.Exit, error) {
	var exit container.Exit
	var err error
	if full := r.spec(spec, r.binds); r.l.opts.Stay != nil {
		exit, err = r.stays(ctx, full)
	} else {
		full.Meanwhile = r.l.startSyncs
		made := r.made
		r.made = nil
		var gone func() error
		exit, gone, err = container.Run(ctx, r.engine, full, made)
		r.leave(gone)
	}
	return plain.Exit{Code: exit.Code, Killed: exit.Killed}, err
}

// runOnce runs a command before CMD in a container of its own, which is gone when it has ended. Until the runtime is closed,
// there may be one after the other.
func (r *containerRuntime) runOnce(ctx context.Context, spec plain.Spec) (plain.Exit, error) {
	exit, gone, err := container.Run(ctx, r.engine, r.spec(spec, r.binds), nil)
	if gone != nil {
		err = gone()
	}
	return plain.Exit{Code: exit.Code, Killed: exit.Killed}, err
}

// spec is the container of a command.
func (r *containerRuntime) spec(s plain.Spec, binds []docker.Bind) container.Spec {
	return container.Spec{
		Settings: r.settings(binds), Command: r.opts.command(s.Argv), Env: containerEnv(r.l.session.ID, r.l.project, r.profileEnv(), r.l.opts.Env, s.Dir), Dir: s.Dir,
		Stdin: cmp.Or(s.Stdin, os.Stdin), Stdout: cmp.Or(s.Stdout, os.Stdout), Stderr: cmp.Or(s.Stderr, os.Stderr), Grace: s.Grace, Signals: s.Signals,
	}
}

func (r *containerRuntime) settings(binds []docker.Bind) container.Settings {
	return container.Settings{
		Image: r.image.ID, User: r.user, Network: r.opts.Network, Memory: r.opts.Memory, CPUs: r.opts.CPUs,
		CapAdd: r.opts.CapAdd, CapDrop: r.opts.CapDrop, Binds: binds, Labels: r.labels(),
	}
}

func (r *containerRuntime) labels() map[string]string {
	return map[string]string{labelSession: r.l.session.ID, labelState: stateLabel(r.l.state), labelProject: r.l.project}
}

// profileEnv is what an agent's profile sets and passes on; without one, a home where there is none.
func (r *containerRuntime) profileEnv() map[string]string {
	if r.profile == nil && r.home == "" {
		return nil
	}
	if r.profile == nil {
		return map[string]string{"HOME": r.home}
	}
	vars := map[string]string{"HOME": homeTarget}
	for _, name := range r.profile.Env {
		vars[name] = os.Getenv(name)
	}
	return vars
}

// containerEnv is what a container, or a command in it, gets besides the image's own, own first. settings are K=V, or K passed on.
func containerEnv(session, project string, own map[string]string, settings []string, dir string) []string {
	vars := map[string]string{}
	for _, kv := range os.Environ() {
		if k, v, _ := strings.Cut(kv, "="); ownPassedOn(k) {
			vars[k] = v
		}
	}
	maps.Copy(vars, own)
	for _, setting := range settings {
		k, v, isSet := strings.Cut(setting, "=")
		if !isSet {
			if v, isSet = os.LookupEnv(k); !isSet {
				continue
			}
		}
		vars[k] = v
	}
	vars["ALCA_MOUNT"], vars["ALCA_MOUNT_SESSION"], vars["ALCA_MOUNT_PROJECT"], vars["PWD"] = "1", session, project, dir
	var out []string
	for _, k := range slices.Sorted(maps.Keys(vars)) {
		out = append(out, k+"="+vars[k])
	}
	return out
}

// command is what runs behind the image's entrypoint; with Up or Enter a shell does that before CMD.
func (c *Container) command(argv []string) []string {
	if c.Up == "" && c.Enter == "" {
		return argv
	}
	script := "exec \"$@\""
	if c.Enter != "" {
		script = c.Enter + "\n" + script
	}
	if c.Up != "" {
		script = "( " + c.Up + "\n) || { echo 'commands.up failed' >&2; exit 125; }\n" + script
	}
	return append([]string{"sh", "-c", script, "sh"}, argv...)
}

// close removes a container in which nothing ran.
func (r *containerRuntime) close() error {
	if r == nil {
		return nil
	}
	return r.drop()
}

// release ends what protects read-only paths, after the last sync, and gives the engine back.
func (r *containerRuntime) release() error {
	if r == nil || r.closed {
		return nil
	}
	r.closed = true
	errs := []error{r.drop()}
	for _, s := range r.shields {
		errs = append(errs, s.close())
	}
	if r.engine != nil {
		errs = append(errs, r.giveBack())
	}
	return errors.Join(errs...)
}
