package launcher

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestDriftNamesWhatChangedAndNoSecret(t *testing.T) {
	then := map[string]string{"image": "a", "user": "dev", "env": Digest + "1", "same": "x"}
	now := map[string]string{"image": "b", "env": Digest + "2", "memory": "5", "same": "x"}
	want := []string{"env: changed", "image: a, now b", "memory: none, now 5", "user: dev, now none"}
	if got := Drift(then, now); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := Drift(then, then); got != nil {
		t.Errorf("nothing changed: %q", got)
	}
}

func TestOnlyALiveContainerStays(t *testing.T) {
	stay, of := &Stay{}, &Container{Image: "x"}
	for _, c := range []struct {
		name string
		opts Options
		ok   bool
	}{
		{"a container", Options{Isolation: IsolationContainer, Container: of, Sync: SyncLive}, true},
		{"no container", Options{Isolation: IsolationNone, Sync: SyncLive}, false},
		{"synced at its end", Options{Isolation: IsolationContainer, Container: of, Sync: SyncExit}, false},
	} {
		if err := stay.check(c.opts); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// What a container that stays says is passed on to its end. Where its word can't be kept, that is an error.
func TestListenTellsWhatBecameOfItsWord(t *testing.T) {
	broken := errors.New("disk full")
	for _, want := range []error{nil, broken} {
		var out strings.Builder
		ups := 0
		err := listen(strings.NewReader("a\nup\r\nb\nrest"), &out, "up", func() error { ups++; return want })
		if !errors.Is(err, want) || ups != 1 || out.String() != "a\nb\nrest" {
			t.Errorf("%v, %d times up, %q", err, ups, out.String())
		}
	}
}
