package review

import (
	"fmt"
	"strings"
	"testing"

	tea "github.com/charmbracelet/bubbletea"
)

func screen(n int) Screen {
	var list []Change
	for i := range n {
		name := fmt.Sprintf("dir/file%03d", i)
		list = append(list, Change{Name: name, Status: "M", Diff: func() []string {
			out := []string{"diff --git a/" + name}
			for k := range 100 {
				out = append(out, fmt.Sprintf("+line %d of %s", k, name))
			}
			return out
		}})
	}
	return New(list, false)
}

// press gives keys, each a word; a single capital or small letter is itself.
func press(s Screen, keys ...string) Screen {
	named := map[string]tea.KeyType{
		"enter": tea.KeyEnter, "esc": tea.KeyEsc, "down": tea.KeyDown, "up": tea.KeyUp, "pgdown": tea.KeyPgDown, "pgup": tea.KeyPgUp,
		"end": tea.KeyEnd, "backspace": tea.KeyBackspace, "ctrl+c": tea.KeyCtrlC,
	}
	for _, k := range keys {
		msg := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(k)}
		if t, ok := named[k]; ok {
			msg = tea.KeyMsg{Type: t}
		}
		next, _ := s.Update(msg)
		s = next.(Screen)
	}
	return s
}

func marksOf(s Screen) string {
	var b strings.Builder
	for _, m := range s.Marks() {
		b.WriteString(signs[m])
	}
	return b.String()
}

func TestMarksByKey(t *testing.T) {
	for _, c := range []struct {
		keys []string
		want string
	}{
		{[]string{"a", "d", "s", "a", "enter"}, "+x +"},
		{[]string{"A", "down", "d", "enter"}, "+x++"},
		{[]string{"D", "end", "a", "enter"}, "xxx+"},
		{[]string{"A", "S", "enter"}, "    "},
		{[]string{"A", "q"}, "    "},
		{[]string{"A", "ctrl+c"}, "    "},
		{[]string{"A"}, "    "}, // not done yet
		{[]string{"/", "f", "i", "l", "e", "0", "0", "2", "enter", "d", "enter"}, "  x "},
		{[]string{"/", "A", "esc", "a", "enter"}, "+   "},      // typed, not pressed
		{[]string{"/file002", "enter", "ad", "enter"}, "  +x"}, // typed fast
		{[]string{"/", "0", "0", "enter", "n", "n", "a", "enter"}, "  + "},
	} {
		if got := marksOf(press(screen(4), c.keys...)); got != c.want {
			t.Errorf("%q: marks %q, want %q", c.keys, got, c.want)
		}
	}
}

func TestViewFitsTheTerminal(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {200, 60}, {20, 6}, {1, 1}, {40, 10}} {
		s := screen(300)
		next, _ := s.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		s = press(next.(Screen), "end", "pgdown", "pgdown")
		lines := strings.Split(s.View(), "\n")
		if len(lines) > max(size[1], 6) {
			t.Errorf("%v: %d lines", size, len(lines))
		}
		for _, l := range lines {
			if n := len([]rune(l)); n > size[0] {
				t.Errorf("%v: a line of %d: %q", size, n, l)
			}
		}
		if size[0] >= 20 && !strings.Contains(s.View(), "> [ ] M  dir/file299") {
			t.Errorf("%v: the cursor is out of view:\n%s", size, s.View())
		}
	}
}

func TestDiffScrolls(t *testing.T) {
	s := press(screen(2), "pgdown")
	if v := s.View(); strings.Contains(v, "line 0 of dir/file000") || !strings.Contains(v, "of dir/file000") {
		t.Error("page down does not scroll:\n" + v)
	}
	if v := press(s, "down").View(); !strings.Contains(v, "line 0 of dir/file001") {
		t.Error("another file does not begin at its top:\n" + v)
	}
}

func TestKeysAreShown(t *testing.T) {
	v := screen(3).View()
	for _, key := range []string{"a approve", "d discard", "s skip", "/ n search", "q quit: keep the session"} {
		if !strings.Contains(v, key) {
			t.Errorf("no %q in\n%s", key, v)
		}
	}
}

func TestPastedTextDecidesNothing(t *testing.T) {
	s := screen(3)
	next, _ := s.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("AA"), Paste: true})
	if got := marksOf(press(next.(Screen), "enter")); got != "   " {
		t.Errorf("marks %q", got)
	}
}
