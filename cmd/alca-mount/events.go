package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/launcher"
)

// eventLog writes what happens as JSON lines. A nil one writes nothing.
type eventLog struct {
	mu  sync.Mutex
	w   io.WriteCloser
	err error // the first; later events are dropped, the session goes on
}

// openEvents opens file for appending: a file named by mistake loses nothing.
func openEvents(file string) (*eventLog, error) {
	if file == "" {
		return nil, nil
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--events %s: %w", show(file), bareErr(err))
	}
	return &eventLog{w: f}, nil
}

type jsonEvent struct {
	Time    time.Time          `json:"time"`
	Event   autosync.EventType `json:"event"`
	Session string             `json:"session"`
	*jsonPath
	Direction string   `json:"direction,omitempty"`
	Reason    string   `json:"reason,omitempty"`
	Kept      string   `json:"kept,omitempty"`
	Project   string   `json:"project,omitempty"`
	Mirror    string   `json:"mirror,omitempty"`
	Enforced  []string `json:"enforced,omitempty"`
	Exit      *int     `json:"exit,omitempty"`
}

func (l *eventLog) write(e jsonEvent) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	data, err := marshal(e)
	if err == nil && l.err == nil {
		_, err = l.w.Write(append(data, '\n'))
	}
	if l.err == nil {
		l.err = err
	}
}

// event writes one of the syncer's. Start and end are ours to tell: we know more of them.
func (l *eventLog) event(e autosync.Event) {
	if e.Type == autosync.Started || e.Type == autosync.Ended {
		return
	}
	out := jsonEvent{Time: e.Time, Event: e.Type, Session: e.Session, Reason: e.Reason, Kept: e.Kept}
	if e.Path != "" {
		path := pathFields(string(e.Path))
		out.jsonPath = &path
	}
	if e.Direction != 0 {
		out.Direction = e.Direction.String()
	}
	l.write(out)
}

func (l *eventLog) start(project string, s launcher.Start) {
	l.write(jsonEvent{Time: time.Now(), Event: autosync.Started, Session: s.Session, Project: project, Mirror: s.Mirror, Enforced: s.Enforced})
}

func (l *eventLog) end(r launcher.Result) {
	l.write(jsonEvent{Time: time.Now(), Event: autosync.Ended, Session: r.Session, Mirror: r.Mirror, Reason: r.WhyKept, Exit: &r.ExitCode})
}

// Close closes the file and returns the first error of all.
func (l *eventLog) Close() error {
	if l == nil {
		return nil
	}
	if err := l.w.Close(); l.err == nil {
		l.err = err
	}
	return l.err
}
