package container

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// home has a docker context called remote, which is the current one where current says so.
func home(t *testing.T, current string) string {
	t.Helper()
	dir := t.TempDir()
	sum := sha256.Sum256([]byte("remote"))
	meta := filepath.Join(dir, ".docker/contexts/meta", hex.EncodeToString(sum[:]))
	if err := os.MkdirAll(meta, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		filepath.Join(meta, "meta.json"):          `{"Name":"remote","Endpoints":{"docker":{"Host":"ssh://far"}}}`,
		filepath.Join(dir, ".docker/config.json"): `{"currentContext":"` + current + `"}`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCandidates(t *testing.T) {
	for _, c := range []struct {
		runtime, current string
		env              map[string]string
		first            string // host, or a part of why
		named, alone     bool
	}{
		{"auto", "", map[string]string{"DOCKER_HOST": "unix:///x"}, "unix:///x", true, true},
		{"docker", "remote", map[string]string{"DOCKER_HOST": "unix:///x"}, "unix:///x", true, true},
		{"auto", "remote", nil, "ssh://far", true, true},
		{"auto", "", map[string]string{"DOCKER_CONTEXT": "remote"}, "ssh://far", true, true},
		{"auto", "missing", nil, `docker context "missing"`, true, true},
		{"podman", "remote", map[string]string{"DOCKER_HOST": "unix:///x"}, "podman system service", true, true},
		{"podman", "", map[string]string{"CONTAINER_HOST": "unix:///p"}, "unix:///p", true, true},
	} {
		env := Env{Getenv: func(k string) string { return c.env[k] }, Home: home(t, c.current), GOOS: "linux"}
		got := candidates(c.runtime, env)
		if len(got) == 0 {
			t.Errorf("%+v: none", c)
			continue
		}
		if first := got[0]; !strings.Contains(first.host+" "+first.why, c.first) || first.named != c.named || c.alone != (len(got) == 1) {
			t.Errorf("%+v: %d, the first %q %q, named %v", c, len(got), first.host, first.why, first.named)
		}
	}
}

// What the user chose and does not answer is an error, and so is an engine elsewhere: never quietly another engine.
func TestAChosenEngineThatDoesNotAnswerIsAnError(t *testing.T) {
	for host, want := range map[string]string{"unix:///nowhere/docker.sock": "DOCKER_HOST", "tcp://127.0.0.1:1": "another machine", "ssh://far": "another machine"} {
		env := Env{Getenv: func(k string) string { return map[string]string{"DOCKER_HOST": host}[k] }, Home: t.TempDir(), GOOS: "linux"}
		e, err := Find(t.Context(), "auto", env)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", host, e, err, want)
		}
	}
}
