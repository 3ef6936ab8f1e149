package mirror

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/alca-mount/alca-mount/safety"
)

// An unsettled session is one that the disk need not know of yet. To sync a record after a whole tree was copied makes
// the disk take the names of all of it, which can last as long as the copying; CMD would wait for that, and so would the
// end of a short one. So what is noted while it is built, and the record and the base of a finished build, are written for all
// processes to see, which a kill survives, beside the record of a build under way, which is synced while the mirror is filled.
// [Session.Settle] makes them durable: before the first change of anything that outlasts the mirror, or a few moments later.
//
// A power cut before that leaves a session whose mirror was never complete, which loses nothing that was to last: no
// change of this session had reached the project, and what was written to the mirror in its first moments was on no
// disk either.
type unsettled struct {
	mu     sync.Mutex
	begun  bool // session.json is written, and not synced yet: see Mirror.syncBegun
	is     bool
	record []byte // as it was saved last
}

// unsettledName is the record of an unsettled session, which counts in the place of a session.json that says "building".
// Its name has that of session.json in it: see holdsNothing.
const unsettledName = recordName + ".unsettled"

func (s *Session) unsettledPath() string { return filepath.Join(s.dir, unsettledName) }

// Unsettled reports whether the disk need not know of the session's mirror yet.
func (s *Session) Unsettled() bool {
	s.unsettled.mu.Lock()
	defer s.unsettled.mu.Unlock()
	return s.unsettled.is
}

// Settle makes durable that the session's mirror is whole. It may be called at any time, beside other calls too. After an
// error it is as unsettled as before.
func (s *Session) Settle() error {
	s.unsettled.mu.Lock()
	defer s.unsettled.mu.Unlock()
	if !s.unsettled.is {
		return nil
	}
	return s.settle(func() error { return safety.WriteFileDurably(s.recordPath(), s.unsettled.record, 0o600) }) // what is in reserve is for the end
}

// settle writes the record last: it says that there is a base.
func (s *Session) settle(write func() error) error {
	if err := syncFile(baseFile(s)); err != nil {
		return fmt.Errorf("settle session %s: %w", s.ID, err)
	}
	if err := write(); err != nil {
		return fmt.Errorf("settle session %s: %w", s.ID, err)
	}
	s.unsettled.is, s.unsettled.record = false, nil
	_ = os.Remove(s.unsettledPath()) // beside a session.json that says more than "building" it counts for nothing
	return nil
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// saveUnsettled saves the unsettled session, whose mirror is whole.
func (m *Mirror) saveUnsettled() error {
	if err := m.Base.writeSoon(baseFile(m.Session)); err != nil {
		return err
	}
	return m.saveRecord(SessionReady)
}

// begin makes session.json itself known to all processes and not yet to the disk.
func (s *Session) begin() {
	s.unsettled.mu.Lock()
	defer s.unsettled.mu.Unlock()
	s.unsettled.begun = true
}

// syncBegun makes durable, beside the building of an unsettled mirror, what says that one is built: after a power cut the session
// is known then, and the mirror by its marker. The build ends no sooner.
func (m *Mirror) syncBegun() (done <-chan error) {
	synced := make(chan error, 1)
	if !m.maySettleLater() {
		synced <- nil
		return synced
	}
	go func() {
		synced <- errors.Join(syncFile(m.Session.recordPath()), syncFile(m.Session.dir), safety.SyncMarker(m.Root))
	}()
	return synced
}

// unsettle makes the records from now on known to all processes and not yet to the disk.
func (s *Session) unsettle() {
	s.unsettled.mu.Lock()
	defer s.unsettled.mu.Unlock()
	s.unsettled.begun, s.unsettled.is = false, true
}

func (b *Base) writeSoon(file string) error {
	if err := safety.WriteSoon(file, 0o600, b.write); err != nil {
		return fmt.Errorf("write the base: %w", err)
	}
	return nil
}

// write writes a record: durably, unless the session is unsettled, and goes on or goes without a trace.
func (s *Session) write(data []byte) error {
	s.unsettled.mu.Lock()
	defer s.unsettled.mu.Unlock()
	ended := s.State == SessionEnded
	if s.unsettled.begun && !ended {
		return s.withReserve(func() error { return safety.WriteFileSoon(s.recordPath(), data, 0o600) })
	}
	if !s.unsettled.is {
		return s.writeDurably(data, ended)
	}
	s.unsettled.record = data
	if ended {
		return s.settle(func() error { return s.writeDurably(data, ended) })
	}
	return s.withReserve(func() error { return safety.WriteFileSoon(s.unsettledPath(), data, 0o600) })
}

// readUnsettled reads the record of a session that died unsettled; found says whether there is one that can be used. After a
// power cut it may be torn, or there and the base not: then the mirror was never complete, as session.json says.
func readUnsettled(dir string) (r Record, found bool) {
	r, err := readRecordFile(filepath.Join(dir, unsettledName), dir)
	if err != nil {
		return Record{}, false
	}
	s := &Session{Record: r, dir: dir}
	if !s.Interrupted() {
		return r, true
	}
	_, err = ReadBase(baseFile(s))
	return r, err == nil
}
