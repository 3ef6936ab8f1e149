package docker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
)

// The key sequences that would detach us can't be none: engines take their default, Ctrl-P Ctrl-Q, for it, and hold back
// every Ctrl-P. So they begin with what nobody types.
const (
	attachKeys = "\xff,\xfe,\xff,\xfe" // in no UTF-8
	// execKeys go through JSON, which has no such bytes. The program gets a first Ctrl-^ with the key after it.
	execKeys = "ctrl-^,ctrl-^,ctrl-^,ctrl-^,ctrl-^,ctrl-^"
)

// Stream is a container's, or an exec's, streams.
type Stream struct {
	conn   net.Conn
	reader *bufio.Reader
	half   interface{ CloseWrite() error }
	tty    bool
}

func newStream(h types.HijackedResponse, tty bool) *Stream {
	s := &Stream{conn: h.Conn, reader: h.Reader, tty: tty}
	if half, ok := h.Conn.(interface{ CloseWrite() error }); ok {
		s.half = half
	}
	return s
}

// Attach connects to a container's streams; call it before Start, and nothing is missed.
func (e *Engine) Attach(ctx context.Context, id string, tty, stdin bool) (*Stream, error) {
	h, err := e.api.ContainerAttach(ctx, id, container.AttachOptions{
		Stream: true, Stdin: stdin, Stdout: true, Stderr: true, DetachKeys: attachKeys,
	})
	if err != nil {
		return nil, fmt.Errorf("attach to the container: %w", e.whyNot(ctx, "/containers/"+id+"/attach?stream=1&stdout=1", err))
	}
	return newStream(h, tty), nil
}

// whyNot asks a second time, in plain HTTP, for what the client library drops: the engine's reason for a refused upgrade.
func (e *Engine) whyNot(ctx context.Context, path string, first error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://engine"+path, nil)
	if err != nil {
		return first
	}
	answer, err := e.api.HTTPClient().Do(req)
	if err != nil {
		return first
	}
	defer answer.Body.Close()
	var said struct{ Message string }
	if answer.StatusCode < 400 || json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&said) != nil || said.Message == "" {
		return first
	}
	return errors.New(said.Message)
}

// Write sends to stdin.
func (s *Stream) Write(p []byte) (int, error) { return s.conn.Write(p) }

// CloseStdin ends stdin; output goes on.
func (s *Stream) CloseStdin() error {
	if s.half == nil {
		return nil
	}
	return s.half.CloseWrite()
}

// CopyOut carries output until its end.
func (s *Stream) CopyOut(stdout, stderr io.Writer) error {
	var err error
	if s.tty {
		_, err = io.Copy(stdout, s.reader)
	} else {
		_, err = stdcopy.StdCopy(stdout, stderr, s.reader)
	}
	return err
}

// Close ends both directions.
func (s *Stream) Close() error { return s.conn.Close() }
