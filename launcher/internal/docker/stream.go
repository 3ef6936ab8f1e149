package docker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/docker/docker/api/types"
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
	query := url.Values{"stream": {"1"}, "stdout": {"1"}, "stderr": {"1"}, "detachKeys": {attachKeys}}
	if stdin {
		query.Set("stdin", "1")
	}
	h, err := e.upgrade(ctx, "/containers/"+id+"/attach?"+query.Encode())
	if err != nil {
		return nil, fmt.Errorf("attach to the container: %w", err)
	}
	return newStream(h, tty), nil
}

// upgrade asks for a connection that goes both ways. The client library drops an engine's reason for refusing one; and
// Podman, which sets the container up for it, may not refuse it a second time.
func (e *Engine) upgrade(ctx context.Context, path string) (types.HijackedResponse, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://engine/v"+e.api.ClientVersion()+path, nil)
	if err != nil {
		return types.HijackedResponse{}, err
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "tcp")
	conn, err := e.api.Dialer()(ctx)
	if err != nil {
		return types.HijackedResponse{}, err
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })() // until there is an answer
	if err := req.Write(conn); err != nil {
		return types.HijackedResponse{}, errors.Join(err, conn.Close())
	}
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, req)
	if err == nil && answer.StatusCode != http.StatusSwitchingProtocols {
		err = fmt.Errorf("it answers %s%s", answer.Status, reason(answer.Body))
	}
	if err != nil {
		return types.HijackedResponse{}, errors.Join(err, conn.Close())
	}
	return types.HijackedResponse{Conn: conn, Reader: reader}, nil
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
