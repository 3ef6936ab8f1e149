package main

import (
	"os"
	"path/filepath"
	"slices"
	"time"
)

// start measures from the start of a command to CMD's first step, with the mirror complete and watched by then.
func (b *bench) start(d *disk) error {
	for _, name := range b.trees {
		t, ok := trees()[name]
		if !ok || name == "big" && d.kind == "tmpfs" {
			continue
		}
		err := b.compare("start to CMD", d, t, append(b.copies(), b.launch(), b.peerLaunch()))
		if err != nil {
			return err
		}
	}
	return nil
}

// copies are what a mere copy takes.
func (b *bench) copies() []candidate {
	return []candidate{
		{"cp -a", func(project, work string) (time.Duration, error) {
			return timed(b.command("cp", "-a", project, filepath.Join(work, "copy")))
		}},
		{"rsync -a", func(project, work string) (time.Duration, error) {
			return timed(b.command("rsync", "-a", project+"/", filepath.Join(work, "copy")))
		}},
	}
}

func (b *bench) launch() candidate {
	return candidate{"alca-mount", func(project, work string) (time.Duration, error) {
		return b.untilExec(b.ours(work, "-C", project, "--sync", "live", "--env", stampVariable, "--", b.self))
	}}
}

// whole measures a session of a command that does nothing, clean-up included.
func (b *bench) whole(d *disk) error {
	for _, name := range wholeTrees(b.trees) {
		err := b.compare("whole session", d, trees()[name], []candidate{
			{"cp -a, rm -r", func(project, work string) (time.Duration, error) {
				began := time.Now()
				copied := filepath.Join(work, "copy")
				if err := b.command("cp", "-a", project, copied).Run(); err != nil {
					return 0, err
				}
				err := b.command("rm", "-r", copied).Run()
				return time.Since(began), err
			}},
			{"alca-mount -- true", func(project, work string) (time.Duration, error) {
				return timed(b.ours(work, "-C", project, "--sync", "live", "--", "true"))
			}},
			b.peerWhole(),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// wholeTrees are those asked for of which a whole session says something: removing one big file takes no time.
func wholeTrees(asked []string) []string {
	return slices.DeleteFunc(slices.Clone(asked), func(name string) bool { return name != "T1" && name != "T2" })
}

// warm measures the start of a kept session when ten files of the project have changed since.
func (b *bench) warm(d *disk) error {
	t := trees()["T1"]
	return b.compare("warm start, 10 files changed", d, t, []candidate{
		b.copies()[0],
		{"alca-mount --name", func(project, work string) (time.Duration, error) {
			args := []string{"-C", project, "--sync", "live", "--name", "warm", "--keep", "--env", stampVariable, "--"}
			if err := b.ours(work, append(args, "true")...).Run(); err != nil {
				return 0, err
			}
			for i := range 10 {
				if err := os.WriteFile(filepath.Join(project, t.path(i*100+1)), []byte(time.Now().String()), 0o644); err != nil {
					return 0, err
				}
			}
			settle()
			return b.untilExec(b.ours(work, append(args, b.self)...))
		}},
	})
}
