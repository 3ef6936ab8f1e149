package launcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/alca-mount/alca-mount/launcher/internal/namespace"
	"github.com/alca-mount/alca-mount/launcher/internal/plain"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// Inside has to be the first call of main in a program that launches into namespaces: the program is started again as a
// namespace's first process, and in that process Inside does not return. Without it such launches are refused.
func Inside() { namespace.Inside() }

// shownName is the directory of a session that holds versions of read-only files on their way to CMD.
const shownName = "ro"

// namespaceRuntime runs CMD in Linux namespaces, where the project's path is the mirror.
type namespaceRuntime struct {
	l      *launch
	opts   Options
	mirror *mirror.Mirror
	shown  string
	place  *namespace.Namespace // started, and closed by close
}

// wakeNamespace starts the namespace's first process, if the launch may use one: it comes up while the mirror is built.
// Where it can't be had, that is known before anything is copied.
func (l *launch) wakeNamespace() error {
	if l.docked != nil || l.opts.Isolation != IsolationNamespace && l.opts.Isolation != IsolationAuto {
		return nil
	}
	if l.early, l.noEarly = namespace.Start(l.opts.NoNetwork); l.noEarly == nil || !l.insists() {
		return nil
	}
	return fmt.Errorf("isolation namespace: %w", l.noEarly)
}

// insists reports whether the launch takes nothing weaker than a namespace: that was asked for, or it has had one.
func (l *launch) insists() bool {
	return l.opts.Isolation == IsolationNamespace || l.opts.needsNamespace() || l.confined()
}

// confined reports whether the runtime that was opened last was a namespace.
func (l *launch) confined() bool { return l.place.isolation == IsolationNamespace }

// renewNamespace starts another one for the next command, since the last one ended with its own.
func (l *launch) renewNamespace() error {
	next, err := namespace.Start(l.opts.NoNetwork)
	if err != nil {
		return fmt.Errorf("isolation namespace: %w", err)
	}
	l.early = next
	return nil
}

// sleepNamespace ends the process of a namespace, used or not.
func (l *launch) sleepNamespace() error {
	if l.early == nil {
		return nil
	}
	return l.early.Close()
}

func (r *namespaceRuntime) open(ctx context.Context, on ground) (place, error) {
	r.shown = filepath.Join(on.session, shownName)
	// What a launch that was killed left there is copies of the project's, and bound nowhere any more.
	if err := errors.Join(os.RemoveAll(r.shown), os.Mkdir(r.shown, 0o700)); err != nil {
		return place{}, err
	}
	if err := errors.Join(r.l.knowPlace(on.project), makePlaces(r.mirror, on.binds)); err != nil {
		return place{}, errors.Join(err, r.close())
	}
	var binds []namespace.Bind
	for _, b := range on.binds {
		binds = append(binds, namespace.Bind{Source: b.source, Path: b.path})
	}
	entries, links := readOnlyEntries(r.mirror)
	facts, err := r.place.Build(ctx, namespace.Options{
		Project: on.project, Mirror: on.mirror, State: on.state, Shown: r.shown, Binds: binds,
		ReadOnly: entries, Hide: r.opts.Hide, AllowSockets: r.opts.AllowSockets, NoNetwork: r.opts.NoNetwork, ConfineWrites: r.opts.ConfineWrites, Writable: r.opts.Writable, Places: agentPlaces(),
	})
	if err != nil {
		return place{}, errors.Join(err, r.close())
	}
	if links > 0 {
		facts.Warnings = append(facts.Warnings, "read-only symbolic links are not protected by the kernel; edits of them still never come home")
	}
	return place{isolation: IsolationNamespace, workdir: on.project, enforced: facts.Enforced, warnings: facts.Warnings, shield: shield{r.place}}, nil
}

// realPaths are the host's paths to hide, as the mounts know them.
func realPaths(project string, list []string) ([]string, error) {
	var out []string
	for _, p := range list {
		real, err := HiddenPath(project, p)
		if err != nil {
			return nil, fmt.Errorf("--hide %s: %w", p, err)
		}
		out = append(out, real)
	}
	return out, nil
}

// HiddenPath is the real path of what Options.Hide names. What is not there can't be hidden; what lies in the project (a
// real path) is hidden by rules, since CMD sees the mirror there.
func HiddenPath(project, p string) (string, error) {
	real, err := filepath.Abs(p)
	if err == nil {
		real, err = filepath.EvalSymlinks(real)
	}
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return "", err
	}
	if rel, err := filepath.Rel(project, real); err == nil && filepath.IsLocal(rel) {
		return "", errors.New("it lies in the project: hide it there with --exclude or .agentignore")
	}
	return real, nil
}

// readOnlyEntries lists what the kernel is to protect: directories that are read-only as a whole, and other read-only
// files; and how many links are read-only, which no mount can protect.
func readOnlyEntries(m *mirror.Mirror) (entries []namespace.ReadOnly, links int) {
	for _, r := range m.ReadOnly() {
		if r.Kind == safety.Symlink {
			links++
			continue
		}
		entries = append(entries, namespace.ReadOnly{Path: r.Path, Dir: r.Kind == safety.Directory})
	}
	return entries, links
}

func (r *namespaceRuntime) run(ctx context.Context, spec plain.Spec) (plain.Exit, error) {
	return r.place.Run(ctx, spec)
}

func (r *namespaceRuntime) close() error {
	return errors.Join(r.place.Close(), os.RemoveAll(r.shown))
}

// shield keeps what is read-only in the mirror from CMD while there is a namespace.
type shield struct{ place *namespace.Namespace }

// Show has nobody to show anything to when CMD has ended.
func (s shield) Show(p safety.RelPath, version *os.File) error {
	return ifRunning(s.place.Show(p, version))
}

// Protect is like Show.
func (s shield) Protect(dir safety.RelPath) error { return ifRunning(s.place.Protect(dir, true)) }

func ifRunning(err error) error {
	if errors.Is(err, namespace.ErrEnded) {
		return nil
	}
	return err
}
