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
	"io"
	"io/fs"
	"os"
)

const (
	headerSize = 8
	maxRecord  = 1 << 20 // a longer length is damage, not a record
)

// Journal is open for appending.
type Journal struct {
	file *os.File
	buf  bytes.Buffer // records appended since the last Flush
}

// Open opens or makes the journal at path, cuts a damaged tail, and hands each whole record to replay, in order.
func Open[R any](path string, replay func(R) error) (*Journal, error) {
	f, err := openRegular(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	good, err := read(f, replay)
	if err == nil {
		err = f.Truncate(good)
	}
	if err == nil {
		_, err = f.Seek(good, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open journal %s: %w", path, err)
	}
	return &Journal{file: f}, nil
}

// Read hands each whole record of the journal at path to replay; one that is not there has none.
func Read[R any](path string, replay func(R) error) error {
	f, err := openRegular(path, os.O_RDONLY)
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

// openRegular opens a regular file and nothing else: what lies beside a mirror can be reached by the agent, and a FIFO
// would be waited for, a link written through.
func openRegular(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags|notOthers, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// read returns the length of the whole records at the start of f.
func read[R any](f *os.File, replay func(R) error) (int64, error) {
	data, err := io.ReadAll(f)
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
	if err := datasync(j.file); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// write puts the pending records at the end, or leaves the file as it was: half a record would hide all after it.
func (j *Journal) write() error {
	at, err := j.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err := j.file.WriteAt(j.buf.Bytes(), at); err != nil {
		return errors.Join(err, j.file.Truncate(at))
	}
	_, err = j.file.Seek(int64(j.buf.Len()), io.SeekCurrent)
	j.buf.Reset()
	return err
}

// Close flushes and closes.
func (j *Journal) Close() error {
	return errors.Join(j.Flush(true), j.file.Close())
}
