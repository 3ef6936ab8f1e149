//go:build linux

package containers

import (
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// withTerminal makes a command lead a session on its stdin's terminal.
func withTerminal(attr *syscall.SysProcAttr) *syscall.SysProcAttr {
	if attr == nil {
		attr = &syscall.SysProcAttr{}
	}
	attr.Setsid, attr.Setctty = true, true
	return attr
}

// collected is what came out of a terminal so far.
type collected struct {
	mu   sync.Mutex
	data strings.Builder
}

func collect(r io.Reader) *collected {
	c := &collected{}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := r.Read(buf)
			c.mu.Lock()
			c.data.Write(buf[:n])
			c.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return c
}

func (c *collected) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.data.String()
}

func (c *collected) wait(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(c.text(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %q in %q", text, c.text())
		}
	}
}
