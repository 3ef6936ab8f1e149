package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// point is one size's figures.
type point struct {
	files                        int
	build, copied, again, listed time.Duration
	memory                       int64 // of the build, at its highest, in bytes
	memoryAgain                  int64 // of the comparison
	memoryIdle                   int64 // of a session in which nothing happens
}

// scale measures build, comparison and memory against the number of files.
func (b *bench) scale(d *disk) error {
	for _, files := range []int{10_000, 30_000, 100_000, 300_000, 1_000_000} {
		if files > b.files {
			return nil
		}
		p, err := b.scaleAt(d, files)
		if err != nil {
			return err
		}
		b.scaled = append(b.scaled, p)
	}
	return nil
}

func (b *bench) scaleAt(d *disk, files int) (point, error) {
	p := point{files: files}
	project, work := filepath.Join(d.dir, "project"), filepath.Join(d.dir, "work")
	err := errors.Join(os.MkdirAll(work, 0o755), ofSize(files).generate(project))
	if err != nil {
		return p, err
	}
	defer os.RemoveAll(project)
	defer os.RemoveAll(work)
	settle()
	if p.copied, err = timed(b.command("cp", "-a", project, filepath.Join(work, "copy"))); err != nil {
		return p, err
	}
	if err := os.RemoveAll(filepath.Join(work, "copy")); err != nil {
		return p, err
	}
	settle()
	create := b.ours(work, "create", "-C", project, "--name", "scale")
	if p.build, err = timed(create); err != nil {
		return p, fmt.Errorf("create: %w", err)
	}
	p.memory = highest(create)
	settle()
	if p.memoryIdle, err = b.idleMemory(work, project); err != nil {
		return p, fmt.Errorf("watch: %w", err)
	}
	if p.listed, err = timed(b.command("find", project, "-printf", "%s %T@\n")); err != nil {
		return p, err
	}
	again := b.ours(work, "sync", "-C", project, "scale")
	if p.again, err = timed(again); err != nil {
		return p, fmt.Errorf("sync: %w", err)
	}
	p.memoryAgain = highest(again)
	return p, b.ours(work, "rm", "-C", project, "--force", "scale").Run()
}

// idleMemory is what a session holds when both sides are in step.
func (b *bench) idleMemory(work, project string) (int64, error) {
	watch, end, err := b.watching(work, project, "scale")
	if err != nil {
		return 0, err
	}
	time.Sleep(5 * time.Second) // until what the comparison took is given back
	held := rssOf(watch.Process.Pid)
	return held, end()
}
