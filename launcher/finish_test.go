//go:build linux

package launcher_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/mirror"
)

// A live session carried a deletion and died; its end finds nothing more to do. What it deleted is still kept.
func TestFinishKeepsWhatASessionKept(t *testing.T) {
	b := newBench(t, "gone = precious", "other = o")
	s, err := b.opts.State.New(b.project, mirror.Record{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := mirror.Create(t.Context(), b.project, "", mirror.Options{Session: s})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(m.Root.Path(), "gone")); err != nil {
		t.Fatal(err)
	}
	c, err := autosync.Once(t.Context(), m, autosync.Options{Deletes: true})
	if err != nil || len(c.Deleted) != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	if _, err := launcher.Finish(t.Context(), m, launcher.Options{State: b.opts.State}); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(c.Deleted[0].Kept); err != nil || string(data) != "precious" {
		t.Errorf("what was deleted: %q, %v", data, err)
	}
}

// A live session brought a new file and died while its mirror was being removed. There is nothing kept, but it can be undone.
func TestFinishRemovalKeepsWhatUndoNeeds(t *testing.T) {
	b := newBench(t, "other = o")
	s, err := b.opts.State.New(b.project, mirror.Record{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := mirror.Create(t.Context(), b.project, "", mirror.Options{Session: s})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.Root.Path(), "new"), []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := autosync.Once(t.Context(), m, autosync.Options{Deletes: true}); err != nil || len(c.ToProject) != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	if err := errors.Join(m.Close(), s.BeginRemoval(), launcher.FinishRemoval(t.Context(), b.opts.State, s)); err != nil {
		t.Fatal(err)
	}
	if found, err := b.opts.State.Find(s.ID, ""); err != nil || found.State != mirror.SessionEnded {
		t.Errorf("%+v, %v", found, err)
	}
}
