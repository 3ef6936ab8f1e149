package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report writes the tables, and the plot where one is asked for.
func (b *bench) report() error {
	out := io.Writer(os.Stdout)
	if b.out != "" {
		f, err := os.Create(b.out)
		if err != nil {
			return err
		}
		defer f.Close()
		out = f
	}
	fmt.Fprintf(out, "%s/%s, %d CPUs, %d rounds, medians.\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), b.rounds)
	for len(b.results) > 0 {
		what := b.results[0].what
		var of []result
		b.results, of = split(b.results, what)
		writeTable(out, what, of)
	}
	writePoints(out, b.scaled)
	if b.plot == "" || len(b.scaled) == 0 {
		return nil
	}
	return os.WriteFile(b.plot, []byte(plotOf(b.scaled)), 0o644)
}

func split(all []result, what string) (rest, of []result) {
	for _, r := range all {
		if r.what == what {
			of = append(of, r)
		} else {
			rest = append(rest, r)
		}
	}
	return rest, of
}

// writeTable has a line for each result; the ratio is to the first candidate on the same disk and tree.
func writeTable(out io.Writer, what string, results []result) {
	fmt.Fprintf(out, "\n### %s\n\n| disk | tree | | median | ratio | |\n|---|---|---|---|---|---|\n", what)
	for _, r := range results {
		first := results[slices.IndexFunc(results, func(o result) bool { return o.disk == r.disk && o.tree == r.tree })]
		median, ratio := "–", "–"
		if len(r.samples) > 0 {
			median = human(r.median())
			if first.median() > 0 {
				ratio = fmt.Sprintf("%.2f", float64(r.median())/float64(first.median()))
			}
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s |\n", r.disk, r.tree, r.candidate, median, ratio, strings.ReplaceAll(r.note, "|", "/"))
	}
}

func writePoints(out io.Writer, points []point) {
	if len(points) == 0 {
		return
	}
	fmt.Fprint(out, "\n### Up to a million files\n\n| files | `cp -a` | build | ratio | memory | `find`, both trees | compare both trees | ratio | memory |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, p := range points {
		fmt.Fprintf(out, "| %d | %s | %s | %.2f | %d MB | %s | %s | %.2f | %d MB |\n", p.files, human(p.copied), human(p.build),
			p.build.Seconds()/p.copied.Seconds(), p.memory>>20, human(p.listed), human(p.again), p.again.Seconds()/p.listed.Seconds(), p.memoryAgain>>20)
	}
}

func human(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
