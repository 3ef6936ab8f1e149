package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// pair is a project and its mirror that somebody keeps in step.
type pair struct {
	project, mirror string
	pid             int
	stop            func() error
}

// live measures how long an edit takes to the other side, how long a burst, and at what cost.
func (b *bench) live(d *disk) error {
	t := trees()["T1"]
	for _, c := range []struct {
		name string
		keep func(project, work string) (*pair, error)
	}{{"alca-mount", b.ourPair}, {peerPackage, b.peerPair}} {
		project, work := filepath.Join(d.dir, "project"), filepath.Join(d.dir, "work")
		err := errors.Join(os.MkdirAll(work, 0o755), t.generate(project))
		if err == nil {
			settle()
			err = b.onPair(c.name, d, t, func() (*pair, error) { return c.keep(project, work) })
		}
		if err = errors.Join(err, os.RemoveAll(project), os.RemoveAll(work)); err != nil {
			return err
		}
	}
	return b.fsyncChain(d)
}

func (b *bench) onPair(name string, d *disk, t tree, keep func() (*pair, error)) error {
	p, err := keep()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: left out: %s: %v\n", name, err)
		return nil
	}
	add := func(what string, samples []time.Duration, note string) {
		b.results = append(b.results, result{what, d.kind, t.name, name, samples, note})
	}
	for _, way := range []struct{ what, from, to string }{
		{"project → mirror", p.project, p.mirror}, {"mirror → project", p.mirror, p.project},
	} {
		samples, err := edits(way.from, way.to, t, 40*b.rounds)
		if err != nil {
			return errors.Join(err, p.stop())
		}
		add("edit "+way.what, samples, fmt.Sprintf("p95 %s", human(quantile(samples, 0.95))))
		took, cpu, err := burst(way.from, way.to, t, p.pid)
		if err != nil {
			return errors.Join(err, p.stop())
		}
		add("1,000 files "+way.what, []time.Duration{took}, fmt.Sprintf("%.2f CPU-s", cpu.Seconds()))
	}
	return p.stop()
}

// edits changes one file after the other and waits for each on the other side.
func edits(from, to string, t tree, n int) ([]time.Duration, error) {
	var out []time.Duration
	for i := range n {
		path := t.path(i * 37 % t.files)
		text := fmt.Appendf(nil, "edit %d at %v\n", i, time.Now())
		began := time.Now()
		if err := os.WriteFile(filepath.Join(from, path), text, 0o644); err != nil {
			return nil, err
		}
		if err := arrives(filepath.Join(to, path), text); err != nil {
			return nil, err
		}
		out = append(out, time.Since(began))
		time.Sleep(20 * time.Millisecond) // an edit by itself, not a burst
	}
	return out, nil
}

func arrives(name string, want []byte) error {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Microsecond) {
		if got, err := os.ReadFile(name); err == nil && bytes.Equal(got, want) {
			return nil
		}
	}
	return fmt.Errorf("%s did not arrive within 30 s", name)
}

// burst changes 1,000 files as fast as it can; its own writing is part of the time.
func burst(from, to string, t tree, pid int) (took, cpu time.Duration, err error) {
	time.Sleep(time.Second) // what came before is done
	before, err := cpuOf(pid)
	if err != nil {
		return 0, 0, err
	}
	text := fmt.Appendf(nil, "burst at %v\n", time.Now())
	began := time.Now()
	for i := range 1000 {
		if err := os.WriteFile(filepath.Join(from, t.path(i)), text, 0o644); err != nil {
			return 0, 0, err
		}
	}
	for i := range 1000 {
		if err := arrives(filepath.Join(to, t.path(i)), text); err != nil {
			return 0, 0, err
		}
	}
	took = time.Since(began)
	time.Sleep(time.Second) // what it does after the last arrival is part of its cost
	after, err := cpuOf(pid)
	return took, after - before, err
}

// fsyncChain is what this disk takes for the least that makes a replaced file durable.
func (b *bench) fsyncChain(d *disk) error {
	dir := filepath.Join(d.dir, "chain")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var samples []time.Duration
	for range 40 * b.rounds {
		began := time.Now()
		if err := durable(dir); err != nil {
			return err
		}
		samples = append(samples, time.Since(began))
		time.Sleep(20 * time.Millisecond)
	}
	b.results = append(b.results, result{"edit mirror → project", d.kind, "T1", "write, fsync, rename, fsync of the directory", samples,
		fmt.Sprintf("p95 %s", human(quantile(samples, 0.95)))})
	return nil
}

func durable(dir string) error {
	f, err := os.Create(filepath.Join(dir, "new"))
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString(time.Now().String()); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, "file")); err != nil {
		return err
	}
	top, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer top.Close()
	return top.Sync()
}

// idle measures what a session costs in which nothing happens.
func (b *bench) idle(d *disk) error {
	t := trees()["T2"]
	project, work := filepath.Join(d.dir, "project"), filepath.Join(d.dir, "work")
	if err := errors.Join(os.MkdirAll(work, 0o755), t.generate(project)); err != nil {
		return err
	}
	for _, c := range []struct {
		name string
		keep func(project, work string) (*pair, error)
	}{{"alca-mount", b.ourPair}, {peerPackage, b.peerPair}} {
		p, err := c.keep(project, work)
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench: left out: %s: %v\n", c.name, err)
			continue
		}
		time.Sleep(5 * time.Second)
		before, _ := cpuOf(p.pid)
		time.Sleep(b.quiet)
		after, err := cpuOf(p.pid)
		rss := fmt.Sprintf("%d MB resident", rssOf(p.pid)>>20)
		if err = errors.Join(err, p.stop()); err != nil {
			return err
		}
		b.results = append(b.results, result{fmt.Sprintf("CPU of %v idle", b.quiet), d.kind, t.name, c.name, []time.Duration{after - before}, rss})
	}
	return errors.Join(os.RemoveAll(project), os.RemoveAll(work))
}

// ourPair is a session of alca-mount's create and watch.
func (b *bench) ourPair(project, work string) (*pair, error) {
	out, err := b.ours(work, "create", "-C", project, "--name", "bench").Output()
	if err != nil {
		return nil, fmt.Errorf("create: %w", err)
	}
	watch, end, err := b.watching(work, project, "bench")
	if err != nil {
		return nil, err
	}
	stop := func() error { return errors.Join(end(), b.ours(work, "rm", "-C", project, "--force", "bench").Run()) }
	return &pair{project, strings.TrimSpace(string(out)), watch.Process.Pid, stop}, nil
}

// watching is a running watch of a session, past its first comparison.
func (b *bench) watching(work, project, session string) (watch *exec.Cmd, end func() error, err error) {
	watch = b.ours(work, "watch", "-C", project, session)
	said, err := watch.StderrPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := startUntil(watch, said, "ready"); err != nil {
		return nil, nil, err
	}
	return watch, func() error { return errors.Join(watch.Process.Signal(os.Interrupt), watch.Wait()) }, nil
}

func (b *bench) peerPair(project, work string) (*pair, error) {
	mount := filepath.Join(work, "mount")
	c, err := b.drivePeer("watch", project, mount)
	if err != nil {
		return nil, err
	}
	in, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	said, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startUntil(c, said, "ready"); err != nil {
		return nil, err
	}
	return &pair{project, mount, c.Process.Pid, func() error { return errors.Join(in.Close(), c.Wait()) }}, nil
}

// startUntil starts a command and returns when it has said a line that holds the word.
func startUntil(c *exec.Cmd, said io.Reader, word string) error {
	if err := c.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if strings.Contains(lines.Text(), word) {
			go io.Copy(io.Discard, said)
			return nil
		}
	}
	return fmt.Errorf("%s ended before it was ready: %w", filepath.Base(c.Path), c.Wait())
}

// cpuOf is the CPU time that a process has used so far: proc_pid_stat(5), fields 14 and 15.
func cpuOf(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil // USER_HZ is 100 on all of Linux
}

// rssOf is how much memory a process holds, in bytes; 0 where that can't be told.
func rssOf(pid int) int64 {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb << 10
		}
	}
	return 0
}
