//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pane is a terminal of 100 by 30, in tmux.
type pane struct {
	t      *testing.T
	socket string
}

func newPane(t *testing.T, w *world, command string) *pane {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("no tmux")
	}
	p := &pane{t, filepath.Join(t.TempDir(), "tmux")}
	t.Cleanup(func() { _ = p.tmux("kill-server").Run() })
	start := p.tmux("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", "-c", w.project, command)
	start.Env = append(w.env, "TERM=screen")
	if out, err := start.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v %s", err, out)
	}
	return p
}

func (p *pane) tmux(args ...string) *exec.Cmd {
	return exec.Command("tmux", append([]string{"-S", p.socket}, args...)...)
}

func (p *pane) press(keys ...string) {
	p.t.Helper()
	if out, err := p.tmux(append([]string{"send-keys"}, keys...)...).CombinedOutput(); err != nil {
		p.t.Fatalf("send-keys %q: %v %s", keys, err, out)
	}
}

// shows waits until the terminal shows the text, and returns all that it shows.
func (p *pane) shows(text string) string {
	p.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		out, err := p.tmux("capture-pane", "-p").CombinedOutput()
		if strings.Contains(string(out), text) {
			return string(out)
		}
		if time.Now().After(end) {
			p.t.Fatalf("no %q on the terminal: %v\n%s", text, err, out)
		}
	}
}

// A 300-file change, some of it deletions, decided on in a real terminal.
func TestReviewInATerminal(t *testing.T) {
	var tree []string
	for i := range 300 {
		tree = append(tree, fmt.Sprintf("src/f%03d=user %d", i, i))
	}
	w := newWorld(t, tree...)
	agent := `for i in $(seq -w 20 299); do echo "agent $i" >src/f$i; done; rm src/f00?; rm src/f01?`
	p := newPane(t, w, binary+" --sync review -- sh -c '"+agent+"'; echo ended with $?; cat")
	got := p.shows("300 changes · 0 approved · 0 discarded · 300 undecided")
	for _, want := range []string{"> [ ] D  src/f000", "-user 0", "a approve · d discard", "q quit: keep the session"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q on the first screen:\n%s", want, got)
		}
	}
	p.press("A")
	p.shows("300 approved")
	p.press("d") // f000: the deletion is turned down
	p.shows("299 approved · 1 discarded")
	p.press("-l", "/f123")
	p.shows("search: f123")
	p.press("Enter")
	p.shows("> [+] M  src/f123")
	p.press("d")
	p.shows("298 approved · 2 discarded")
	p.press("Enter")
	p.shows("ended with 0")
	w.holds("src/f000", "user 0\n")
	w.holds("src/f123", "user 123\n")
	w.holds("src/f124", "agent 124\n")
	w.holds("src/f299", "agent 299\n")
	if left, _ := filepath.Glob(filepath.Join(w.project, "src/f0[01]?")); len(left) != 1 {
		t.Errorf("deletions that were approved: %v are left", left)
	}
	if mirrors, _ := filepath.Glob(filepath.Join(w.state, "alca-mount/*/sessions/*/mirror")); len(mirrors) > 0 {
		t.Errorf("all was decided, and a mirror stays: %v", mirrors)
	}
}

// Who leaves the screen without a word has said nothing.
func TestReviewThatIsLeftBringsNothingHome(t *testing.T) {
	w := newWorld(t, "a=user")
	p := newPane(t, w, binary+" --sync review -- sh -c 'echo agent >a; printf \"\\033[2Jx\" >b'; echo ended with $?; cat")
	p.shows("2 changes · 0 approved")
	p.press("Down")
	p.shows("+␛[2Jx") // what the agent wrote does not act on the terminal
	p.press("A")
	p.shows("2 approved")
	p.press("q")
	p.shows("ended with 0")
	p.shows("alca-mount apply")
	w.holds("a", "user\n")
	if _, err := os.Lstat(filepath.Join(w.project, "b")); err == nil {
		t.Error("b came home")
	}
}

// A terminal that is closed, or a signal, ends the screen, and says as little.
func TestReviewIsEndedBySignals(t *testing.T) {
	for _, name := range []string{"HUP", "TERM", "INT"} {
		w := newWorld(t, "a=user")
		p := newPane(t, w, "sh -c 'echo $$ >"+w.dir+"/pid; exec "+binary+" --sync review -- sh -c \"echo agent >a\"'; echo ended with $?; cat")
		p.shows("1 changes · 0 approved")
		p.press("A")
		p.shows("1 approved")
		w.tool(nil, "sh", "-c", "kill -"+name+" $(cat "+w.dir+"/pid)")
		p.shows("ended with 0")
		p.shows("alca-mount apply")
		w.holds("a", "user\n")
	}
}

func (w *world) holds(name, want string) {
	w.t.Helper()
	if got, err := os.ReadFile(filepath.Join(w.project, name)); err != nil || string(got) != want {
		w.t.Errorf("%s: %q, %v; want %q", name, got, err, want)
	}
}
