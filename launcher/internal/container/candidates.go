package container

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Env is where engines are looked for.
type Env struct {
	Getenv  func(string) string
	Home    string
	Runtime string // XDG_RUNTIME_DIR, or ""
	Root    bool   // we are root
	GOOS    string
}

// candidate is an engine to ask.
type candidate struct {
	host  string
	why   string
	wants string // "docker" or "podman"; "": either
	named bool   // the user chose it: nothing else will do

	start func() (*service, error) // first; it names the host
}

// candidates are the engines to ask, in turn. Docker first where either will do: it needs no service to be started.
func candidates(runtime string, env Env) []candidate {
	var out []candidate
	if runtime != "podman" {
		out = append(out, dockers(env)...)
		if len(out) == 1 && out[0].named {
			return out
		}
	}
	if runtime != "docker" {
		out = append(out, podmans(env)...)
	}
	if runtime != "auto" && len(out) == 1 {
		out[0].named = true
	}
	return out
}

func dockers(env Env) []candidate {
	if host := env.Getenv("DOCKER_HOST"); host != "" {
		return []candidate{{host: host, why: "DOCKER_HOST", named: true}} // Podman offers itself there as well
	}
	if name := currentContext(env); name != "" && name != "default" {
		host, err := contextHost(env, name)
		c := candidate{host: host, why: fmt.Sprintf("docker context %q", name), named: true}
		if err != nil {
			c.start = func() (*service, error) { return nil, err }
		}
		return []candidate{c}
	}
	paths := []string{"/var/run/docker.sock"}
	if env.Runtime != "" {
		paths = append(paths, filepath.Join(env.Runtime, "docker.sock"))
	}
	paths = append(paths, filepath.Join(env.Home, ".docker/run/docker.sock"), filepath.Join(env.Home, ".orbstack/run/docker.sock"))
	return sockets("Docker's socket", "", paths)
}

func podmans(env Env) []candidate {
	if host := env.Getenv("CONTAINER_HOST"); host != "" {
		return []candidate{{host: host, why: "CONTAINER_HOST", wants: "podman", named: true}}
	}
	var paths []string
	switch {
	case env.GOOS == "darwin":
		paths = append(paths, filepath.Join(env.Home, ".local/share/containers/podman/machine/podman.sock"))
	case env.Root:
		paths = append(paths, "/run/podman/podman.sock")
	case env.Runtime != "":
		paths = append(paths, filepath.Join(env.Runtime, "podman/podman.sock"))
	}
	out := sockets("Podman's socket", "podman", paths)
	return append(out, candidate{why: "podman system service, started for this launch", wants: "podman", start: startService})
}

// sockets are candidates of the paths where something is.
func sockets(why, wants string, paths []string) []candidate {
	var out []candidate
	seen := map[string]bool{}
	for _, path := range paths {
		real, err := filepath.EvalSymlinks(path)
		if err != nil || seen[real] {
			continue
		}
		seen[real] = true
		out = append(out, candidate{host: "unix://" + path, why: why + " " + path, wants: wants})
	}
	return out
}

// currentContext is the docker command's, or "".
func currentContext(env Env) string {
	if name := env.Getenv("DOCKER_CONTEXT"); name != "" {
		return name
	}
	var config struct {
		CurrentContext string `json:"currentContext"`
	}
	data, err := os.ReadFile(filepath.Join(dockerConfig(env), "config.json"))
	if err != nil || json.Unmarshal(data, &config) != nil {
		return ""
	}
	return config.CurrentContext
}

func dockerConfig(env Env) string {
	if dir := env.Getenv("DOCKER_CONFIG"); dir != "" {
		return dir
	}
	return filepath.Join(env.Home, ".docker")
}

// contextHost reads where a docker context leads.
func contextHost(env Env, name string) (string, error) {
	sum := sha256.Sum256([]byte(name))
	file := filepath.Join(dockerConfig(env), "contexts", "meta", hex.EncodeToString(sum[:]), "meta.json")
	var meta struct {
		Endpoints map[string]struct{ Host string }
	}
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &meta)
	}
	if err != nil {
		return "", fmt.Errorf("docker context %q: %w", name, err)
	}
	host := meta.Endpoints["docker"].Host
	if host == "" {
		return "", fmt.Errorf("docker context %q: %s names no engine", name, file)
	}
	return host, nil
}
