package main

// Output rules.
//
//   - stdout is CMD's, or the data of a data command. All else goes to stderr: start line, end lines, progress, errors.
//   - A line of ours begins with "alca-mount: "; what belongs to it follows indented by four spaces.
//   - One line when CMD starts, one when it ended, more only when something needs the user: a conflict, a refusal,
//     something held, kept or failed. -q drops the first two, never the latter. -v adds to them.
//   - Colours and progress only on a terminal; NO_COLOR (not empty) and --no-color turn colours off, so does TERM=dumb.
//   - Names are shown as they are when they can be printed on one line, else quoted: a file's name must not move the
//     cursor or fake a line of ours.
//   - Nothing of ours is printed while CMD has the terminal.

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/alca-mount/alca-mount/cmd/alca-mount/internal/config"
)

type output struct {
	w              io.Writer
	quiet, verbose bool
	terminal       bool
	color          bool
}

func newOutput(stderr *os.File, a *app) *output {
	tty := term.IsTerminal(int(stderr.Fd()))
	return &output{
		w: stderr, quiet: a.quiet, verbose: a.verbose, terminal: tty,
		color: tty && !a.noColor && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb",
	}
}

// The colours of a line's first word; attention is for what the user should act on.
const (
	attention = "\x1b[33m"
	alarm     = "\x1b[31m"
	dim       = "\x1b[2m"
	plain     = "\x1b[0m"
)

func (o *output) paint(color, s string) string {
	if !o.color || s == "" {
		return s
	}
	return color + s + plain
}

// say tells something that -q leaves out.
func (o *output) say(format string, args ...any) {
	if !o.quiet {
		o.line(dim, fmt.Sprintf(format, args...))
	}
}

// warn tells something that needs the user.
func (o *output) warn(format string, args ...any) { o.line(attention, fmt.Sprintf(format, args...)) }

// more tells something that only -v shows.
func (o *output) more(format string, args ...any) {
	if o.verbose {
		o.say(format, args...)
	}
}

// failure tells why the program could not do what it was asked to.
func (o *output) failure(err error) {
	var list config.Errors
	if !errors.As(err, &list) || len(list) < 2 {
		o.line(alarm, oneLine(err.Error()))
		return
	}
	o.line(alarm, fmt.Sprintf("the configuration has %s:", count(len(list), "error")))
	for _, e := range list {
		o.item(oneLine(e.Error()))
	}
}

func (o *output) line(color, text string) {
	fmt.Fprintf(o.w, "%s %s\n", o.paint(color, "alca-mount:"), text)
}

func (o *output) item(text string) { fmt.Fprintf(o.w, "    %s\n", text) }

// oneLine joins the lines of a joined error.
func oneLine(s string) string { return strings.Join(strings.FieldsFunc(s, isNewline), "; ") }

func isNewline(r rune) bool { return r == '\n' || r == '\r' }

// show returns a name as it may be printed on a terminal.
func show(name string) string {
	for _, r := range name {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return strconv.Quote(name)
		}
	}
	if name == "" || strings.TrimSpace(name) != name {
		return strconv.Quote(name)
	}
	return name
}

// count is "1 file", "1,234 files".
func count(n int, noun string) string {
	if n != 1 {
		noun = plural(noun)
	}
	return grouped(n) + " " + noun
}

func plural(noun string) string {
	switch {
	case strings.HasSuffix(noun, "y") && !strings.HasSuffix(noun, "ay"):
		return strings.TrimSuffix(noun, "y") + "ies"
	case strings.HasSuffix(noun, "s"):
		return noun + "es"
	}
	return noun + "s"
}

func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func humanBytes(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/1000, 0
	for v >= 999.95 && i < len(units)-1 {
		v /= 1000
		i++
	}
	return fmt.Sprintf("%.1f %cB", v, units[i])
}

func humanTime(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
