// Package journal remembers what is about to be done and what was done, and survives a crash at any byte.
//
// A file is a sequence of records: length and CRC-32C of the payload, each four bytes little endian, then the payload
// as JSON. A record is whole or it is not there: a damaged or truncated tail is cut when the file is opened for writing.
package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"

	"github.com/alca-mount/alca-mount/safety"
)

const (
	headerSize = 8
	maxRecord  = 1 << 20 // a longer length is damage, not a record
)

// Journal is open for appending.
type Journal struct {
	file *file
	at   int64        // where the next record goes: the end of what is whole
	buf  bytes.Buffer // records appended since the last Flush

	synced int64 // where it ended when it was synced last; what was found there may not be
}

// Open opens or makes the journal at path, cuts a damaged tail, and hands each whole record to replay, in order.
func Open[R any](path string, replay func(R) error) (*Journal, error) {
	return OpenWith(path, nil, replay)
}

// OpenWith is Open with a function that sees, and may fail, every call that is made on the file; nil is none.
func OpenWith[R any](path string, before safety.Before, replay func(R) error) (*Journal, error) {
	f, err := openRegular(path, os.O_RDWR|os.O_CREATE, before)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	good, err := read(f, replay)
	if err == nil {
		err = f.cut(good)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open journal %s: %w", path, err)
	}
	return &Journal{file: f, at: good, synced: -good}, nil
}

// Read hands each whole record of the journal at path to replay; one that is not there has none.
func Read[R any](path string, replay func(R) error) error {
	f, err := openRegular(path, os.O_RDONLY, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	defer f.Close()
	if _, err := read(f, replay); err != nil {
		return fmt.Errorf("read journal %s: %w", path, err)
	}
	return nil
}

// read returns the length of the whole records at the start of f.
func read[R any](f *file, replay func(R) error) (int64, error) {
	data, err := f.readAll()
	if err != nil {
		return 0, err
	}
	good := int64(0)
	for {
		payload, ok := next(data[good:])
		if !ok {
			return good, nil
		}
		var r R
		if err := json.Unmarshal(payload, &r); err != nil {
			return 0, fmt.Errorf("record at byte %d: %w", good, err)
		}
		if err := replay(r); err != nil {
			return 0, err
		}
		good += headerSize + int64(len(payload))
	}
}

// next returns the first record's payload, if data begins with a whole one.
func next(data []byte) (payload []byte, ok bool) {
	if len(data) < headerSize {
		return nil, false
	}
	n := binary.LittleEndian.Uint32(data)
	if n == 0 || n > maxRecord || int(n) > len(data)-headerSize {
		return nil, false
	}
	payload = data[headerSize : headerSize+n]
	return payload, checksum(payload) == binary.LittleEndian.Uint32(data[4:])
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// Append adds a record to what the next Flush writes.
func (j *Journal) Append(record any) error {
	payload, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encode journal record: %w", err)
	}
	if len(payload) > maxRecord {
		return fmt.Errorf("encode journal record: %d bytes, at most %d", len(payload), maxRecord)
	}
	var header [headerSize]byte
	binary.LittleEndian.PutUint32(header[:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(header[4:], checksum(payload))
	j.buf.Write(header[:])
	j.buf.Write(payload)
	return nil
}

// Flush writes what was appended; with sync it is durable when Flush returns.
// After an error the records are still pending: the next Flush writes them after what is whole on disk.
func (j *Journal) Flush(sync bool) error {
	if j.buf.Len() > 0 {
		if err := j.write(); err != nil {
			return fmt.Errorf("write journal: %w", err)
		}
	}
	if !sync {
		return nil
	}
	if j.synced == j.at {
		return nil
	}
	if err := j.file.sync(); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	j.synced = j.at
	return nil
}

// write puts the pending records at the end, or leaves the file as it was: half a record would hide all after it.
func (j *Journal) write() error {
	if err := j.file.writeAt(j.buf.Bytes(), j.at); err != nil {
		return errors.Join(err, j.file.cut(j.at))
	}
	j.at += int64(j.buf.Len())
	j.buf.Reset()
	return nil
}

// Close flushes and closes.
func (j *Journal) Close() error {
	return errors.Join(j.Flush(true), j.file.Close())
}

// CloseSoon is Close without waiting for the disk.
func (j *Journal) CloseSoon() error {
	return errors.Join(j.Flush(false), j.file.Close())
}
