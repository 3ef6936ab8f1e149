package autosync_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/alca-mount/alca-mount/safety"
)

// Directories that change places are directories before and after: what one had and the other has not is gone all the same.
func TestLiveDirectoriesThatChangePlaces(t *testing.T) {
	swaps := map[string]func(a, b string) error{
		"exchange": func(a, b string) error {
			return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
		},
		"by way of a third": func(a, b string) error {
			for _, mv := range [][2]string{{a, a + "-t"}, {b, a}, {a + "-t", b}} {
				if err := os.Rename(mv[0], mv[1]); err != nil {
					return err
				}
			}
			return nil
		},
	}
	for name, swap := range swaps {
		for side := range 2 {
			if t.Failed() {
				return // the others would wait as long
			}
			t.Run(name, func(t *testing.T) {
				l := newLive(t, "new/f = F", "lib/top = T", "lib/sub/deep/g = G", "keep = k")
				top := [...]string{l.project, l.mirror}[side]
				l.must(swap(filepath.Join(top, "lib"), filepath.Join(top, "new")))
				l.eventually("directories that changed places")
				for _, p := range []safety.RelPath{"lib/top", "lib/sub/deep/g", "new/f"} {
					l.wantProject(string(p), "(absent)")
				}
				l.wantProject("new/sub/deep/g", "G")
			})
		}
	}
}
