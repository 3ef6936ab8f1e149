package review

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// The screen: a head line, the list, a line between, the diff, and two lines of keys. A wide terminal would have room for
// list and diff side by side, but names and lines are long.
const (
	frame   = 4 // lines that are neither list nor diff
	reverse = "\x1b[7m"
	bold    = "\x1b[1m"
	red     = "\x1b[31m"
	green   = "\x1b[32m"
	cyan    = "\x1b[36m"
	off     = "\x1b[m"
)

// listHeight is a third of what there is for list and diff, and no more than the list needs.
func (s Screen) listHeight() int {
	return max(1, min(len(s.changes), (s.height-frame)/3))
}

func (s Screen) diffHeight() int { return max(1, s.height-frame-s.listHeight()) }

// View is the screen as text.
func (s Screen) View() string {
	var b strings.Builder
	var counts [3]int
	for _, m := range s.marks {
		counts[m]++
	}
	s.line(&b, bold, fmt.Sprintf("review: %d changes · %d approved · %d discarded · %d undecided", len(s.changes), counts[Approved], counts[Discarded], counts[Undecided]))
	for i := range s.listHeight() {
		s.entry(&b, s.top+i)
	}
	s.line(&b, cyan, strings.Repeat("─", max(0, s.width)))
	lines := s.diff()
	for i := range s.diffHeight() {
		if n := s.scroll + i; n < len(lines) {
			s.line(&b, kindOf(lines[n]), lines[n])
		} else {
			b.WriteByte('\n')
		}
	}
	if s.searching {
		s.line(&b, bold, "search: "+s.query+"▏  enter goes there · esc leaves")
	} else {
		s.line(&b, bold, "a approve · d discard · s skip · A D S all · ↑↓ file · space b diff · / n search")
	}
	b.WriteString(s.cut("enter done: approved come home, undecided wait · q quit: keep the session, nothing comes home"))
	return b.String()
}

func (s Screen) entry(b *strings.Builder, n int) {
	if n >= len(s.changes) {
		b.WriteByte('\n')
		return
	}
	c := s.changes[n]
	text := fmt.Sprintf("%s [%s] %s  %s", pointer(n == s.cursor), signs[s.marks[n]], c.Status, c.Name)
	if c.Note != "" {
		text += "  (" + c.Note + ")"
	}
	colour := [...]string{"", green, red}[s.marks[n]]
	if n == s.cursor {
		colour += reverse
	}
	s.line(b, colour, text)
}

func pointer(on bool) string {
	if on {
		return ">"
	}
	return " "
}

func kindOf(line string) string {
	switch {
	case strings.HasPrefix(line, "@@ "):
		return cyan
	case strings.HasPrefix(line, "+++ "), strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "diff --git "):
		return bold
	case strings.HasPrefix(line, "+"):
		return green
	case strings.HasPrefix(line, "-"):
		return red
	}
	return ""
}

// line writes one line that is no wider than the terminal.
func (s Screen) line(b *strings.Builder, colour, text string) {
	text = s.cut(text)
	if s.color && colour != "" {
		text = colour + text + off
	}
	b.WriteString(text + "\n")
}

func (s Screen) cut(text string) string { return ansi.Truncate(text, s.width, "…") }
