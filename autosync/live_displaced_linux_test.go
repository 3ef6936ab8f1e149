package autosync_test

import (
	"os"
	"path/filepath"
	"testing"
)

// A logger keeps its descriptor while the other side's version replaces its file: what it writes later is kept.
func TestLiveLoggersLaterLinesAreKept(t *testing.T) {
	t.Parallel()
	for _, side := range []string{"project", "mirror"} {
		t.Run(side, func(t *testing.T) {
			t.Parallel()
			l := newLive(t, "log = start\n")
			from, to := l.mirror, l.project
			if side == "mirror" {
				from, to = to, from
			}
			l.write(from, "log", "first\n") // so that what is replaced later is what was placed
			l.eventually("placed")
			f, err := os.OpenFile(filepath.Join(to, "log"), os.O_WRONLY|os.O_APPEND, 0)
			l.must(err)
			saveOver(t, filepath.Join(from, "log"), "second\n")
			l.eventually("replaced")
			_, err = f.WriteString("<late-1>\n")
			l.must(err)
			l.must(f.Close())
			c := l.end()
			if !tokensIn(l.project, l.mirror, l.m.Session.Dir())["<late-1>"] {
				t.Error("the line is lost")
			}
			if !hasNote(append(c.Conflicts, c.Refused...), "log") {
				t.Error("it is not reported")
			}
		})
	}
}
