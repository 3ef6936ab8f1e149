package autosync

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/alca-mount/alca-mount/autosync/internal/watch"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// Configured are rules that stand elsewhere than in the project's rule files: in a configuration, say.
type Configured struct {
	Rules dotfiles.Rules // its patterns; whatever it says else is the session's
	Files []string       // absolute paths of the files that they come from, also of those that are not there yet
}

// configs notices changes of the files that [LiveOptions.Configured] reads. Its methods are the loop's.
type configs struct {
	read   func() (Configured, error)
	inside map[safety.RelPath]bool   // files in mirrored directories of the project, whose watcher hints at them
	others map[string]*configWatcher // by directory: those of all others
	moved  chan struct{}
}

// configWatcher watches one directory for some of its files.
type configWatcher struct {
	root    *safety.Root
	watcher *watch.Watcher
	done    chan struct{}
}

func newConfigs(read func() (Configured, error)) *configs {
	return &configs{read: read, inside: map[safety.RelPath]bool{}, others: map[string]*configWatcher{}, moved: make(chan struct{}, 1)}
}

// policy reads the configured rules, as a policy with the session's defaults, and sees to it that changes of the files
// that they come from now are noticed. nil: there are none.
func (c *configs) policy(ctx context.Context, s *Syncer) (*dotfiles.Policy, error) {
	if c.read == nil {
		return nil, nil
	}
	now, err := c.read()
	if err != nil {
		return nil, err
	}
	for _, file := range now.Files {
		c.watch(ctx, s, file)
	}
	stored := s.m.Session.Rules
	now.Rules.NoDefaults, now.Rules.Git, now.Rules.FoldCase = stored.NoDefaults, stored.Git, stored.FoldCase
	return dotfiles.New(now.Rules)
}

// watch notices changes of a file. One in a directory that can't be watched counts as it is, until another changes.
func (c *configs) watch(ctx context.Context, s *Syncer, file string) {
	if rel, err := filepath.Rel(s.m.Project.Path(), file); err == nil {
		if p, err := safety.ParseRelPath(filepath.ToSlash(rel)); err == nil && (p.Dir() == safety.Top || s.rules.shown(p.Dir())) {
			c.inside[p] = true
			return
		}
	}
	dir := filepath.Dir(file)
	if c.others[dir] != nil {
		return
	}
	if w, err := watchDir(ctx, dir, c.tell); err == nil {
		c.others[dir] = w
	}
}

// tell asks the loop to read the rules again.
func (c *configs) tell() {
	select {
	case c.moved <- struct{}{}:
	default: // it will
	}
}

// watchDir calls tell when something changes in the directory itself.
func watchDir(ctx context.Context, dir string, tell func()) (*configWatcher, error) {
	root, err := safety.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	w, err := watch.New(ctx, watch.Options{Root: root, Debounce: 50 * time.Millisecond, Watch: func(p safety.RelPath) bool { return p == safety.Top }})
	if err != nil {
		root.Close()
		return nil, err
	}
	if err := w.AddTree(ctx, safety.Top); err != nil {
		w.Close()
		root.Close()
		return nil, err
	}
	c := &configWatcher{root: root, watcher: w, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		for range w.Hints() {
			tell()
		}
	}()
	return c, nil
}

func (c *configs) close() {
	for _, w := range c.others {
		w.watcher.Close()
		<-w.done
		w.root.Close()
	}
}

// startConfigured takes up the configured rules: they may have changed since the launch read them.
func (s *Syncer) startConfigured(ctx context.Context) {
	policy, err := s.configs.policy(ctx, s)
	if err != nil || policy == nil || covers(s.m.Session.Rules, policy.Rules()) { // what is wrong with them is told when they change
		return
	}
	s.rules.policy.Store(dotfiles.Stricter(s.rules.start, policy))
	s.m.Policy = s.rules.now()
}

// rulesNow is what all rules say by now, in the project and in the configuration.
func (s *Syncer) rulesNow(ctx context.Context) (*dotfiles.Policy, error) {
	now, err := s.m.RulesNow()
	if err != nil {
		return nil, err
	}
	configured, err := s.configs.policy(ctx, s)
	if err != nil {
		return nil, err
	}
	policy := dotfiles.Stricter(s.rules.start, now)
	if configured != nil {
		policy = dotfiles.Stricter(policy, configured)
	}
	return policy, nil
}

// isRules reports whether a path of the project says which rules hold.
func (s *Syncer) isRules(p safety.RelPath) bool {
	return dotfiles.IsRuleFile(string(p), s.m.Session.Agent) || s.configs.inside[p]
}

// covers reports whether all patterns of the rules are among those of a session: it hides what they hide.
func covers(session, rules dotfiles.Rules) bool {
	return containsAll(session.Hidden, rules.Hidden) && containsAll(session.ReadOnly, rules.ReadOnly) &&
		containsAll(session.Excludes, rules.Excludes) && containsAll(session.Policy, rules.Policy)
}

func containsAll(all, some []dotfiles.Rule) bool {
	return !slices.ContainsFunc(some, func(r dotfiles.Rule) bool { return !slices.Contains(all, r) })
}
