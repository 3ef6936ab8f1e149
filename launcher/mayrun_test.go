//go:build linux

package launcher

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/alca-mount/alca-mount/mirror"
)

// Whether CMD may still run is known only when it should have ended, long after the live sync began. Nothing is moved from
// under it then.
func TestLastLiveSyncTakesNothingFromACommandThatMayRun(t *testing.T) {
	opts := Options{Project: t.TempDir(), State: mirror.NewStateDir(filepath.Join(t.TempDir(), "state")), Sync: SyncLive, Command: []string{"true"}}
	l, err := prepare(opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.build(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.startSync(t.Context()); err != nil {
		t.Fatal(err)
	}
	held := filepath.Join(l.mirror.Root.Path(), ".envrc")
	if err := os.WriteFile(held, []byte("agent"), 0o644); err != nil {
		t.Fatal(err)
	}
	l.mayRun = true
	if err := l.end(); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(held); err != nil || string(data) != "agent" || len(l.res.Changes.Held) != 1 || l.res.Mirror == "" {
		t.Errorf("%s: %q, %v; %+v", held, data, err, l.res)
	}
}
