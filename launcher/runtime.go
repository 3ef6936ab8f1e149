package launcher

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/launcher/internal/plain"
	"github.com/alca-mount/alca-mount/safety"
)

// runtime is one way to run CMD on a mirror that is built: plainly, in namespaces, in a container. It is
// used once: open, run, close. The one that takes a while to start lets the live sync begin meanwhile.
type runtime interface {
	// open makes the place that CMD will run in, or says why there can't be one. Nothing of CMD runs yet.
	open(ctx context.Context, on ground) (place, error)
	// run starts CMD there and returns when it and all that it started are gone: nobody writes during the last sync.
	// Spec.Dir is below place.workdir.
	run(ctx context.Context, spec plain.Spec) (plain.Exit, error)
	// close ends what open made, whether or not CMD ran. It is idempotent.
	close() error
}

// ground is what a runtime builds on.
type ground struct {
	project string // real path
	mirror  string // real path
	session string // the session's folder
	state   string // the state directory, which holds the session's folder and by default the mirror
	binds   []bind // directories that CMD is to see over the mirror's
}

// place is where CMD is going to run, and what holds there.
type place struct {
	isolation Isolation
	workdir   string   // CMD's path of the mirror's top
	enforced  []string // what the launch enforces, for the start event
	warnings  []string // what it does not, and should
	fallback  string   // why it is no stronger one
	shield    autosync.Shield

	unforeseen bool // a stronger one could be started, and not be built
}

// plainRuntime runs CMD as the same user on the same machine, in the mirror's own directory.
type plainRuntime struct {
	l      *launch
	placed []*laid
}

// open moves the overlays into the mirror: there are no mounts here.
func (r *plainRuntime) open(ctx context.Context, on ground) (place, error) {
	if err := r.l.knowPlace(on.mirror); err != nil {
		return place{}, err
	}
	for _, o := range r.l.laid {
		_ = r.l.mirror.Root.Rmdir(o.Path) // a place that a mount was on, in a kept session
		if info, err := r.l.mirror.Root.Lstat(o.Path); err != nil || info.Kind != safety.Absent {
			return place{}, errors.Join(fmt.Errorf("overlay %s: the mirror of the kept session has something there: remove it from %s", o.Path, on.mirror), err, r.close())
		}
		r.placed = append(r.placed, o)
		if err := o.kept.PutInto(ctx, r.l.mirror.Root, r.l.session.ID); err != nil {
			return place{}, errors.Join(fmt.Errorf("overlay %s: %w", o.Path, err), r.close())
		}
	}
	return place{
		isolation: IsolationNone, workdir: on.mirror,
		enforced: []string{"hidden: absent from the mirror", "read-only: mode bits only"},
	}, nil
}

func (*plainRuntime) run(ctx context.Context, spec plain.Spec) (plain.Exit, error) {
	return plain.Run(ctx, spec)
}

// close takes the overlays out again, also when the launch's own context ended CMD.
func (r *plainRuntime) close() error {
	var errs []error
	for _, o := range r.placed {
		if err := o.kept.TakeOut(context.Background(), r.l.mirror.Root); err != nil {
			errs = append(errs, fmt.Errorf("overlay %s: %w", o.Path, err))
		}
	}
	r.placed = nil
	return errors.Join(errs...)
}

// enter opens the runtime that the launch's isolation asks for. Auto takes the next weaker one where one can't be had, and
// says why.
func (l *launch) enter(ctx context.Context) error {
	on := ground{project: l.project, mirror: l.mirror.Root.Path(), session: l.session.Dir(), state: l.state.Path(), binds: l.binds()}
	if l.docked != nil {
		l.runtime = l.docked
		var err error
		l.place, err = l.runtime.open(ctx, on)
		return err
	}
	why := l.noEarly
	if l.early != nil {
		l.runtime = &namespaceRuntime{l: l, opts: l.opts, mirror: l.mirror, place: l.early}
		var there place
		there, why = l.runtime.open(ctx, on)
		switch {
		case why == nil:
			l.place = there
			return nil
		case ctx.Err() != nil || l.insists():
			return fmt.Errorf("isolation namespace: %w", why)
		}
	}
	l.runtime = &plainRuntime{l: l}
	var err error
	l.place, err = l.runtime.open(ctx, on)
	if why != nil {
		l.place.fallback, l.place.unforeseen = why.Error(), l.early != nil
	}
	return err
}

// needsNamespace reports whether something was asked for that only a namespace gives.
func (o Options) needsNamespace() bool {
	return len(o.Hide) > 0 || len(o.AllowSockets) > 0 || o.NoNetwork || o.ConfineWrites
}

// ownEnvironment is what CMD learns about where it runs.
func (l *launch) ownEnvironment(dir string) (env []string, mark string) {
	mark = "ALCA_MOUNT_SESSION=" + l.session.ID
	return environment(os.Environ(), l.opts.Env, mark, "ALCA_MOUNT=1", "ALCA_MOUNT_PROJECT="+l.project, "PWD="+dir), mark
}
