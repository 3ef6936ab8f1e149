package autosync_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/dotfiles"
)

// Rules of files beside the rule files count live where they hide more, be it in a watched directory of the project or
// anywhere else.
func TestLiveConfiguredRules(t *testing.T) {
	for _, place := range []string{"in the project", "elsewhere"} {
		t.Run(place, func(t *testing.T) {
			p := newPair(t, "key = before", "keep = k")
			file := filepath.Join(p.project, "conf")
			if place == "elsewhere" {
				file = filepath.Join(t.TempDir(), "conf")
			}
			read := func() (autosync.Configured, error) {
				text, _ := os.ReadFile(file)
				c := autosync.Configured{Files: []string{file}}
				for _, pattern := range strings.Fields(string(text)) {
					c.Rules.Excludes = append(c.Rules.Excludes, dotfiles.Rule{Pattern: pattern, Source: "conf"})
				}
				return c, nil
			}
			l := &live{pair: p, events: make(chan autosync.Event, 1000)}
			var err error
			l.s, err = autosync.Start(t.Context(), p.m, autosync.Options{Events: l.note}, autosync.LiveOptions{Configured: read})
			p.must(err)
			t.Cleanup(func() { l.s.Stop(context.Background()) })
			p.must(l.s.Ready(t.Context()))
			p.must(os.WriteFile(file, []byte("key\n"), 0o600))
			l.await(autosync.Synced, "key")
			if _, err := os.Lstat(filepath.Join(l.mirror, "key")); !os.IsNotExist(err) {
				t.Errorf("the mirror's key: %v", err)
			}
			l.wantProject("key", "before")
		})
	}
}
