package autosync_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/mirror"
)

// The user replaces a read-only file, which the agent has changed, by a link that leads outside.
func TestFileThatBecomesABarredLinkIsNotRestoredFromIt(t *testing.T) {
	p := newPair(t, ".agentreadonly = ro", "ro = 1", "a = 1", "plain = 1")
	p.write(p.mirror, "a", "agent")
	p.must(os.Chmod(filepath.Join(p.mirror, "ro"), 0o644))
	p.write(p.mirror, "ro", "agent's")
	for _, name := range []string{"a", "ro", "plain"} {
		p.remove(p.project, name)
		p.must(os.Symlink("/etc/passwd", filepath.Join(p.project, name)))
	}
	c := p.once(autosync.Options{Deletes: true, Final: true})
	p.wantMirror("plain", "(absent)") // as in a mirror that is made now
	for _, name := range []string{"a", "ro"} {
		if target, err := os.Readlink(filepath.Join(p.project, name)); err != nil || target != "/etc/passwd" {
			t.Errorf("%s: %q, %v", name, target, err)
		}
		if !hasNote(c.Refused, name) {
			t.Errorf("the agent's %s is not kept: %+v", name, c)
		}
	}
}

func TestEditOfAReadOnlyCopyOfALinkedFileIsRefused(t *testing.T) {
	p := newPairWith(t, mirror.Options{Links: mirror.FollowLinks}, ".agentreadonly = link", "a = 1", "link -> a")
	p.must(os.Chmod(filepath.Join(p.mirror, "link"), 0o644))
	p.write(p.mirror, "link", "agent's")
	c := p.sync()
	if !hasNote(c.Refused, "link") {
		t.Errorf("%+v", c)
	}
	p.wantProject("a", "1")
}
