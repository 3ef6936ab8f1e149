//go:build linux

package safety

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// Labels that no pass of a sync comes to: each is made to fail with each error, the error is told, and what was there
// is there.
func TestFailuresOfRareCalls(t *testing.T) {
	for op, do := range map[Op]func(*bench) error{
		OpSymlink: func(b *bench) error { return b.inTop(func(d *Dir) error { return d.Symlink("x", "l") }) },
		OpCreate: func(b *bench) error {
			return b.inTop(func(d *Dir) error { _, err := d.Create("new", 0o600); return err })
		},
		OpMkdir:       func(b *bench) error { return b.root.Mkdir("dir", 0o700) },
		OpSetTimes:    func(b *bench) error { return b.root.SetTimes("f", 1) },
		OpSyncAll:     func(b *bench) error { return b.root.SyncAll() },
		OpMarkerWrite: func(b *bench) error { return WriteMarker(b.root, "s") },
		OpMarkerRead:  func(b *bench) error { _, err := ReadMarker(b.root); return err },
		OpRootStat:    func(b *bench) error { return b.root.Verify() },
		OpRootOpen:    func(b *bench) error { _, err := LookIntoStore(b.root, b.store.Path()); return err },
		OpRestore: func(b *bench) error {
			write(b.t, b.store.SlotPath(7), "kept")
			return b.store.Restore(7, "g")
		},
		OpCopyWrite: func(b *bench) error {
			return b.inTop(func(d *Dir) error {
				to, err := d.Create("copy", 0o600)
				if err != nil {
					return err
				}
				defer to.Close()
				_, err = b.root.Copier().CopyContent(context.Background(), to, b.src("content"))
				return err
			})
		},
		OpTempCreate: func(b *bench) error { return b.root.sys.writeDurably(b.dir+"/f", 0o600, whole([]byte("new"))) },
		OpTempWrite:  func(b *bench) error { return b.root.sys.writeDurably(b.dir+"/f", 0o600, whole([]byte("new"))) },
		OpTempFsync:  func(b *bench) error { return b.root.sys.writeDurably(b.dir+"/f", 0o600, whole([]byte("new"))) },
		OpTempRename: func(b *bench) error { return b.root.sys.writeDurably(b.dir+"/f", 0o600, whole([]byte("new"))) },
		OpLock: func(b *bench) error {
			f, err := b.root.sys.openLock(b.base + "/lock")
			if err == nil {
				f.Close()
			}
			return err
		},
		OpRemove: func(b *bench) error {
			must(b.t, os.Mkdir(b.base+"/mirror", 0o700))
			m, err := openRoot(b.base+"/mirror", sys{before: b.root.sys.before})
			must(b.t, err)
			defer m.Close()
			must(b.t, WriteMarker(m, "s"))
			must(b.t, os.WriteFile(b.base+"/mirror/x", nil, 0o600))
			return RemoveMirror(context.Background(), m, "s")
		},
	} {
		for _, errno := range []unix.Errno{unix.ENOSPC, unix.EIO, unix.EACCES, unix.EROFS, unix.EDQUOT, unix.EMFILE} {
			t.Run(string(op)+" "+errno.Error(), func(t *testing.T) {
				var on atomic.Bool
				b := newBench(t, sys{before: func(o Op, _ string) error {
					if on.Load() && o == op {
						return errno
					}
					return nil
				}})
				write(t, b.dir+"/f", "old")
				on.Store(true)
				if err := do(b); !errors.Is(err, errno) {
					t.Errorf("got %v, want %v", err, errno)
				}
				on.Store(false)
				if read(t, b.dir+"/f") != "old" {
					t.Error("f was changed")
				}
				if _, err := os.Stat(filepath.Join(b.dir, "g")); op == OpRestore && err == nil || op == OpRestore && read(t, b.store.SlotPath(7)) != "kept" {
					t.Error("the kept version moved")
				}
			})
		}
	}
}

func (b *bench) inTop(do func(*Dir) error) error {
	d, err := b.root.OpenDir(Top)
	must(b.t, err)
	defer d.Close()
	return do(d)
}

// A store that can't be opened leaves nothing behind in the project, where the last of its places is.
func TestAStoreThatCannotBeOpenedLeavesNothing(t *testing.T) {
	for _, op := range []Op{OpRootOpen, OpDirStat, OpProbe} {
		var on atomic.Bool
		b := newBench(t, sys{before: func(o Op, _ string) error {
			if on.Load() && o == op {
				return unix.EMFILE
			}
			return nil
		}})
		on.Store(true)
		if s, err := OpenStore(b.root, true, "other", filepath.Join(b.base, "other")); !errors.Is(err, unix.EMFILE) {
			t.Errorf("%s: %v, %v", op, s, err)
		}
		if left, err := os.ReadDir(b.dir); err != nil || len(left) > 0 {
			t.Errorf("%s: left in the project: %v, %v", op, left, err)
		}
	}
}
