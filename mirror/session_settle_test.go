package mirror

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

func (w *world) unsettled() *Mirror {
	w.t.Helper()
	if _, err := safety.ThisBoot(); err != nil {
		w.t.Skipf("boots are not told apart: %v", err)
	}
	return w.create(Options{Policy: policyOf(w.t, dotfiles.Rules{}), Unsettled: true})
}

// durable is the state that session.json gives, which is what a power cut leaves.
func (w *world) durable(s *Session) string {
	w.t.Helper()
	r, err := readRecordFile(s.recordPath(), s.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	return r.State
}

func (w *world) found(s *Session) *Session {
	w.t.Helper()
	found, err := w.state.Find(s.ID, "")
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

func TestUnsettledSessionIsWholeForOtherProcesses(t *testing.T) {
	w := newWorld(t, "a = 1")
	m := w.unsettled()
	s := m.Session
	s.Command = []string{"later"}
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	if state := w.durable(s); state != SessionBuilding || !s.Unsettled() {
		t.Errorf("durable: %s, unsettled: %v", state, s.Unsettled())
	}
	if found := w.found(s); found.State != SessionReady || len(found.Command) != 1 {
		t.Errorf("found: %+v", found.Record)
	}
	if _, err := ReadBase(baseFile(s)); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := s.Settle(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Lstat(s.unsettledPath()); err == nil || s.Unsettled() || w.durable(s) != SessionReady {
		t.Errorf("after Settle: %v, unsettled: %v, durable: %s", err, s.Unsettled(), w.durable(s))
	}
}

// What is noted while the mirror is built costs no sync, survives a kill, and after a power cut is as little there as the mirror.
func TestNoteOfABuildUnderWayIsUnsettled(t *testing.T) {
	w := newWorld(t, "a = 1")
	noted := false
	w.create(Options{Policy: policyOf(t, dotfiles.Rules{}), Unsettled: true, Standing: func(m *Mirror) Meeting {
		s := m.Session
		if s.Boot == "" {
			t.Skip("boots are not told apart")
		}
		if err := s.Update(func(r *Record) { r.Engine = "an engine" }); err != nil {
			t.Error(err)
		}
		durable, err := readRecordFile(s.recordPath(), s.dir)
		if err != nil || durable.Engine != "" || durable.State != SessionBuilding || durable.Mirror == "" {
			t.Errorf("durable: %+v, %v", durable, err)
		}
		found := w.found(s)
		noted = found.Engine == "an engine" && found.State == SessionBuilding
		if err := s.Update(func(r *Record) { r.Boot = "another" }); err != nil {
			t.Error(err)
		}
		if found := w.found(s); found.Engine != "" || found.State != SessionBuilding || found.Damaged != nil {
			t.Errorf("after a power cut: %+v, %v", found.Record, found.Damaged)
		}
		return Meeting{}
	}})
	if !noted {
		t.Error("another process does not see it")
	}
}

func TestEndOfAnUnsettledSessionIsDurable(t *testing.T) {
	w := newWorld(t, "a = 1")
	s := w.unsettled().Session
	s.State = SessionEnded
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	if state := w.durable(s); state != SessionEnded || s.Unsettled() {
		t.Errorf("durable: %s, unsettled: %v", state, s.Unsettled())
	}
}

func TestRemovalOfAnUnsettledSessionLeavesNothing(t *testing.T) {
	w := newWorld(t, "a = 1")
	m := w.unsettled()
	if err := m.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found := w.found(m.Session); found.State != SessionRemoving { // a kill now must not look like an agent that deleted all
		t.Errorf("while the mirror is removed: %s", found.State)
	}
	if err := m.Session.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(m.Session.Dir()); err == nil {
		t.Error("the folder is there still")
	}
}

func TestUnsettledSessionAfterAPowerCut(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(s *Session) error
		want string
	}{
		{"all was written", func(s *Session) error { return nil }, SessionReady},
		{"no record", func(s *Session) error { return os.Remove(s.unsettledPath()) }, SessionBuilding},
		{"a record without its content", func(s *Session) error { return os.Truncate(s.unsettledPath(), 0) }, SessionBuilding},
		{"half a record", func(s *Session) error { return os.Truncate(s.unsettledPath(), 99) }, SessionBuilding},
		{"a base without its content", func(s *Session) error { return os.Truncate(baseFile(s), 0) }, SessionBuilding},
		{"no base", func(s *Session) error { return os.Remove(baseFile(s)) }, SessionBuilding},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "a = 1")
			s := w.unsettled().Session
			s.Boot = "another"
			if err := s.Save(); err != nil {
				t.Fatal(err)
			}
			if err := c.harm(s); err != nil {
				t.Fatal(err)
			}
			if found := w.found(s); found.State != c.want || found.Damaged != nil {
				t.Errorf("%s, %v; want %s", found.State, found.Damaged, c.want)
			}
		})
	}
}

// What is in session.json counts again as soon as it says more than that a mirror is built.
func TestStaleRecordOfAnUnsettledSessionDoesNotCount(t *testing.T) {
	w := newWorld(t, "a = 1")
	s := w.unsettled().Session
	stale, err := os.ReadFile(s.unsettledPath())
	if err != nil {
		t.Fatal(err)
	}
	s.State = SessionEnded
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.unsettledPath(), stale, 0o600); err != nil { // killed before it was removed
		t.Fatal(err)
	}
	if found := w.found(s); found.State != SessionEnded {
		t.Errorf("found: %s", found.State)
	}
}

// After a power cut a mirror is known by its marker, and what is to become of it by its session's record.
func TestBuildIsKnownToTheDisk(t *testing.T) {
	for what, file := range map[string]func(*Mirror) string{
		"marker": func(m *Mirror) string { return filepath.Join(m.Root.Path(), safety.MarkerName) },
		"record": func(m *Mirror) string { return m.Session.recordPath() },
	} {
		w := newWorld(t, "a = 1")
		_, err := w.try(Options{Policy: policyOf(t, dotfiles.Rules{}), Unsettled: true, Standing: func(m *Mirror) Meeting {
			if m.Session.Boot == "" {
				t.Skip("boots are not told apart")
			}
			if err := os.Remove(file(m)); err != nil { // what is not there can't be synced
				t.Error(err)
			}
			return Meeting{}
		}})
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, safety.ErrNoMarker) {
			t.Errorf("the %s is not synced: %v", what, err)
		}
	}
}
