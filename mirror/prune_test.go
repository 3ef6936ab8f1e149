package mirror

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/safety"
)

func endSession(t *testing.T, state *StateDir, project string, ago time.Duration, bytes int, change func(*Session)) *Session {
	t.Helper()
	s, err := state.New(project, Record{})
	if err != nil {
		t.Fatal(err)
	}
	s.State, s.Ended, s.Mirror = SessionEnded, time.Now().Add(-ago), filepath.Join(s.Dir(), "mirror")
	if change != nil {
		change(s)
	}
	if err := os.WriteFile(filepath.Join(s.Dir(), "kept"), make([]byte, bytes), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	if err := s.Unlock(); err != nil {
		t.Fatal(err)
	}
	return s
}

func pruned(t *testing.T, state *StateDir, opts PruneOptions) []string {
	t.Helper()
	gone, err := state.Prune(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range gone {
		out = append(out, p.Session)
	}
	return out
}

func TestPruneTakesTheOldAndThenTheOldestOfTooMuch(t *testing.T) {
	project := filepath.Join(t.TempDir(), "p")
	state := NewStateDir(filepath.Join(t.TempDir(), "state"))
	day := 24 * time.Hour
	young := endSession(t, state, project, day, 50_000, nil)
	middle := endSession(t, state, project, 5*day, 50_000, nil)
	old := endSession(t, state, project, 15*day, 50_000, nil)
	for _, dry := range []bool{true, false} {
		if got := pruned(t, state, PruneOptions{After: 14 * day, Size: 1 << 30, DryRun: dry}); !slices.Equal(got, []string{old.ID}) {
			t.Errorf("dry %v: by age %q", dry, got)
		}
	}
	if got := pruned(t, state, PruneOptions{After: 14 * day, Size: 60_000}); !slices.Equal(got, []string{middle.ID}) {
		t.Errorf("by size %q", got)
	}
	if _, err := os.Lstat(young.Dir()); err != nil {
		t.Errorf("the youngest is gone: %v", err)
	}
	if _, err := os.Lstat(old.Dir()); err == nil {
		t.Error("the old one is still there")
	}
}

// A file with holes takes what is in it: else one of them would drive out all that other sessions keep.
func TestPruneCountsWhatTheDiskHolds(t *testing.T) {
	project := filepath.Join(t.TempDir(), "p")
	state := NewStateDir(filepath.Join(t.TempDir(), "state"))
	s := endSession(t, state, project, time.Hour, 1, nil)
	if err := os.Truncate(filepath.Join(s.Dir(), "kept"), 3<<30); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(filepath.Join(s.Dir(), "kept"))
	if err != nil || onDisk(info) > 1<<20 {
		t.Skipf("no holes here: %v", err)
	}
	if got := pruned(t, state, PruneOptions{After: time.Hour * 24, Size: PruneSize}); len(got) > 0 {
		t.Errorf("pruned %q", got)
	}
}

// Killed before its record had its name: nothing was in it, and nobody can do anything about it.
func TestSessionWithoutARecordYetIsNotDamaged(t *testing.T) {
	project := filepath.Join(t.TempDir(), "p")
	state := NewStateDir(filepath.Join(t.TempDir(), "state"))
	s := endSession(t, state, project, time.Hour, 1, nil)
	if err := os.Remove(filepath.Join(s.Dir(), "kept")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.recordPath(), filepath.Join(s.Dir(), safety.TempPrefix+"X")); err != nil {
		t.Fatal(err)
	}
	if all, err := state.List(""); err != nil || len(all) > 0 {
		t.Errorf("listed: %+v, %v", all, err)
	}
}

func TestPruneSparesWhatIsNotOnlyKept(t *testing.T) {
	project := filepath.Join(t.TempDir(), "p")
	state := NewStateDir(filepath.Join(t.TempDir(), "state"))
	endSession(t, state, project, time.Hour, 1, func(s *Session) { s.State = SessionReady }) // crashed
	endSession(t, state, project, time.Hour, 1, func(s *Session) {                           // kept, perhaps with work in it
		if err := os.Mkdir(s.Mirror, 0o700); err != nil {
			t.Fatal(err)
		}
	})
	spared := endSession(t, state, project, time.Hour, 1, nil)
	running := endSession(t, state, project, time.Hour, 1, nil)
	if err := running.Lock(); err != nil {
		t.Fatal(err)
	}
	defer running.Unlock()
	opts := PruneOptions{Spare: func(s *Session) (string, error) {
		if s.ID == spared.ID {
			return "held", nil
		}
		return "", nil
	}}
	if got := pruned(t, state, opts); len(got) > 0 {
		t.Errorf("pruned %q", got)
	}
	if got := pruned(t, state, PruneOptions{Project: filepath.Join(t.TempDir(), "other")}); len(got) > 0 {
		t.Errorf("another project's: %q", got)
	}
}

// It was listed as ended, and by the time it is locked somebody has taken it up.
func TestPruneLooksAgainWithTheSessionLocked(t *testing.T) {
	project := filepath.Join(t.TempDir(), "p")
	state := NewStateDir(filepath.Join(t.TempDir(), "state"))
	s := endSession(t, state, project, time.Hour, 1, nil)
	asked := 0
	opts := PruneOptions{Spare: func(*Session) (string, error) {
		if asked++; asked == 1 {
			again := &Session{Record: s.Record, dir: s.dir}
			again.State = SessionReady
			if err := again.Save(); err != nil {
				t.Fatal(err)
			}
		}
		return "", nil
	}}
	if got := pruned(t, state, opts); len(got) > 0 {
		t.Errorf("pruned %q", got)
	}
}

// A removal that is cut short must not leave a session that looks as if nobody was told of its end: that one stays for ever.
func TestPruneThatIsCutShortCanBeFinished(t *testing.T) {
	dir := t.TempDir()
	state := NewStateDir(filepath.Join(dir, "state"))
	blocked := filepath.Join(dir, ".alca-mount-store")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := endSession(t, state, filepath.Join(dir, "p"), time.Hour, 1, func(s *Session) {
		s.Untold, s.Stores[0] = true, filepath.Join(blocked, s.ID)
	})
	opts := PruneOptions{Spare: func(s *Session) (string, error) {
		if _, err := os.Lstat(filepath.Join(s.Dir(), "kept")); s.Untold && err != nil {
			return "not told", nil
		}
		return "", nil
	}}
	if _, err := state.Prune(t.Context(), opts); err == nil {
		t.Fatal("a store that is a file was removed")
	}
	if err := os.Remove(filepath.Join(s.Dir(), "kept")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	if got := pruned(t, state, opts); !slices.Equal(got, []string{s.ID}) {
		t.Errorf("pruned %q", got)
	}
}

func TestPruneSaysWhatItCouldNotTake(t *testing.T) {
	project := filepath.Join(t.TempDir(), "p")
	state := NewStateDir(filepath.Join(t.TempDir(), "state"))
	s := endSession(t, state, project, time.Hour, 1, nil)
	if err := os.Mkdir(filepath.Join(s.Dir(), lockName), 0o700); err != nil { // nothing that can be locked
		t.Fatal(err)
	}
	blind := endSession(t, state, project, time.Hour, 1, nil)
	gone, err := state.Prune(t.Context(), PruneOptions{After: time.Minute, Size: 1 << 30, Spare: func(s *Session) (string, error) {
		if s.ID == blind.ID {
			return "", errors.New("not to be seen")
		}
		return "", nil
	}})
	if err == nil || !strings.Contains(err.Error(), s.ID) || !strings.Contains(err.Error(), blind.ID) || len(gone) > 0 {
		t.Errorf("%v gone, error %v", gone, err)
	}
}
