// Command bench measures alca-mount against cp -a, rsync -a and the npm package @relayfile/local-mount.
//
//	go run ./bench                      # all of it, about half an hour as root on a quiet machine
//	go run ./bench -only start -disks tmpfs -trees T1
//	go run ./bench -doc docs/performance.md
//
// Candidates work on the same generated trees in one run, one after the other within each round, so that what else the
// machine does meets all of them. Figures are medians; what counts are the ratios.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	if file := os.Getenv(stampVariable); file != "" {
		stamp(file)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) // else loop mounts stay behind
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// stampVariable names the file in which this program, started as CMD, writes when it began to run.
const stampVariable = "BENCH_STAMP"

func stamp(file string) {
	if err := os.WriteFile(file, fmt.Append(nil, time.Now().UnixNano()), 0o644); err != nil {
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct {
	rounds int
	only   []string
	disks  []string
	trees  []string
	files  int
	quiet  time.Duration
	dir    string
	out    string
	plot   string
	doc    string
}

func parse(args []string) (settings, error) {
	var s settings
	var only, disks, trees string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&s.rounds, "rounds", 5, "how often each candidate runs")
	f.StringVar(&only, "only", "start,whole,warm,live,idle,scale", "which measurements")
	f.StringVar(&disks, "disks", "tmpfs,ext4,xfs,btrfs", "on which file systems; all but tmpfs's are made in loop files, as root")
	f.StringVar(&trees, "trees", "T1,T2,big", "of which trees: T1 source-like, T2 many small files, big one of 2 GB")
	f.IntVar(&s.files, "files", 1_000_000, "up to how many files scale goes")
	f.DurationVar(&s.quiet, "idle", time.Minute, "how long an idle session is watched")
	f.StringVar(&s.dir, "dir", "", "where loop files and trees go (default: the temporary directory)")
	f.StringVar(&s.out, "o", "", "write the tables to this `FILE` as markdown (default: standard output)")
	f.StringVar(&s.plot, "plot", "", "write the plot of time against the number of files to this SVG `FILE`")
	f.StringVar(&s.doc, "doc", "", "put the tables between the marks in this markdown `FILE`, in the place of those that are there, and the plot beside it")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	s.only, s.disks, s.trees = strings.Split(only, ","), strings.Split(disks, ","), strings.Split(trees, ",")
	if s.doc != "" { // before half an hour of measuring
		if data, err := os.ReadFile(s.doc); err != nil {
			return s, fmt.Errorf("-doc: %w", err)
		} else if _, err := withReport(string(data), ""); err != nil {
			return s, fmt.Errorf("-doc %s: %w", s.doc, err)
		}
	}
	if s.rounds < 1 {
		return s, fmt.Errorf("-rounds %d: expected 1 or more", s.rounds)
	}
	return s, nil
}

func run(ctx context.Context, args []string) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	b, err := newBench(ctx, s)
	if err != nil {
		return err
	}
	defer b.close()
	for _, m := range []struct {
		name string
		do   func(*disk) error
	}{{"start", b.start}, {"whole", b.whole}, {"warm", b.warm}, {"live", b.live}, {"idle", b.idle}, {"scale", b.scale}} {
		if !slices.Contains(s.only, m.name) {
			continue
		}
		if err := b.onDisks(m.name, m.do); err != nil { // what was measured until then is worth reading
			return errors.Join(fmt.Errorf("%s: %w", m.name, err), b.report())
		}
	}
	return b.report()
}

// bench is one run.
type bench struct {
	ctx context.Context
	settings
	dir     string
	tool    string // the alca-mount binary
	self    string // this program's
	peer    string // directory with the npm package; "": not to be had
	results []result
	scaled  []point
}

func newBench(ctx context.Context, s settings) (*bench, error) {
	dir, err := os.MkdirTemp(s.dir, "alca-bench")
	if err != nil {
		return nil, err
	}
	b := &bench{ctx: ctx, settings: s, dir: dir, tool: filepath.Join(dir, "alca-mount")}
	if b.self, err = os.Executable(); err == nil {
		build := b.command("go", "build", "-o", b.tool, "github.com/alca-mount/alca-mount/cmd/alca-mount")
		build.Env = append(os.Environ(), "CGO_ENABLED=0") // as the packages are built
		err = build.Run()
	}
	if err != nil {
		b.close()
		return nil, fmt.Errorf("build alca-mount: %w", err)
	}
	b.peer = b.installPeer()
	return b, nil
}

func (b *bench) close() { os.RemoveAll(b.dir) }

func (b *bench) command(name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(b.ctx, name, args...)
	c.Stderr = os.Stderr
	return c
}

// onDisks does a measurement on each file system; one that can't be made here is said and left out.
func (b *bench) onDisks(name string, do func(*disk) error) error {
	for _, kind := range b.disks {
		if !worthOn(name, kind) {
			continue
		}
		d, err := newDisk(b.ctx, kind, filepath.Join(b.dir, kind))
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench: left out: %s: %v\n", kind, err)
			continue
		}
		fmt.Fprintf(os.Stderr, "bench: %s on %s\n", name, kind)
		err = do(d)
		if derr := d.remove(); err == nil {
			err = derr
		}
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	return nil
}

// worthOn tells where a measurement says something: latency is the disk's sync, scale is one disk's matter.
func worthOn(measurement, kind string) bool {
	switch measurement {
	case "live", "idle", "scale", "warm":
		return kind == "ext4"
	}
	return true
}
