package launcher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/launcher/internal/container"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// mounted is a mount on its way. A mirrored one is a launch of its own, without a command: its own session, base, rules
// and reports.
type mounted struct {
	Mount
	launch *launch // nil: bound as it is
}

// MountResult is how a mirrored mount ended.
type MountResult struct {
	Source, Target string
	Session        string
	Changes        autosync.Changes
	Store          string
	Mirror         string // where it was kept, else ""
	WhyKept        string
}

// placeMounts decides for each mount whether it is mirrored, and refuses what would show what the project's rules hide.
func (l *launch) placeMounts(kind container.Kind, mounts []Mount) error {
	for _, m := range mounts {
		real, err := filepath.EvalSymlinks(m.Source)
		if err != nil {
			return fmt.Errorf("mount %s: %w", m.Source, err)
		}
		m.Source = real
		info, err := os.Stat(real)
		if err != nil {
			return fmt.Errorf("mount %s: %w", m.Source, err)
		}
		if !info.IsDir() && !info.Mode().IsRegular() {
			return fmt.Errorf("mount %s: expected a directory or a regular file", m.Source)
		}
		if err := l.checkOverlap(m.Source, info.IsDir()); err != nil {
			return fmt.Errorf("mount %s: %w", m.Source, err)
		}
		if err := l.placeMount(kind, m, info.IsDir()); err != nil {
			return fmt.Errorf("mount %s: %w", m.Source, err)
		}
	}
	return nil
}

// checkOverlap refuses a mount through which the agent would see, past the rules, what they govern: what holds the
// project or the state directory, and what the project's own mirror has.
func (l *launch) checkOverlap(source string, dir bool) error {
	if within(l.project, source) {
		return errors.New("it holds the project, and would show what its rules hide; expected a directory beside it")
	}
	if within(l.state.Path(), source) || within(source, l.state.Path()) {
		return errors.New("it holds the sessions' state, which the agent may not reach")
	}
	if !within(source, l.project) {
		return nil
	}
	rel, err := filepath.Rel(l.project, source)
	if err != nil {
		return err
	}
	if l.policy.Access(filepath.ToSlash(rel), dir).Mirrored() {
		return fmt.Errorf("it is in the project, whose mirror has it as %s already; leave the mount out, or exclude it there", rel)
	}
	return nil // left out of the mirror as a whole, and mounted on its own: the user's word
}

// within reports whether path is dir or lies in it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && (rel == "." || filepath.IsLocal(rel))
}

func (l *launch) placeMount(kind container.Kind, m Mount, dir bool) error {
	mode := m.Mirror
	if mode == "" {
		mode = MirrorAuto
	}
	var policy *dotfiles.Policy
	ruled := len(m.Exclude) > 0
	if dir {
		var err error
		if policy, err = m.policy(l.opts.Agent); err != nil {
			return err
		}
		rules := policy.Rules()
		ruled = ruled || len(rules.Hidden)+len(rules.ReadOnly) > 0
	} else if ruled {
		return errors.New("it is a file: exclude has no meaning")
	}
	where, note, err := container.PlaceOf(goruntime.GOOS, kind, container.Wish{Mode: string(mode), Rules: ruled, Dir: dir})
	if err != nil {
		return err
	}
	if note != "" {
		l.notes = append(l.notes, fmt.Sprintf("mount %s: %s", m.Source, note))
	}
	out := &mounted{Mount: m}
	if where == container.Mirrored {
		if out.launch, err = l.sub(m, policy); err != nil {
			return err
		}
	}
	l.mounts = append(l.mounts, out)
	return nil
}

// policy is of the mount's own rule files and excludes.
func (m Mount) policy(agent string) (*dotfiles.Policy, error) {
	policy, err := dotfiles.Read(m.Source, agent)
	if err != nil {
		return nil, err
	}
	rules := policy.Rules()
	for _, pattern := range m.Exclude {
		rules.Excludes = append(rules.Excludes, dotfiles.Rule{Pattern: pattern, Source: "config"})
	}
	return dotfiles.New(rules)
}

// sub is the launch that looks after a mirrored mount.
func (l *launch) sub(m Mount, policy *dotfiles.Policy) (*launch, error) {
	if m.ReadOnly { // nothing is ever sent back, whatever lies in the mirror at the end
		rules := policy.Rules()
		rules.ReadOnly = append(rules.ReadOnly, dotfiles.Rule{Pattern: "*", Source: "config"})
		var err error
		if policy, err = dotfiles.New(rules); err != nil {
			return nil, err
		}
	}
	o := l.opts
	o.Live.Configured = nil // of the project's rules
	o.Mirror, o.Name, o.Container, o.Whole, o.BeforeLaunch, o.AfterBuild, o.AfterSync = "", "", nil, nil, nil, nil, nil
	return &launch{opts: o, project: m.Source, policy: policy, state: l.state}, nil
}

// buildMounts makes the mirrors of the mounts.
func (l *launch) buildMounts(ctx context.Context) error {
	if l.docked == nil {
		return nil
	}
	if err := l.placeMounts(l.docked.engine.Kind, l.docked.opts.Mounts); err != nil {
		return err
	}
	for _, m := range l.mounts {
		if m.launch == nil {
			continue
		}
		if err := safety.CheckRoots(m.Source, l.state.Path()); err != nil {
			return fmt.Errorf("mount %s: %w", m.Source, err)
		}
		if err := m.launch.build(ctx); err != nil {
			return fmt.Errorf("mount %s: %w", m.Source, err)
		}
		if err := m.launch.session.Update(func(s *mirror.Record) { s.Engine, s.MountOf = l.docked.engineHost(), l.session.ID }); err != nil {
			return fmt.Errorf("mount %s: %w", m.Source, err)
		}
	}
	return nil
}

// abandonMounts takes back what was built for a launch that never came to its command.
func (l *launch) abandonMounts() error {
	var errs []error
	for _, m := range l.mounts {
		if m.launch == nil || m.launch.session == nil {
			continue
		}
		if m.launch.mirror != nil {
			errs = append(errs, m.launch.mirror.Remove(context.Background()), m.launch.mirror.Close())
		}
		errs = append(errs, m.launch.abandon())
	}
	return errors.Join(errs...)
}

// rest waits until edits of the mirrors can be told from their building.
func (l *launch) rest(ctx context.Context) error {
	for _, m := range l.mounts {
		if m.launch != nil {
			if err := m.launch.mirror.Rest(ctx); err != nil {
				return err
			}
		}
	}
	return l.mirror.Rest(ctx)
}

// closeWatched ends the watching of what no live sync has taken over.
func (l *launch) closeWatched() {
	_ = l.watched.Close()
	for _, m := range l.mounts {
		if m.launch != nil {
			_ = m.launch.watched.Close()
		}
	}
}

// syncMounts begins the live sync of the mirrored mounts.
func (l *launch) syncMounts(ctx context.Context) error {
	for _, m := range l.mounts {
		if m.launch == nil {
			continue
		}
		if err := m.launch.startSync(ctx); err != nil {
			return fmt.Errorf("mount %s: %w", m.Source, err)
		}
	}
	return nil
}

// endMounts syncs each mount for the last time. One that fails does not keep the others from coming home.
func (l *launch) endMounts() error {
	var errs []error
	for _, m := range l.mounts {
		if m.launch == nil || m.launch.mirror == nil {
			continue
		}
		m.launch.mayRun = l.mayRun
		if err := m.launch.end(); err != nil {
			errs = append(errs, fmt.Errorf("mount %s: %w", m.Source, err))
		}
		res := m.launch.result(0)
		l.res.Mounts = append(l.res.Mounts, MountResult{
			Source: m.Source, Target: m.Target, Session: res.Session, Changes: res.Changes, Store: res.Store, Mirror: res.Mirror, WhyKept: res.WhyKept,
		})
	}
	return errors.Join(errs...)
}
