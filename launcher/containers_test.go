//go:build linux

package launcher

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/alca-mount/alca-mount/mirror"
)

// fakeEngine is a Docker that has one container, of a session, until it is removed.
type fakeEngine struct {
	host, session string

	mu      sync.Mutex
	removed bool
}

func newFakeEngine(t *testing.T, session string) *fakeEngine {
	t.Helper()
	e := &fakeEngine{session: session}
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.41") })
	mux.HandleFunc("/info", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"OSType":"linux","OperatingSystem":"Debian"}`))
	})
	mux.HandleFunc("GET /v1.41/containers/json", e.list)
	mux.HandleFunc("DELETE /v1.41/containers/c1", func(w http.ResponseWriter, _ *http.Request) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.removed = true
		w.WriteHeader(http.StatusNoContent)
	})
	e.host = serve(t, mux)
	return e
}

// serve answers at a socket, and returns its address as an engine's.
func serve(t *testing.T, answers http.Handler) string {
	t.Helper()
	sock := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: answers}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return "unix://" + sock
}

func (e *fakeEngine) list(w http.ResponseWriter, r *http.Request) {
	var filters struct{ Label map[string]bool }
	_ = json.Unmarshal([]byte(r.URL.Query().Get("filters")), &filters)
	if !filters.Label[labelSession+"="+e.session] || e.gone() {
		_, _ = w.Write([]byte("[]"))
		return
	}
	_, _ = w.Write([]byte(`[{"Id":"c1","State":"running"}]`))
}

func (e *fakeEngine) gone() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.removed
}

// plainOptions are a launch of sh -c true in no container, on an empty project.
func plainOptions(t *testing.T) Options {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	base := mustReal(t, t.TempDir())
	if err := os.Mkdir(base+"/project", 0o700); err != nil {
		t.Fatal(err)
	}
	return Options{
		Project: base + "/project", State: mirror.NewStateDir(base + "/state"), Isolation: IsolationNone,
		Command: []string{"sh", "-c", "true"}, Stdin: null, Stdout: null, Stderr: null,
	}
}

// dies makes a session whose process is gone.
func dies(t *testing.T, o Options, engine string, mountOf string) *mirror.Session {
	t.Helper()
	s, err := o.State.New(o.Project, mirror.Record{Engine: engine, MountOf: mountOf})
	if err == nil {
		err = s.Unlock()
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The container of a mount's session carries the label of the launch that it belongs to.
func TestContainerOfAMountsSessionIsItsLaunchs(t *testing.T) {
	e, o := newFakeEngine(t, "main"), plainOptions(t)
	n, err := EndContainers(t.Context(), o.State, dies(t, o, e.host, "main"))
	if n != 1 || err != nil || !e.gone() {
		t.Errorf("%d ended, %v", n, err)
	}
}

// What still runs of a launch in a container that was killed could write to an overlay: it is ended first, also by a launch
// in no container. Where that can't be done, the overlay is another one.
func TestOverlayIsTakenWhenNobodyElseWritesToIt(t *testing.T) {
	for _, reached := range []bool{true, false} {
		e, o := newFakeEngine(t, ""), plainOptions(t)
		host := e.host
		if !reached {
			host = "unix:///nowhere/s"
		}
		e.session = dies(t, o, host, "").ID
		o.Overlays = []Overlay{{Path: "node_modules", Seed: SeedEmpty}}
		var start Start
		o.AfterBuild = func(s Start) {
			if start = s; reached && !e.gone() {
				t.Error("CMD begins, and the container is there still")
			}
		}
		o.Command = []string{"sh", "-c", "echo >node_modules/mine"}
		if _, err := Launch(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		kept, _ := filepath.Glob(o.State.Path() + "/*/overlays/*/*/tree/mine")
		private := slices.ContainsFunc(start.Warnings, func(w string) bool { return strings.Contains(w, "may still write to it") })
		if private == reached || len(kept) == 1 != reached {
			t.Errorf("reached %v: kept %v, told %q", reached, kept, start.Warnings)
		}
	}
}

// A container that has ended and could not be removed is found by its session's record.
func TestSessionStaysUntilItsContainerIsRemoved(t *testing.T) {
	l, err := prepare(plainOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.build(t.Context()); err != nil {
		t.Fatal(err)
	}
	stuck := errors.New("stuck")
	l.docked = &containerRuntime{removed: func() error { return stuck }}
	if err := l.cleanUp(); !errors.Is(err, stuck) {
		t.Errorf("ended with %v", err)
	}
	if info, err := os.Lstat(l.mirror.Root.Path()); err == nil {
		t.Errorf("the mirror is there still: %+v", info)
	}
	all, err := l.state.List("")
	if err != nil || len(all) != 1 || all[0].State != mirror.SessionRemoving {
		t.Errorf("sessions %+v, %v", all, err)
	}
}
