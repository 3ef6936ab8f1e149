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

// report writes the tables to where they were asked for, and the plot.
func (b *bench) report() error {
	text, plot := b.tables(), ""
	if len(b.scaled) > 0 {
		plot = plotOf(b.scaled)
	}
	if plot != "" && b.plot != "" {
		if err := os.WriteFile(b.plot, []byte(plot), 0o644); err != nil {
			return err
		}
	}
	if b.doc != "" {
		return updateDocument(b.doc, text, plot)
	}
	if b.out != "" {
		return os.WriteFile(b.out, []byte(text), 0o644)
	}
	_, err := os.Stdout.WriteString(text)
	return err
}

// tables is all that was measured, as markdown.
func (b *bench) tables() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s/%s, %d CPUs, %d rounds, medians.\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), b.rounds)
	for left := b.results; len(left) > 0; {
		what := left[0].what
		var of []result
		left, of = split(left, what)
		writeTable(&out, what, of)
	}
	writePoints(&out, b.scaled)
	return out.String()
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
	fmt.Fprint(out, "\n### Up to a million files\n\n| files | `cp -a` | build | ratio | memory | idle | `find`, one tree | compare both trees | ratio | memory |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, p := range points {
		fmt.Fprintf(out, "| %d | %s | %s | %.2f | %d MB | %d MB | %s | %s | %.2f | %d MB |\n", p.files, human(p.copied), human(p.build),
			p.build.Seconds()/p.copied.Seconds(), p.memory>>20, p.memoryIdle>>20, human(p.listed), human(p.again), p.again.Seconds()/p.listed.Seconds(), p.memoryAgain>>20)
	}
}

func human(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
