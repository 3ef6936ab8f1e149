//go:build linux

package launcher

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/launcher/internal/container"
	"github.com/alca-mount/alca-mount/mirror"
)

// slowEngine is a Docker that says what it is only when it is told to. It makes containers c1, c2, … and starts none.
type slowEngine struct {
	host   string
	answer chan string // to /info
	made   chan string // ids

	mu    sync.Mutex
	modes []string // UsernsMode of each
	calls []string // what was done to them after they were made
}

func newSlowEngine(t *testing.T) *slowEngine {
	t.Helper()
	e := &slowEngine{answer: make(chan string, 1), made: make(chan string, 9)}
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.41") })
	mux.HandleFunc("/info", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(<-e.answer)) })
	mux.HandleFunc("/images/i/json", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"Id":"i1","Config":{"Env":["HOME=/h"]}}`))
	})
	mux.HandleFunc("POST /v1.41/containers/create", e.create)
	mux.HandleFunc("POST /v1.41/containers/{id}/attach", attach)
	mux.HandleFunc("/v1.41/containers/{id}/{call...}", e.note)
	mux.HandleFunc("DELETE /v1.41/containers/{id}", e.note)
	e.host = serve(t, mux)
	return e
}

func (e *slowEngine) create(w http.ResponseWriter, r *http.Request) {
	var asked struct{ HostConfig struct{ UsernsMode string } }
	_ = json.NewDecoder(r.Body).Decode(&asked)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.modes = append(e.modes, asked.HostConfig.UsernsMode)
	id := "c" + string(rune('0'+len(e.modes)))
	_, _ = w.Write([]byte(`{"Id":"` + id + `"}`))
	e.made <- id
}

func attach(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_, _ = conn.Write([]byte("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"))
	}
}

func (e *slowEngine) note(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	call := r.Method + " " + r.PathValue("id") + " " + r.PathValue("call")
	e.calls = append(e.calls, strings.TrimSpace(call))
	status := http.StatusNoContent
	if r.Method == http.MethodPost {
		status = http.StatusInternalServerError
	}
	w.WriteHeader(status)
}

// atWork begins a launch in a container of e, up to where the container is made.
func (e *slowEngine) atWork(t *testing.T) *containerRuntime {
	t.Helper()
	t.Setenv("DOCKER_HOST", e.host)
	project, state := t.TempDir(), mirror.NewStateDir(filepath.Join(t.TempDir(), "state"))
	policy, err := dotfiles.Read(project, "")
	if err != nil {
		t.Fatal(err)
	}
	session, err := state.New(project, mirror.Record{})
	if err != nil {
		t.Fatal(err)
	}
	l := &launch{opts: Options{Command: []string{"true"}, Container: &Container{Image: "i"}, Git: mirror.GitNone, Population: mirror.Walk},
		project: project, policy: policy, state: state, session: session}
	l.docked = l.engage(t.Context(), func() {})
	m, err := mirror.Create(t.Context(), project, "", mirror.Options{Policy: policy, Session: session, Standing: func(m *mirror.Mirror) mirror.Meeting {
		l.docked.beginEarly(t.Context(), m)
		return mirror.Meeting{}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close(); _ = session.Unlock() })
	return l.docked
}

func (e *slowEngine) awaitMade(t *testing.T) string {
	t.Helper()
	select {
	case id := <-e.made:
		return id
	case <-time.After(20 * time.Second):
		t.Fatal("no container is made before the engine says what it is")
		return ""
	}
}

// The container is made while the engine still says what it is. Nothing runs in it unless that is what was thought.
func TestContainerMadeForALikelyEngineIsUsedOnlyIfItIsThat(t *testing.T) {
	usual := `{"OSType":"linux","OperatingSystem":"Debian"}`
	if os.Geteuid() != 0 {
		usual = `{"OSType":"linux","OperatingSystem":"Debian","SecurityOptions":["name=rootless"]}`
	}
	for name, c := range map[string]struct {
		info  string
		modes []string
		calls []string
	}{
		"as thought": {usual, []string{""}, []string{"POST c1 start", "DELETE c1"}},
		"with users of its own": {`{"OSType":"linux","OperatingSystem":"Debian","SecurityOptions":["name=userns"]}`,
			[]string{"", "host"}, []string{"DELETE c1", "POST c2 start", "DELETE c2"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := newSlowEngine(t)
			r := e.atWork(t)
			e.awaitMade(t)
			e.answer <- c.info
			if err := r.engaged(); err != nil {
				t.Fatal(err)
			}
			if err := r.endEarly(t.Context()); err != nil {
				t.Fatal(err)
			}
			binds := bindsOf(r.l.session.Mirror, r.opts.Workdir, container.Protect([]container.Entry{{Path: ".alca-mount", ReadOnly: true}}, container.MaxBinds))
			if _, _, err := container.Run(t.Context(), r.engine, r.spec(r.l.command(r.opts.Workdir), binds), r.made); err == nil {
				t.Error("it was started")
			}
			e.mu.Lock()
			defer e.mu.Unlock()
			if !slices.Equal(e.modes, c.modes) || !slices.Equal(e.calls, c.calls) {
				t.Errorf("made with %q, then %q; want %q, %q", e.modes, e.calls, c.modes, c.calls)
			}
		})
	}
}

// An engine that turns out to be none that will do leaves no container behind.
func TestContainerMadeForAnEngineThatWillNotDoIsRemoved(t *testing.T) {
	e := newSlowEngine(t)
	r := e.atWork(t)
	e.awaitMade(t)
	e.answer <- `{"OSType":"windows","OperatingSystem":"Windows"}`
	if err := r.engaged(); err == nil {
		t.Error("it will do")
	}
	if err := r.release(); err != nil {
		t.Error(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Equal(e.calls, []string{"DELETE c1"}) {
		t.Errorf("done: %q", e.calls)
	}
}
