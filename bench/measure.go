package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// result is what one candidate took for one thing, over all rounds.
type result struct {
	what, disk, tree, candidate string
	samples                     []time.Duration
	note                        string
}

func (r result) median() time.Duration { return quantile(r.samples, 0.5) }

func quantile(samples []time.Duration, q float64) time.Duration {
	if len(samples) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(samples))
	return s[int(q*float64(len(s)-1)+0.5)]
}

// candidate does the same work as the others, in a way of its own.
type candidate struct {
	name string
	// do works on the tree at project and may use work, a directory of its own on the same disk; it returns how long
	// the part that counts took.
	do func(project, work string) (time.Duration, error)
}

// compare runs the candidates in turn, round by round, and adds their results.
func (b *bench) compare(what string, d *disk, t tree, candidates []candidate) error {
	project := filepath.Join(d.dir, "project")
	defer os.RemoveAll(project)
	if err := t.generate(project); err != nil {
		return err
	}
	results := make([]result, len(candidates))
	for round := range b.rounds {
		for i := range candidates {
			i = (i + round) % len(candidates) // none is always the first
			c := candidates[i]
			work := filepath.Join(d.dir, "work")
			if err := os.MkdirAll(work, 0o755); err != nil {
				return err
			}
			settle()
			took, err := c.do(project, work)
			results[i].what, results[i].disk, results[i].tree, results[i].candidate = what, d.kind, t.name, c.name
			if err != nil {
				results[i].note = err.Error()
				fmt.Fprintf(os.Stderr, "bench: %s: %v\n", c.name, err)
			} else {
				results[i].samples = append(results[i].samples, took)
			}
			if err := os.RemoveAll(work); err != nil {
				return err
			}
		}
	}
	b.results = append(b.results, results...)
	return b.ctx.Err()
}

// timed runs a command and returns how long it took.
func timed(c *exec.Cmd) (time.Duration, error) {
	began := time.Now()
	err := c.Run()
	return time.Since(began), err
}

// ours is a command of alca-mount's, with its state on the disk that is measured.
func (b *bench) ours(work string, args ...string) *exec.Cmd {
	c := b.command(b.tool, args...)
	c.Env = append(os.Environ(), "XDG_STATE_HOME="+filepath.Join(work, "state"), "XDG_CONFIG_HOME="+filepath.Join(work, "config"))
	c.Stderr = nil
	return c
}

// untilExec runs a command whose CMD is this program, and returns the time from its start to CMD's first step.
func (b *bench) untilExec(c *exec.Cmd) (time.Duration, error) {
	file := filepath.Join(b.dir, "stamp") // not on the disk: in a namespace CMD has a /dev/shm of its own
	if err := os.RemoveAll(file); err != nil {
		return 0, err
	}
	if c.Env == nil {
		c.Env = os.Environ()
	}
	c.Env = append(c.Env, stampVariable+"="+file)
	began := time.Now()
	if out, err := c.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%w: %s", err, lastLine(out))
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	nano, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil {
		return 0, err
	}
	return time.Unix(0, nano).Sub(began), nil
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
