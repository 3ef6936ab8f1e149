package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/alca-mount/alca-mount/mirror"
)

// A session of a program that uses the library has no changes.json: nobody writes one, and it must not stay for ever.
func TestWhatStaysUnpruned(t *testing.T) {
	for _, c := range []struct {
		untold, told, spared bool
	}{{false, false, false}, {true, false, true}, {true, true, false}} {
		state, project := mirror.NewStateDir(filepath.Join(t.TempDir(), "state")), t.TempDir()
		s, err := state.New(project, mirror.Record{Untold: c.untold})
		if err != nil {
			t.Fatal(err)
		}
		if c.told {
			if err := os.WriteFile(filepath.Join(s.Dir(), changesName), []byte("{}"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if why, err := whySpare(s); (why != "") != c.spared || err != nil {
			t.Errorf("%+v: spared because %q, %v", c, why, err)
		}
		if err := s.Unlock(); err != nil {
			t.Fatal(err)
		}
	}
}
