package mirror

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/mirror/mirrortest"
)

// While a mirror is built, the record is updated by others as well: what the building notes there waits for them.
func TestBuildingNotesOrphansBetweenUpdates(t *testing.T) {
	w := newWorld(t, "f = x")
	s := w.session()
	mirrortest.Make(t, filepath.Join(s.projectDir(), OrphansFolder, "s1"), "secret1 = kept", "secret2 = kept")
	there := func(name string) bool {
		_, err := os.Lstat(filepath.Join(w.mirror, name))
		return err == nil
	}
	begun, done := make(chan struct{}), make(chan error, 1)
	update := func(r *Record) {
		close(begun)
		for end := time.Now().Add(20 * time.Second); !there("secret1") && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		// The first is noted before the second comes. That this takes too long is no failure, and misses none that the
		// race detector sees.
		for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if there("secret2") {
				t.Error("the record was changed in the middle of an update")
				break
			}
		}
		r.Engine = "engine"
	}
	m := w.create(Options{Policy: policyOf(t, rules("secret*", "")), Session: s, Standing: func(*Mirror) Meeting {
		go func() { done <- s.Update(update) }()
		<-begun
		return Meeting{}
	}})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(s.Orphans) != 2 || s.Engine != "engine" {
		t.Errorf("%+v; skipped %+v", s.Record, m.Built.Skipped)
	}
}
