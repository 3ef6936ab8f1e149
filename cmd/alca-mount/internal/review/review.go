// Package review is the screen on which the user says what of a session's changes comes home.
//
// Screen is a pure model: messages in, a new screen and its text out. Only Ask touches a terminal.
package review

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
)

// Mark is what the user said of a change.
type Mark uint8

// The marks. What is not decided on waits in the kept session.
const (
	Undecided Mark = iota
	Approved
	Discarded
)

var signs = [...]string{" ", "+", "x"}

// Change is one change to decide on.
type Change struct {
	Name   string          // the path, as it may be printed
	Status string          // A, D, M, R, T
	Note   string          // why it waits, beyond being new; ""
	Diff   func() []string // its lines, as they may be printed; asked for when they are shown
}

// Screen is the whole state of a review.
type Screen struct {
	changes       []Change
	marks         []Mark
	cursor        int // the change that is shown
	top           int // the first change in the list's window
	scroll        int // the first line of the diff in its window
	width, height int
	color         bool
	searching     bool
	query         string
	diffs         map[int][]string
	over          bool // the user is done
	quit          bool // without a word: everything waits
}

// New returns the screen for changes, nothing decided.
func New(changes []Change, color bool) Screen {
	return Screen{changes: changes, marks: make([]Mark, len(changes)), width: 80, height: 24, color: color, diffs: map[int][]string{}}
}

// Marks are what was decided, by change. After a quit nothing is.
func (s Screen) Marks() []Mark {
	if s.quit || !s.over {
		return make([]Mark, len(s.changes))
	}
	return s.marks
}

// Ask shows the screen on a terminal until the user is done, and returns the marks. When ctx ends, or the terminal goes,
// nothing is decided.
func Ask(ctx context.Context, changes []Change, color bool, in, out *os.File) ([]Mark, error) {
	s := New(changes, color)
	program := tea.NewProgram(s, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithAltScreen(), tea.WithoutSignalHandler())
	last, err := program.Run()
	if end, ok := last.(Screen); ok && err == nil {
		return end.Marks(), nil
	}
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		err = ctx.Err()
	}
	return s.Marks(), fmt.Errorf("review: %w", err)
}

// Init has nothing to do.
func (s Screen) Init() tea.Cmd { return nil }

// Update takes a key or the terminal's size.
func (s Screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch m := msg.(type) {
	case tea.WindowSizeMsg:
		s.width, s.height = m.Width, m.Height
	case tea.KeyMsg:
		if m.Paste && !s.searching {
			break // a text is no word of the user's on anything
		}
		for _, key := range single(m) {
			if s.searching {
				s = s.typed(key)
			} else {
				s = s.press(key.String())
			}
		}
	}
	s = s.inView()
	if s.over {
		return s, tea.Quit
	}
	return s, nil
}

// single are the keys of a message: what is typed fast, or while the program is busy, comes as one.
func single(m tea.KeyMsg) []tea.KeyMsg {
	if m.Type != tea.KeyRunes || len(m.Runes) < 2 {
		return []tea.KeyMsg{m}
	}
	var out []tea.KeyMsg
	for _, r := range m.Runes {
		out = append(out, tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}})
	}
	return out
}

// typed edits the search.
func (s Screen) typed(m tea.KeyMsg) Screen {
	switch m.Type {
	case tea.KeyEnter:
		s.searching = false
		return s.find(s.cursor)
	case tea.KeyEsc, tea.KeyCtrlC:
		s.searching, s.query = false, ""
	case tea.KeyBackspace:
		if r := []rune(s.query); len(r) > 0 {
			s.query = string(r[:len(r)-1])
		}
	case tea.KeyRunes, tea.KeySpace:
		s.query += string(m.Runes)
	}
	return s
}

// find goes to the first change from at on, around the end, whose name holds the query.
func (s Screen) find(at int) Screen {
	for i := range s.changes {
		n := (at + i) % len(s.changes)
		if s.query != "" && strings.Contains(strings.ToLower(s.changes[n].Name), strings.ToLower(s.query)) {
			return s.move(n)
		}
	}
	return s
}

func (s Screen) press(key string) Screen {
	switch key {
	case "down", "j":
		return s.move(s.cursor + 1)
	case "up", "k":
		return s.move(s.cursor - 1)
	case "home", "g":
		return s.move(0)
	case "end", "G":
		return s.move(len(s.changes) - 1)
	case "pgdown", " ":
		s.scroll += s.diffHeight()
	case "pgup", "b":
		s.scroll -= s.diffHeight()
	case "a":
		return s.mark(Approved).move(s.cursor + 1)
	case "d":
		return s.mark(Discarded).move(s.cursor + 1)
	case "s":
		return s.mark(Undecided).move(s.cursor + 1)
	case "A":
		return s.markAll(Approved)
	case "D":
		return s.markAll(Discarded)
	case "S":
		return s.markAll(Undecided)
	case "/":
		s.searching, s.query = true, ""
	case "n":
		return s.find(s.cursor + 1)
	case "enter":
		s.over = true
	case "q", "ctrl+c", "esc":
		s.over, s.quit = true, true
	}
	return s
}

func (s Screen) move(to int) Screen {
	to = max(0, min(to, len(s.changes)-1))
	if to != s.cursor {
		s.cursor, s.scroll = to, 0
	}
	return s
}

// mark gives the change under the cursor a mark, in a copy: a screen that was shown stays what it was.
func (s Screen) mark(m Mark) Screen {
	if len(s.changes) == 0 {
		return s
	}
	s.marks = append([]Mark(nil), s.marks...)
	s.marks[s.cursor] = m
	return s
}

func (s Screen) markAll(m Mark) Screen {
	s.marks = make([]Mark, len(s.changes))
	for i := range s.marks {
		s.marks[i] = m
	}
	return s
}

// inView keeps the cursor in the list's window and the diff's window on the diff.
func (s Screen) inView() Screen {
	rows := s.listHeight()
	s.top = max(min(s.top, s.cursor), s.cursor-rows+1, 0)
	s.scroll = max(0, min(s.scroll, len(s.diff())-s.diffHeight()))
	return s
}

// diff is what is shown of the change under the cursor.
func (s Screen) diff() []string {
	if len(s.changes) == 0 {
		return nil
	}
	lines, ok := s.diffs[s.cursor]
	if !ok {
		lines = s.changes[s.cursor].Diff()
		s.diffs[s.cursor] = lines
	}
	return lines
}
