package namespace

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// message is a packet between the launcher and the init. What may be large travels as a file.
type message struct {
	Op     string // to the init: terminal, start, signal, show, end; from it: built, terminal, started, shown, stopped, ended, done
	Signal int    `json:",omitempty"`
	Status uint32 `json:",omitempty"`
	Path   string `json:",omitempty"`
	Name   string `json:",omitempty"`
	Left   int    `json:",omitempty"`
	Linger int64  `json:",omitempty"` // nanoseconds
	Kind   string `json:",omitempty"` // of an error: notfound, notexecutable
	Err    string `json:",omitempty"`
	Facts  *Facts `json:",omitempty"`
}

// link is one end of the packet socket between both.
type link struct{ fd int }

// maxPacket is more than any message takes: paths are the longest in it.
const maxPacket = 64 << 10

func (l link) send(m message, files ...*os.File) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	for {
		err := unix.Sendmsg(l.fd, data, rights, nil, unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return err
		}
	}
}

// maxFiles is how many may come with a message: the kernel's limit.
const maxFiles = 253

// receive returns io.EOF when the other end is gone.
func (l link) receive() (message, []*os.File, error) {
	data, rights := make([]byte, maxPacket), make([]byte, unix.CmsgSpace(maxFiles*4))
	var n, rn int
	for {
		var err error
		n, rn, _, _, err = unix.Recvmsg(l.fd, data, rights, unix.MSG_CMSG_CLOEXEC)
		if err == nil {
			break
		}
		if errors.Is(err, unix.ECONNRESET) {
			return message{}, nil, io.EOF
		}
		if err != unix.EINTR {
			return message{}, nil, err
		}
	}
	files, err := filesOf(rights[:rn])
	if err != nil {
		return message{}, nil, err
	}
	if n == 0 {
		return message{}, nil, io.EOF
	}
	var m message
	if err := json.Unmarshal(data[:n], &m); err != nil {
		closeAll(files)
		return m, nil, fmt.Errorf("read message: %w", err)
	}
	return m, files, nil
}

func filesOf(rights []byte) ([]*os.File, error) {
	if len(rights) == 0 {
		return nil, nil
	}
	parts, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for _, part := range parts {
		fds, err := unix.ParseUnixRights(&part)
		if err != nil {
			return files, err
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// packed writes a value to a file without a name, for the other end to read.
func packed(v any) (*os.File, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("alca-mount", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a memory file: %w", err)
	}
	f := os.NewFile(uintptr(fd), "packed")
	if _, err := f.Write(data); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func unpack(f *os.File, v any) error {
	data, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}
