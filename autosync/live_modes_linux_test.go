package autosync_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
)

// cp -a makes a directory that only it can read, fills it, and sets its mode last.
func TestLiveDirectoryGetsTheModeThatItsOriginalGetsLast(t *testing.T) {
	t.Parallel()
	l := newLive(t, "a = 1")
	for _, way := range [][2]string{{l.mirror, l.project}, {l.project, l.mirror}} {
		from, to := filepath.Join(way[0], "new"), filepath.Join(way[1], "new")
		l.must(os.Mkdir(from, 0o700))
		l.must(os.WriteFile(filepath.Join(from, "f"), []byte("x"), 0o644))
		l.await(autosync.Synced, "new/f")
		l.must(os.Chmod(from, 0o755))
		l.awaitMode(to, 0o755)
		l.must(os.Chmod(to, 0o711)) // the user's own word
		l.must(os.Chmod(from, 0o750))
		l.reconcile()
		l.awaitMode(to, 0o711)
		l.remove(way[0], "new")
		l.eventually("removed")
	}
}

func (l *live) awaitMode(path string, want fs.FileMode) {
	l.t.Helper()
	var got fs.FileMode
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		info, err := os.Stat(path)
		l.must(err)
		if got = info.Mode().Perm(); got == want {
			return
		}
	}
	l.t.Errorf("%s has mode %v, want %v", path, got, want)
}
