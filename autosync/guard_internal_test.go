package autosync

import (
	"os"
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
			err = s.learnFollowed(t.Context())
			if s.learnBase(); err != nil || g.why("conf/env", safety.File) == "" {
				t.Errorf("conf/env is not guarded (%v)", err)
			}
		})
	}
}

// Whatever way a link spells where it leads, what a tool finds there is guarded.
func TestGuardFollowsLinksAsTheKernelDoes(t *testing.T) {
	dir := t.TempDir()
	top, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	project := mirrortest.Make(t, filepath.Join(top, "p"), "conf/env = good", "conf/up -> ..", "abs -> "+top+"/p/conf")
	if err := os.Symlink("p", filepath.Join(top, "alias")); err != nil {
		t.Fatal(err)
	}
	root, err := safety.OpenRoot(project)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	names, err := dotfiles.NewGuard(dotfiles.GuardedDefault())
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{
		"conf/env", "./conf//env", "../p/conf/env", "conf/up/conf/env", "abs/env", "../alias/conf/env", "conf/../conf/env",
		top + "/p/conf/env", top + "//p/./conf/env", top + "/p/../p/conf/env", top + "/alias/conf/env",
	} {
		g := &guard{names: names, root: root, leads: map[safety.RelPath]safety.RelPath{}}
		if g.follow(".envrc", target); g.why("conf/env", safety.File) == "" {
			t.Errorf("%s is not followed", target)
		}
	}
	for _, target := range []string{"..", ".", "../elsewhere", "/etc/hosts", top} {
		g := &guard{names: names, root: root, leads: map[safety.RelPath]safety.RelPath{}}
		if g.follow(".envrc", target); len(g.leads) != 0 {
			t.Errorf("%s: %v", target, g.leads)
		}
	}
}
