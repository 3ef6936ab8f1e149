package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// disk is a file system of its own for one measurement.
type disk struct {
	kind  string
	dir   string
	image string
	mount bool
}

// newDisk makes one: a tmpfs, or a loop file with a fresh file system. Without root only tmpfs's stand-in works: a
// directory in /dev/shm.
func newDisk(ctx context.Context, kind, dir string) (*disk, error) {
	if kind == "tmpfs" {
		shm, err := os.MkdirTemp("/dev/shm", "alca-bench")
		return &disk{kind: kind, dir: shm}, err
	}
	make, ok := map[string][]string{
		"ext4": {"mkfs.ext4", "-q", "-F", "-i", "4096"}, "xfs": {"mkfs.xfs", "-q", "-f", "-m", "reflink=1"}, "btrfs": {"mkfs.btrfs", "-q", "-f"},
	}[kind]
	if !ok {
		return nil, fmt.Errorf("unknown file system; expected tmpfs, ext4, xfs or btrfs")
	}
	if os.Getuid() != 0 {
		return nil, fmt.Errorf("loop mounts need root")
	}
	d := &disk{kind: kind, dir: dir, image: dir + ".image", mount: true}
	if err := d.format(ctx, make); err != nil {
		return nil, err
	}
	return d, nil
}

const imageSize = 40 << 30 // sparse

func (d *disk) format(ctx context.Context, make []string) error {
	if err := os.Mkdir(d.dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(d.image, imageSize); err != nil {
		return err
	}
	options := "loop"
	if d.kind == "ext4" { // else the kernel goes on to write inode tables, for minutes, beside what is measured
		options += ",noinit_itable"
	}
	for _, argv := range [][]string{append(make, d.image), {"mount", "-o", options, d.image, d.dir}} {
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", filepath.Base(argv[0]), err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

func (d *disk) remove() error {
	if !d.mount {
		return os.RemoveAll(d.dir)
	}
	if err := unix.Unmount(d.dir, 0); err != nil {
		return fmt.Errorf("unmount %s: %w", d.dir, err)
	}
	if err := os.Remove(d.dir); err != nil {
		return err
	}
	return os.Remove(d.image)
}

// settle writes out what earlier measurements left behind, so that none pays for another.
func settle() { unix.Sync() }

// highest is the most memory that a command which has ended held at one time.
func highest(c *exec.Cmd) int64 {
	usage, ok := c.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return usage.Maxrss << 10
}
