//go:build linux

package launcher

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/alca-mount/alca-mount/mirror"
)

// A launch on a kept mirror that never comes to its command leaves the session's record as it was: recover goes by it.
func TestFailedLaunchOnAKeptMirrorLeavesItsRecord(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	state := mirror.NewStateDir(filepath.Join(t.TempDir(), "state"))
	opts := Options{
		Project: t.TempDir(), State: state, Name: "n", Keep: true, Sync: SyncReview, Command: []string{"true"},
		Stdin: null, Stdout: null, Stderr: null,
	}
	if res, err := Launch(t.Context(), opts); err != nil {
		t.Fatal(res, err)
	}
	before := recordOf(t, state)
	opts.Sync, opts.Command = SyncExit, []string{"sh"}
	l, err := prepare(opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.build(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.abandon(); err != nil {
		t.Fatal(err)
	}
	after := recordOf(t, state)
	after.Boot = before.Boot // what was carried was written
	if !reflect.DeepEqual(before, after) {
		t.Errorf("%+v\nwas %+v", after, before)
	}
}

func recordOf(t *testing.T, state *mirror.StateDir) mirror.Record {
	t.Helper()
	all, err := state.List("")
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	return all[0].Record
}
