package main

import (
	"fmt"
	"strings"
)

const (
	plotWidth, plotHeight = 720, 420
	plotMargin            = 60
)

// plotOf draws time and memory against the number of files, each as a share of its highest, so that a straight line
// from the corner says "in proportion".
func plotOf(points []point) string {
	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&s, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	fmt.Fprintf(&s, `<path d="M%d %d V%d H%d" fill="none" stroke="#444"/>`+"\n", plotMargin, plotMargin/2, plotHeight-plotMargin, plotWidth-plotMargin/2)
	last := points[len(points)-1]
	for _, p := range points {
		x := along(p.files, last.files)
		fmt.Fprintf(&s, `<text x="%.0f" y="%d" text-anchor="middle">%dk</text>`+"\n", x, plotHeight-plotMargin+18, p.files/1000)
	}
	for i, line := range []struct {
		name, color string
		of          func(point) float64
		unit        string
	}{
		{"build", "#1f6feb", func(p point) float64 { return p.build.Seconds() }, "s"},
		{"cp -a", "#8b949e", func(p point) float64 { return p.copied.Seconds() }, "s"},
		{"compare both trees", "#2da44e", func(p point) float64 { return p.again.Seconds() }, "s"},
		{"memory of the build", "#bf3989", func(p point) float64 { return float64(p.memory >> 20) }, "MB"},
		{"memory of an idle session", "#d4a72c", func(p point) float64 { return float64(p.memoryIdle >> 20) }, "MB"},
	} {
		draw(&s, points, line.of, line.color)
		fmt.Fprintf(&s, `<text x="%d" y="%d" fill="%s">%s: %.0f %s at %dk files</text>`+"\n",
			plotMargin+16, plotMargin/2+16+18*i, line.color, line.name, line.of(last), line.unit, last.files/1000)
	}
	fmt.Fprintf(&s, `<text x="%d" y="%d" text-anchor="middle">files; each line is scaled to its own highest value</text>`+"\n</svg>\n", plotWidth/2, plotHeight-14)
	return s.String()
}

func along(files, most int) float64 {
	return plotMargin + float64(files)/float64(most)*(plotWidth-1.5*plotMargin)
}

func draw(s *strings.Builder, points []point, of func(point) float64, color string) {
	highest := 0.0
	for _, p := range points {
		highest = max(highest, of(p))
	}
	var path []string
	for _, p := range points {
		y := plotHeight - plotMargin - of(p)/max(highest, 1e-9)*(plotHeight-1.5*plotMargin)
		path = append(path, fmt.Sprintf("%.1f,%.1f", along(p.files, points[len(points)-1].files), y))
	}
	fmt.Fprintf(s, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(path, " "), color)
}
