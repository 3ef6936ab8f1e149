package docker

import (
	"archive/tar"
	"bytes"
	"net"
	"net/http"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
)

// connectTo connects to an engine that answers /info with info.
func connectTo(t *testing.T, podman bool, info string) *Engine {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		if podman {
			w.Header().Set("Libpod-Api-Version", "4.3.1")
		}
	})
	mux.HandleFunc("/info", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(info)) })
	sock := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	e, err := Connect(t.Context(), "unix://"+sock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	e.owner = func(string) (int, bool) { return nobody, true }
	return e
}

func TestFactsAreWhatTheEngineSays(t *testing.T) {
	for _, c := range []struct {
		podman bool
		info   string
		want   Facts
	}{
		{false, `{"ServerVersion":"20.10","OperatingSystem":"Docker Desktop","OSType":"linux","SecurityOptions":["name=seccomp,profile=default","name=rootless","name=selinux"]}`,
			Facts{Name: "docker", Version: "20.10", OperatingSystem: "Docker Desktop", OSType: "linux", Rootless: true, SELinux: true}},
		{false, `{"ServerVersion":"28","OperatingSystem":"Debian","OSType":"linux","SecurityOptions":["name=userns"]}`,
			Facts{Name: "docker", Version: "28", OperatingSystem: "Debian", OSType: "linux", UserNamespace: true}},
		// Podman 4.3 says it in a field of its own, not in the security options.
		{true, `{"ServerVersion":"4.3.1","OperatingSystem":"debian","OSType":"linux","Rootless":true}`,
			Facts{Name: "podman", Version: "4.3.1", OperatingSystem: "debian", OSType: "linux", Rootless: true}},
		{true, `{"ServerVersion":"4.3.1","OperatingSystem":"debian","OSType":"linux","Rootless":false}`,
			Facts{Name: "podman", Version: "4.3.1", OperatingSystem: "debian", OSType: "linux"}},
	} {
		if got, err := connectTo(t, c.podman, c.info).Facts(t.Context()); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", c.info, got, err, c.want)
		}
	}
}

func TestAPodmanThatDoesNotSayWhetherItHasRootIsAnError(t *testing.T) {
	for _, info := range []string{`{"OSType":"linux"}`, `{`, `[]`} {
		if got, err := connectTo(t, true, info).Facts(t.Context()); err == nil {
			t.Errorf("%s: %+v, no error", info, got)
		}
	}
}

// Podman's info takes most of a second: it is not asked where the kernel knows the answer.
func TestPodmanIsKnownByWhoListens(t *testing.T) {
	e := connectTo(t, true, "{")
	for uid, rootless := range map[int]bool{0: false, 1000: true} {
		e.owner = func(string) (int, bool) { return uid, true }
		if got, err := e.Facts(t.Context()); err != nil || got.Name != "podman" || got.Version != "4.3.1" || got.Rootless != rootless {
			t.Errorf("uid %d: %+v, %v", uid, got, err)
		}
	}
	if uid, known := ownerOfSocket(e.Host()); goruntime.GOOS == "linux" && (!known || uid != os.Geteuid()) {
		t.Errorf("who listens: %d, %v", uid, known)
	}
}

// Podman has the code of a process that ended a second before it says "exited".
func TestEndedStates(t *testing.T) {
	for status, want := range map[string]bool{"exited": true, "stopped": true, "running": false, "created": false, "dead": false, "removing": false, "stopping": false} {
		if exited(status) != want {
			t.Errorf("%s: %v", status, !want)
		}
	}
}

func TestLimits(t *testing.T) {
	memory, cpus, err := connectTo(t, false, `{"MemoryLimit":true}`).Limits(t.Context())
	if err != nil || !memory || cpus {
		t.Errorf("%v %v %v", memory, cpus, err)
	}
}

func TestPullTellsProgressAndItsError(t *testing.T) {
	stream := `{"status":"Pulling from x","id":"latest"}
{"status":"Downloading","progressDetail":{"current":10,"total":100},"id":"a"}
{"status":"Downloading","progressDetail":{"current":50,"total":60},"id":"b"}
{"status":"Download complete","progressDetail":{},"id":"a"}
`
	var last Progress
	if err := readPull(strings.NewReader(stream), func(p Progress) { last = p }); err != nil || last != (Progress{150, 160}) {
		t.Errorf("%+v, %v", last, err)
	}
	err := readPull(strings.NewReader(stream+`{"error":"no such host"}`), nil)
	if err == nil || err.Error() != "no such host" {
		t.Errorf("an error in the stream: %v", err)
	}
	if err := readPull(strings.NewReader(stream+`{"sta`), nil); err == nil {
		t.Error("a cut stream is no error")
	}
}

func TestFirstFile(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Name: "d/", Typeflag: tar.TypeDir})
	_ = w.WriteHeader(&tar.Header{Name: "d/f", Typeflag: tar.TypeReg, Size: 2})
	_, _ = w.Write([]byte("hi"))
	_ = w.Close()
	if got, err := firstFile(&b); err != nil || string(got) != "hi" {
		t.Errorf("%q, %v", got, err)
	}
}

// The reason is told at the first refusal: Podman does not refuse a second time, and then nobody knows what is wrong.
func TestRefusedAttachSaysWhy(t *testing.T) {
	asked := 0
	sock := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; strings.HasSuffix(r.URL.Path, "/containers/c/attach") && asked == 1 {
			w.WriteHeader(http.StatusConflict)
			_, _ = w.Write([]byte(`{"cause":"x","message":"no /dev/net/tun"}`))
		}
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	e, err := At("unix://" + sock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	if stream, err := e.Attach(t.Context(), "c", false, true); err == nil || !strings.Contains(err.Error(), "no /dev/net/tun") {
		t.Errorf("%v, %v", stream, err)
	}
}
