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

// writeRecord writes session.json, with the room that was reserved where there is no other. An ended session needs none.
func (s *Session) writeRecord(data []byte) error {
	err := safety.WriteFileDurably(s.recordPath(), data, 0o600)
	if safety.IsNoRoom(err) && os.Remove(s.reservePath()) == nil {
		err = safety.WriteFileDurably(s.recordPath(), data, 0o600)
	}
	if err == nil && s.State == SessionEnded {
		_ = os.Remove(s.reservePath())
	}
	return err
}
