//go:build linux

package namespace

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// event is what inotify tells, with the name padded as the kernel pads it.
func event(watch int32, mask uint32, name string) []byte {
	padded := append([]byte(name), make([]byte, 16-len(name)%16)...)
	e := make([]byte, unix.SizeofInotifyEvent, unix.SizeofInotifyEvent+len(padded))
	binary.NativeEndian.PutUint32(e, uint32(watch))
	binary.NativeEndian.PutUint32(e[4:], mask)
	binary.NativeEndian.PutUint32(e[12:], uint32(len(padded)))
	return append(e, padded...)
}

// What is on the way to a spot concerns the guard, in whatever place of a packet; the rest of a busy directory does not.
func TestGuardIsConcernedByWhatLeadsToASpot(t *testing.T) {
	g := &guard{dirs: map[int]string{1: "/tmp", 2: "/home"}, wanted: []string{"/home/you/project", "/tmp/tmux-*", "/tmp/a.sock"}}
	other := event(1, unix.IN_CREATE, "go-build123")
	for _, c := range []struct {
		name   string
		events []byte
		want   bool
	}{
		{"another name", other, false},
		{"the name in another directory", event(2, unix.IN_CREATE, "a.sock"), false},
		{"a longer name", event(2, unix.IN_CREATE, "you2"), false},
		{"the spot", event(1, unix.IN_MOVED_TO, "a.sock"), true},
		{"a pattern's", event(1, unix.IN_CREATE, "tmux-1000"), true},
		{"above the spot", event(2, unix.IN_MOVED_TO, "you"), true},
		{"after others", append(append([]byte{}, other...), event(1, unix.IN_CREATE, "a.sock")...), true},
		{"more than the kernel could tell", event(-1, unix.IN_Q_OVERFLOW, ""), true},
	} {
		if got := g.concerns(c.events); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
