//go:build linux

package safety

import (
	"context"
	"os"
	"syscall"
	"testing"
)

// A copy that fails, wherever it does, leaves nothing behind, and nothing of what it did not make is taken for that.
func TestCopyOutThatFailsLeavesNothing(t *testing.T) {
	from := t.TempDir()
	must(t, os.MkdirAll(from+"/d/e/f", 0o755))
	for _, name := range []string{"d/a", "d/e/b", "d/e/f/c", "d/z"} {
		write(t, from+"/"+name, name)
	}
	must(t, os.Symlink("a", from+"/d/l"))
	for _, fails := range []Op{OpCopyWrite, OpSetTimes, OpCreate, OpSymlink, OpMkdir} {
		failures := 0
		for n, reached := 1, true; reached; n++ {
			reached = false
			calls := 0
			src, err := OpenRootWith(from, func(op Op, _ string) error {
				if op == fails {
					calls++
				}
				if op == fails && calls == n {
					reached = true
					return syscall.EDQUOT
				}
				return nil
			})
			must(t, err)
			dir := t.TempDir()
			to, err := OpenRootWith(dir, src.sys.before)
			must(t, err)
			err = src.CopyOut(context.Background(), "d", to, "d")
			if list, _ := os.ReadDir(dir); err != nil && len(list) > 0 {
				t.Errorf("%s %d: left %v", fails, n, list)
			} else if err != nil {
				failures++
			}
			to.Close()
			src.Close()
		}
		if failures == 0 {
			t.Errorf("%s: nothing failed", fails)
		}
	}
	dir := t.TempDir()
	write(t, dir+"/d", "mine")
	if err := rootAt(t, from).CopyOut(context.Background(), "d", rootAt(t, dir), "d"); err == nil || read(t, dir+"/d") != "mine" {
		t.Errorf("over what was there: %v, %q", err, read(t, dir+"/d"))
	}
}
