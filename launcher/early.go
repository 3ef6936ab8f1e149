package launcher

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/launcher/internal/container"
	"github.com/alca-mount/alca-mount/launcher/internal/docker"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// early is the container, being made while its mirror is being filled: the engine takes as long for that as the copying
// does. What will have to be bound read-only is guessed from the project's names, and waited for. The filled mirror is the
// judge: where it asks for anything else, or an entry that is bound is another one by then, the container is removed and
// another is made. Nothing is started in it before that.
type early struct {
	over   chan struct{} // closed when it is made, or given up
	filled chan struct{} // closed when the mirror is

	made  *container.Prepared    // nil: there is none
	bound map[string]fs.FileInfo // what it binds of the mirror, as it was then
}

// mayBeEarly reports whether the container is known but for what is read-only.
func (l *launch) mayBeEarly() bool {
	o := l.opts
	return o.Stay == nil && o.BeforeLaunch == nil && len(o.Overlays) == 0 && !o.AutoOverlays && len(l.docked.opts.Mounts) == 0 &&
		o.Git == mirror.GitNone && o.Population == mirror.Walk
}

// beginEarly is called when there is an empty mirror.
func (r *containerRuntime) beginEarly(ctx context.Context, m *mirror.Mirror) {
	if !r.l.mayBeEarly() {
		return
	}
	e := &early{over: make(chan struct{}), filled: make(chan struct{})}
	r.early = e
	go func() {
		defer close(e.over)
		r.makeEarly(ctx, m.Root.Path(), e) // an error is met again, and told, where the container is needed
	}()
}

func (r *containerRuntime) makeEarly(ctx context.Context, top string, e *early) {
	names := make(chan foreseen, 1)
	go func() { // the engine takes longer to answer
		entries, err := foresee(ctx, r.l.project, r.l.policy)
		names <- foreseen{entries, err}
	}()
	soon := r.soonest()
	if soon == nil || r.makeHome() != nil {
		return
	}
	soon.profile = r.profile
	if soon.findable() != nil {
		return
	}
	soon.findHome(ctx)
	found := <-names
	if found.err != nil {
		return
	}
	binds := slices.Concat(soon.homeBinds(), bindsOf(top, r.opts.Workdir, container.Protect(found.entries, container.MaxBinds)))
	wanted := []string{filepath.Join(top, filepath.FromSlash(string(r.l.opts.Subdir)))}
	for _, b := range binds {
		wanted = append(wanted, b.Source)
	}
	if e.bound = await(ctx, wanted, e.filled); e.bound == nil {
		return
	}
	made, err := container.Prepare(context.WithoutCancel(ctx), soon.engine, soon.spec(r.l.command(r.opts.Workdir), binds)) // a call cut short may leave one behind
	if err == nil {
		e.made = made
	}
}

// soonest is a runtime as far as the making of a container takes one, as soon as it can be: with what is likely of an engine
// that answers at length; else when all is known. nil: there is no engine.
func (r *containerRuntime) soonest() *containerRuntime {
	select {
	case e := <-r.likely:
		if user, err := r.identity(e); err == nil {
			return &containerRuntime{l: r.l, opts: r.opts, engine: e, image: e.First, user: user}
		}
	case <-r.asked:
	}
	if r.engaged() != nil {
		return nil
	}
	return &containerRuntime{l: r.l, opts: r.opts, engine: r.engine, image: r.image, user: r.user}
}

// await waits until all paths are there, and says what is. nil: not all will be, or it is of no use any more.
func await(ctx context.Context, paths []string, over <-chan struct{}) map[string]fs.FileInfo {
	out := map[string]fs.FileInfo{}
	for _, p := range paths {
		for out[p] == nil {
			if info, err := os.Lstat(p); err == nil {
				out[p] = info
				break
			}
			select {
			case <-over:
				return nil
			case <-ctx.Done():
				return nil
			case <-time.After(awaitTurn):
			}
		}
	}
	return out
}

// awaitTurn is how often it is looked whether the copying has come to a path.
const awaitTurn = time.Millisecond

// endEarly waits for the container, when the mirror is filled or given up. One that binds what is not there any more is
// removed.
func (r *containerRuntime) endEarly(ctx context.Context) error {
	e := r.early
	if e == nil {
		return nil
	}
	r.early = nil
	close(e.filled)
	<-e.over
	if e.made != nil && !stillBound(e.bound) {
		return e.made.Discard(ctx)
	}
	r.made = e.made
	return nil
}

// stillBound reports whether all that was bound is what is there now.
func stillBound(bound map[string]fs.FileInfo) bool {
	for p, was := range bound {
		now, err := os.Lstat(p)
		if err != nil || !os.SameFile(was, now) {
			return false
		}
	}
	return true
}

type foreseen struct {
	entries []container.Entry
	err     error
}

// foresee lists what the mirror of a project is going to hold, as entriesOf does, by its names alone.
func foresee(ctx context.Context, project string, policy *dotfiles.Policy) ([]container.Entry, error) {
	root, err := safety.OpenRoot(project)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	out := []container.Entry{{Path: safety.MarkerName, ReadOnly: true}}
	dirs := []safety.RelPath{safety.Top}
	for len(dirs) > 0 && ctx.Err() == nil {
		at := dirs[len(dirs)-1]
		dirs = dirs[:len(dirs)-1]
		names, err := list(root, at)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			p := at.Join(n.Name)
			dir := n.Kind == safety.Directory
			access := policy.Access(string(p), dir)
			if !access.Mirrored() || n.Kind == safety.Special || p == safety.MarkerName {
				continue
			}
			if dir {
				dirs = append(dirs, p)
			}
			out = append(out, container.Entry{Path: string(p), Dir: dir, Link: n.Kind == safety.Symlink, ReadOnly: access == dotfiles.ReadOnly})
		}
	}
	slices.SortFunc(out, func(a, b container.Entry) int { return strings.Compare(a.Path, b.Path) })
	return out, ctx.Err()
}

func list(root *safety.Root, at safety.RelPath) ([]safety.Dirent, error) {
	dir, err := root.OpenDir(at)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.ReadDir()
}

// bindsOf shows a mirror at target, and protects it there.
func bindsOf(top, target string, p container.Protection) []docker.Bind {
	binds := []docker.Bind{{Source: top, Target: target}}
	for _, dir := range p.Pinned {
		binds = append(binds, docker.Bind{Source: path.Join(top, dir), Target: container.Inside(target, dir)})
	}
	for _, rel := range p.ReadOnly {
		binds = append(binds, docker.Bind{Source: path.Join(top, rel), Target: container.Inside(target, rel), ReadOnly: true})
	}
	return binds
}

// findable notes the engine in the session: from then on whoever finds the session dead ends its containers.
func (r *containerRuntime) findable() error {
	host := r.engineHost()
	if r.l.session.Engine == host {
		return nil
	}
	return r.l.session.Update(func(s *mirror.Record) { s.Engine = host })
}

// leave gives the engine back as soon as what ran is removed.
func (r *containerRuntime) leave(removed func() error) {
	if removed == nil {
		return
	}
	r.removed = removed
	go func() {
		_ = removed() // told by gone
		_ = r.giveBack()
	}()
}

// gone waits until the container that ran is removed. It is known to have ended.
func (r *containerRuntime) gone() error {
	if r == nil || r.removed == nil {
		return nil
	}
	return r.removed()
}

// drop removes the container that was made early and not used.
func (r *containerRuntime) drop() error {
	err := r.endEarly(context.Background())
	made := r.made
	r.made = nil
	return errors.Join(err, made.Discard(context.Background()))
}
