//go:build linux

package launcher

import (
	"os"
	"path/filepath"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
)

// A mount must not show past the rules what they govern, nor the sessions.
func TestMountsThatOverlapTheProjectAreRefused(t *testing.T) {
	base, state := t.TempDir(), t.TempDir()
	policy, err := dotfiles.New(dotfiles.Rules{Excludes: []dotfiles.Rule{{Pattern: "data/", Source: "config"}}})
	if err != nil {
		t.Fatal(err)
	}
	l := &launch{project: base + "/p", policy: policy, state: mirror.NewStateDir(state + "/state")}
	for source, refused := range map[string]bool{
		base: true, base + "/p": true, base + "/p/src": true, "/": true, state: true, state + "/state": true, state + "/state/x": true,
		base + "/q": false, base + "/p/data": false, base + "/pp": false,
	} {
		if err := l.checkOverlap(source, true); (err != nil) != refused {
			t.Errorf("%s: %v, want refused %v", source, err, refused)
		}
	}
}

// The state directory is the same one by whatever links it is reached.
func TestMountsOfALinkedStateDirectoryAreRefused(t *testing.T) {
	base := mustReal(t, t.TempDir())
	for _, d := range []string{"p", "there"} {
		if err := os.Mkdir(filepath.Join(base, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("there", filepath.Join(base, "link")); err != nil {
		t.Fatal(err)
	}
	l, err := prepare(Options{Project: base + "/p", Command: []string{"true"}, State: mirror.NewStateDir(base + "/link/state")})
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"/there", "/there/state", "/there/state/x"} {
		if err := l.checkOverlap(base+source, true); err == nil {
			t.Errorf("%s is mounted", source)
		}
	}
}

// A mount has rules of its own: neither those that are configured for the project, nor, read-only, a way back.
func TestMirroredMountHasItsOwnRules(t *testing.T) {
	policy, err := dotfiles.New(dotfiles.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	l := &launch{opts: Options{Live: autosync.LiveOptions{Configured: func() (autosync.Configured, error) { return autosync.Configured{}, nil }}}}
	sub, err := l.sub(Mount{ReadOnly: true}, policy)
	if err != nil {
		t.Fatal(err)
	}
	if sub.opts.Live.Configured != nil {
		t.Error("live sync would take the project's configured rules")
	}
	if got := sub.policy.Access("a/b", false); got != dotfiles.ReadOnly {
		t.Errorf("a/b of a read-only mount is %v", got)
	}
}

// The loops of several mirrors tell at once; whoever listens hears one after the other.
func TestEventsComeOneAtATime(t *testing.T) {
	var inside atomic.Int32
	l, err := prepare(Options{Project: t.TempDir(), Command: []string{"true"}, Events: func(autosync.Event) {
		if inside.Add(1) > 1 {
			t.Error("two at once")
		}
		for range 100 {
			goruntime.Gosched()
		}
		inside.Add(-1)
	}})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				l.opts.Events(autosync.Event{})
			}
		})
	}
	all.Wait()
}

func mustReal(t *testing.T, dir string) string {
	t.Helper()
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	return real
}

func TestContainerSettingsThatCannotBeMetAreRefused(t *testing.T) {
	for _, c := range []*Container{
		nil, {}, {Image: "i", Runtime: "lxc"}, {Image: "i", Workdir: "rel"}, {Image: "i", Workdir: "/"}, {Image: "i", Workdir: "/proc/x"}, {Image: "i", Memory: -1},
		{Image: "i", Mounts: []Mount{{Source: "rel", Target: "/x"}}}, {Image: "i", Mounts: []Mount{{Source: "/a", Target: "/workspace"}}},
		{Image: "i", Mounts: []Mount{{Source: "/a", Target: "/workspace/a"}}}, {Image: "i", Mounts: []Mount{{Source: "/a", Target: "/x"}, {Source: "/b", Target: "/x"}}},
		{Image: "i", Mounts: []Mount{{Source: "/a", Target: "/x/"}}}, {Image: "i", Mounts: []Mount{{Source: "/a", Target: "/x", Mirror: "often"}}},
	} {
		if err := c.check(); err == nil {
			t.Errorf("%+v passes", c)
		}
	}
	good := &Container{Image: "i", Workdir: "/w", Mounts: []Mount{{Source: "/a", Target: "/x"}, {Source: "/a", Target: "/y"}}}
	if err := good.check(); err != nil {
		t.Error(err)
	}
}

// A bind holds the file that it was made on: not one that took its name, nor one that came later.
func TestBindShieldKnowsWhatIsBound(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o444); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "whole/sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := newBindShield(dir, []string{"a", "b", "whole", "gone"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := os.Remove(filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "b"), nil, 0o444); err != nil {
		t.Fatal(err)
	}
	if s.Show("a", nil) != nil || s.Show("whole/sub/x", nil) != nil || s.Protect("whole/new") != nil {
		t.Error("what is bound counts as open")
	}
	if s.Show("b", nil) == nil || s.Show("new", nil) == nil || s.Show("gone", nil) == nil || s.Protect("dir") == nil {
		t.Error("what has no bind counts as bound")
	}
}

// Whatever is mirrored is durable in a moment.
func TestSessionsOfMountsAreSettledToo(t *testing.T) {
	l, err := prepare(Options{Project: t.TempDir(), Command: []string{"true"}, State: mirror.NewStateDir(filepath.Join(t.TempDir(), "state"))})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := dotfiles.New(dotfiles.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	sub, err := l.sub(Mount{Source: t.TempDir()}, policy)
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range []*launch{l, sub} {
		if err := each.build(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !each.session.Unsettled() {
			t.Skip("here a session is durable at once")
		}
	}
	l.mounts = []*mounted{{}, {launch: sub}}
	l.settle()
	if l.session.Unsettled() || sub.session.Unsettled() {
		t.Errorf("unsettled: %v, of the mount: %v", l.session.Unsettled(), sub.session.Unsettled())
	}
	for _, each := range []*launch{sub, l} {
		if err := each.end(); err != nil {
			t.Error(err)
		}
	}
}
