package autosync_test

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/safety"
)

// record is a shield that notes what it is asked for, and what the mirror held then.
type record struct {
	t       *testing.T
	mirror  string
	said    []string
	trouble error
	asked   func()
}

func (r *record) Show(p safety.RelPath, version *os.File) error {
	text, err := io.ReadAll(version)
	if err != nil {
		r.t.Error(err)
	}
	there, _ := os.ReadFile(filepath.Join(r.mirror, string(p)))
	r.said = append(r.said, "show "+string(p)+": "+string(text)+" over "+string(there))
	if r.asked != nil {
		r.asked()
	}
	return r.trouble
}

func (r *record) Protect(dir safety.RelPath) error {
	r.said = append(r.said, "protect "+string(dir))
	return r.trouble
}

func shielded(t *testing.T) (*pair, *record) {
	p := newPair(t, ".agentreadonly = lock\nro/\nnew\n", "lock = 1", "ro/", "ro/in = in", "free = 1")
	return p, &record{t: t, mirror: p.mirror}
}

func TestShieldedFileIsShownFirstAndStaysTheSameInode(t *testing.T) {
	p, shield := shielded(t)
	before, err := os.Lstat(filepath.Join(p.mirror, "lock"))
	p.must(err)
	p.write(p.project, "lock", "2")
	p.write(p.project, "free", "2")
	p.once(autosync.Options{Shield: shield})
	p.wantMirror("lock", "2")
	p.wantMirror("free", "2")
	after, err := os.Lstat(filepath.Join(p.mirror, "lock"))
	p.must(err)
	if !os.SameFile(before, after) {
		t.Error("the file was replaced: what is mounted on it is gone")
	}
	if after.Mode()&0o222 != 0 {
		t.Errorf("mode %v", after.Mode())
	}
	if want := []string{"show lock: 2 over 1"}; !slices.Equal(shield.said, want) {
		t.Errorf("shield was asked %q, want %q", shield.said, want)
	}
	p.once(autosync.Options{Shield: shield})
	p.wantNothingMore()
}

func TestWhatIsMadeReadOnlyIsShielded(t *testing.T) {
	p, shield := shielded(t)
	p.write(p.project, "new", "n")
	p.write(p.project, "ro/more", "m")
	p.must(os.Mkdir(filepath.Join(p.project, "d"), 0o755))
	p.must(os.Mkdir(filepath.Join(p.project, "d/ro"), 0o755))
	p.write(p.project, "d/ro/x", "x")
	p.once(autosync.Options{Shield: shield})
	p.wantMirror("new", "n")
	if want := []string{"protect d/ro", "show new: n over n"}; !slices.Equal(shield.said, want) {
		t.Errorf("shield was asked %q, want %q", shield.said, want)
	}
}

func TestShieldThatFailsIsToldAndTheFileReplaced(t *testing.T) {
	p, shield := shielded(t)
	shield.trouble = os.ErrPermission
	p.write(p.project, "lock", "2")
	p.once(autosync.Options{Shield: shield})
	var told []string
	for _, e := range p.events {
		if e.Type == autosync.Degraded {
			told = append(told, string(e.Path)+": "+e.Reason)
		}
	}
	p.wantMirror("lock", "2")
	if len(told) == 0 || told[0] != "lock: write-protected by mode bits only: permission denied" {
		t.Errorf("told %q", told)
	}
}

// Who reads the event may count on the protection.
func TestShieldStandsBeforeItIsTold(t *testing.T) {
	p, shield := shielded(t)
	p.write(p.project, "new", "n")
	var order []string
	shield.asked = func() { order = append(order, "shown") }
	_, err := autosync.Once(t.Context(), p.m, autosync.Options{Shield: shield, Events: func(e autosync.Event) {
		if e.Path == "new" {
			order = append(order, "told")
		}
	}})
	p.must(err)
	if want := []string{"shown", "told"}; !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
}
