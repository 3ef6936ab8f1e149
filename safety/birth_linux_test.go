package safety

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// The two calls describe one file alike: their stamps are compared with each other.
func TestStatxSaysWhatFstatSays(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	must(t, os.WriteFile(name, []byte("content"), 0o4751))
	f, err := os.Open(name)
	must(t, err)
	defer f.Close()
	y := &sys{}
	want, err := y.fstat(OpFileStat, int(f.Fd()), name)
	must(t, err)
	got, _, err := y.statBirth(OpStageStat, int(f.Fd()), name)
	must(t, err)
	if got != want {
		t.Errorf("statx: %+v, fstat: %+v", got, want)
	}
	var st unix.Stat_t
	must(t, unix.Fstat(int(f.Fd()), &st))
	if got := infoOfX(basicOf(&st)); got != want {
		t.Errorf("without statx: %+v, fstat: %+v", got, want)
	}
}
