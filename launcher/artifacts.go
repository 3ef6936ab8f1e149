package launcher

import (
	"errors"
	"fmt"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// checkArtifacts refuses what could never come home, before anything is built for it.
func (l *launch) checkArtifacts() error {
	if len(l.opts.Artifacts) == 0 {
		return nil
	}
	if l.opts.Sync != SyncOff {
		return errors.New("artifacts are what alone comes home: expected SyncOff")
	}
	guard := l.opts.Guarded
	if guard == nil {
		var err error
		if guard, err = dotfiles.NewGuard(dotfiles.GuardedDefault()); err != nil {
			return err
		}
	}
	for _, p := range l.opts.Artifacts {
		v := l.policy.Explain(string(p), false)
		if v.Access > dotfiles.Excluded || p == safety.Top {
			v = l.policy.Explain(string(p), true)
		}
		_, guarded := guard.Guards(string(p), false)
		_, guardedDir := guard.Guards(string(p), true)
		switch {
		case p == safety.Top || p == "":
			return errors.New("artifact: expected a path below the project")
		case v.Access == dotfiles.Hidden:
			return fmt.Errorf("artifact %s: %s hides it", p, v.Rule.Source)
		case v.Access == dotfiles.ReadOnly:
			return fmt.Errorf("artifact %s: %s makes it read-only", p, v.Rule.Source)
		case p.In(".git"):
			return fmt.Errorf("artifact %s: nothing is brought into .git", p)
		case (guarded || guardedDir) && !l.opts.AllowGuarded:
			return fmt.Errorf("artifact %s: a tool may execute it by itself; --allow-guarded lets that pass", p)
		}
	}
	return nil
}
