package mirror

import (
	"bytes"
	"os"
	"path/filepath"

	"github.com/alca-mount/alca-mount/safety"
)

// reserveName is a file of a running session's that holds nothing but room: on a disk that is full at the end, the
// record of that end takes it. Without it the session would look as if its process had died.
const (
	reserveName = "reserve"
	reserveSize = 64 << 10
)

func (s *Session) reservePath() string { return filepath.Join(s.dir, reserveName) }

// reserve takes the room. A session without it is as good until a disk is full.
func (s *Session) reserve() {
	if os.WriteFile(s.reservePath(), bytes.Repeat([]byte{'.'}, reserveSize), 0o600) != nil {
		_ = os.Remove(s.reservePath())
	}
}

// writeDurably writes session.json. An ended session needs no room in reserve.
func (s *Session) writeDurably(data []byte, ended bool) error {
	err := s.withReserve(func() error { return safety.WriteFileDurably(s.recordPath(), data, 0o600) })
	if err == nil && ended {
		_ = os.Remove(s.reservePath())
	}
	return err
}

// withReserve writes with the room that was reserved where there is no other.
func (s *Session) withReserve(write func() error) error {
	err := write()
	if safety.IsNoRoom(err) && os.Remove(s.reservePath()) == nil {
		err = write()
	}
	return err
}
