package autosync

import (
	"path/filepath"
	"testing"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/mirror/mirrortest"
	"github.com/alca-mount/alca-mount/safety"
)

// A pass may come before the first scan of everything has ended: what links lead to is known by then, however links are
// mirrored.
func TestGuardKnowsLinksBeforeTheFirstPass(t *testing.T) {
	for name, links := range map[string]mirror.Links{"keep": mirror.KeepLinks, "follow": mirror.FollowLinks, "skip": mirror.SkipLinks} {
		t.Run(name, func(t *testing.T) {
			project := mirrortest.Make(t, filepath.Join(t.TempDir(), "p"), "conf/env = good", ".envrc -> conf/env")
			session, err := mirror.NewStateDir(filepath.Join(t.TempDir(), "state")).New(project, mirror.Record{})
			if err != nil {
				t.Fatal(err)
			}
			policy, err := dotfiles.New(dotfiles.Rules{})
			if err != nil {
				t.Fatal(err)
			}
			m, err := mirror.Create(t.Context(), project, "", mirror.Options{Session: session, Links: links, Policy: policy})
			if err != nil {
				t.Fatal(err)
			}
			defer session.Unlock()
			defer m.Close()
			g, err := newGuard(m, Options{})
			if err != nil {
				t.Fatal(err)
			}
			s := &Syncer{m: m, e: &engine{guard: g}}
			if err := s.learnLinks(t.Context()); err != nil || g.why("conf/env", safety.File) == "" {
				t.Errorf("conf/env is not guarded (%v)", err)
			}
		})
	}
}
