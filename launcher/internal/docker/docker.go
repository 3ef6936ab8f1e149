// Package docker speaks the Engine API, which Docker has and Podman offers as well.
// It is the only package that knows the client library: another one is a change here.
package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/client"
)

// Engine is a container engine that answered.
type Engine struct {
	api  *client.Client
	host string
	ping http.Header // of its first answer

	owner func(host string) (uid int, known bool) // who listens there
}

// Facts are what an engine says about itself.
type Facts struct {
	Name            string // of the program: "docker" or "podman"
	Version         string
	OperatingSystem string // "Docker Desktop", "OrbStack", or a distribution
	OSType          string // of the containers: "linux"
	Rootless        bool
	UserNamespace   bool // uids in containers are mapped to others outside
	SELinux         bool // bind mounts need a label
}

// Errors that callers tell apart.
var (
	ErrNoImage     = errors.New("no such image")
	ErrNoContainer = errors.New("no such container")
	ErrDenied      = errors.New("permission denied")

	errNotFound = errors.New("it answers that there is none")
)

// Connect asks the engine at host (unix:///…, npipe://…) for its version; no answer is an error.
func Connect(ctx context.Context, host string) (*Engine, error) {
	e, err := At(host)
	if err != nil {
		return nil, err
	}
	if err := e.Greet(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// At is the engine at host, which nothing was asked yet. Greet comes first; only Image may be asked beside it.
func At(host string) (*Engine, error) {
	api, err := client.NewClientWithOpts(client.WithHost(host), client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, fmt.Errorf("engine %s: %w", host, err)
	}
	return &Engine{api: api, host: host, owner: ownerOfSocket}, nil
}

// Greet asks the engine for its version.
func (e *Engine) Greet(ctx context.Context) (err error) {
	if e.ping, err = e.get(ctx, "/_ping", nil); err != nil {
		return fmt.Errorf("engine %s: %w", e.host, explain(err))
	}
	e.api.NegotiateAPIVersionPing(types.Ping{APIVersion: e.ping.Get("Api-Version")})
	return nil
}

// explain names what callers tell apart.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "permission denied"):
		return fmt.Errorf("%w: %w", ErrDenied, err)
	}
	return err
}

// Host is where the engine was reached.
func (e *Engine) Host() string { return e.host }

// Close gives the connections up.
func (e *Engine) Close() error { return e.api.Close() }

// Facts asks the engine what it is.
func (e *Engine) Facts(ctx context.Context) (Facts, error) {
	f, err := e.ask(ctx)
	if err != nil {
		return Facts{}, fmt.Errorf("ask %s about itself: %w", e.host, explain(err))
	}
	return f, nil
}

// engineInfo is what an engine answers, with what Podman says besides.
type engineInfo struct {
	system.Info
	Rootless *bool
}

// nobody stands for users of another namespace.
const nobody = 65534

// ask takes Podman's own words with the others: that it is Podman, in a header, and whether it has root. Its info and
// version calls ask the package manager, for up to a second: where the kernel says who answers, they are not made.
func (e *Engine) ask(ctx context.Context) (Facts, error) {
	podman := e.ping.Get("Libpod-Api-Version")
	if uid, known := e.owner(e.host); podman != "" && known && uid != nobody {
		return Facts{Name: "podman", Version: podman, OSType: "linux", Rootless: uid != 0, SELinux: hasSELinux()}, nil
	}
	var info engineInfo
	if _, err := e.get(ctx, "/info", &info); err != nil {
		return Facts{}, err
	}
	f := Facts{Name: "docker", Version: info.ServerVersion, OperatingSystem: info.OperatingSystem, OSType: info.OSType}
	for _, option := range info.SecurityOptions {
		switch name, _, _ := strings.Cut(strings.TrimPrefix(option, "name="), ","); name {
		case "rootless":
			f.Rootless = true
		case "userns":
			f.UserNamespace = true
		case "selinux":
			f.SELinux = true
		}
	}
	if podman == "" {
		return f, nil
	}
	f.Name = "podman"
	if info.Rootless == nil && !f.Rootless {
		return Facts{}, errors.New("podman does not say whether it runs without root; expected Podman 4 or newer")
	}
	f.Rootless = f.Rootless || *info.Rootless
	return f, nil
}

// Likely is what a greeted engine may be taken for before it has said what it is: Docker takes a while for that, Podman none.
func (e *Engine) Likely() (f Facts, ok bool) {
	uid, known := e.owner(e.host)
	if e.ping.Get("Libpod-Api-Version") != "" || !known || uid == nobody {
		return Facts{}, false
	}
	return Facts{Name: "docker", OSType: "linux", Rootless: uid != 0, SELinux: hasSELinux()}, true
}

// Limits reports whether the engine can limit memory and CPUs.
func (e *Engine) Limits(ctx context.Context) (memory, cpus bool, err error) {
	var info engineInfo
	_, err = e.get(ctx, "/info", &info)
	return info.MemoryLimit, info.CPUCfsQuota, err
}

// get reads what the client library has no room for.
func (e *Engine) get(ctx context.Context, path string, into any) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine"+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := e.api.HTTPClient().Do(req)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, fmt.Errorf("%s: %w", path, errNotFound)
	default:
		return nil, fmt.Errorf("%s: it answers %s%s", path, answer.Status, reason(answer.Body))
	}
	if into == nil {
		return answer.Header, nil
	}
	return answer.Header, json.NewDecoder(io.LimitReader(answer.Body, infoLimit)).Decode(into)
}

// reason is what an engine says about a refusal, with ": " before it; "" where that is nothing.
func reason(body io.Reader) string {
	var said struct{ Message string }
	if json.NewDecoder(io.LimitReader(body, infoLimit)).Decode(&said) != nil || said.Message == "" {
		return ""
	}
	return ": " + said.Message
}

// infoLimit is how much an engine may say about itself.
const infoLimit = 16 << 20

// Image is what an image says about the containers made of it.
type Image struct {
	ID   string
	User string
	Env  []string
}

// Image finds a local image; ErrNoImage when there is none. What it asks for is the same in all versions of the API, so
// that none has to be agreed on before.
func (e *Engine) Image(ctx context.Context, ref string) (Image, error) {
	var got struct {
		ID     string `json:"Id"`
		Config struct {
			User string
			Env  []string
		}
	}
	_, err := e.get(ctx, "/images/"+imagePath(ref)+"/json", &got)
	switch {
	case errors.Is(err, errNotFound):
		return Image{}, fmt.Errorf("%s: %w", ref, ErrNoImage)
	case err != nil:
		return Image{}, fmt.Errorf("look at image %s: %w", ref, err)
	case got.ID == "":
		return Image{}, fmt.Errorf("look at image %s: the engine names none", ref)
	}
	return Image{ID: got.ID, User: got.Config.User, Env: got.Config.Env}, nil
}

// imagePath is an image's name in an address: its slashes stay.
func imagePath(ref string) string {
	parts := strings.Split(ref, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}

// Pull fetches an image and tells how far it is.
func (e *Engine) Pull(ctx context.Context, ref string, progress func(Progress)) error {
	stream, err := e.api.ImagePull(ctx, ref, image.PullOptions{})
	if err == nil {
		defer stream.Close()
		err = readPull(stream, progress)
	}
	if err != nil {
		return fmt.Errorf("pull %s: %w", ref, err)
	}
	return nil
}

// Bind is a directory or file outside that is mounted inside.
type Bind struct {
	Source, Target string
	ReadOnly       bool
}

// Spec is a container to make.
type Spec struct {
	Name       string // "": the engine's choice
	Image      string
	Cmd        []string // nil: the image's
	Env        []string
	Dir        string
	User       string
	TTY        bool
	Rows, Cols uint // of the terminal, where the engine can give them from the start
	Stdin      bool // attached streams include stdin
	Labels     map[string]string
	Binds      []Bind

	Init        bool // a first process that reaps and passes signals on
	Network     string
	UserNS      string
	SecurityOpt []string
	Memory      int64
	NanoCPUs    int64
	CapAdd      []string
	CapDrop     []string
}

// Create makes a container and returns its id. Warnings of the engine's come with it.
func (e *Engine) Create(ctx context.Context, s Spec) (id string, warnings []string, err error) {
	config := &container.Config{
		Image: s.Image, Cmd: s.Cmd, Env: s.Env, WorkingDir: s.Dir, User: s.User, Labels: s.Labels,
		Tty: s.TTY, OpenStdin: s.Stdin, StdinOnce: s.Stdin, AttachStdin: s.Stdin, AttachStdout: true, AttachStderr: true,
	}
	host := &container.HostConfig{
		NetworkMode: container.NetworkMode(s.Network), UsernsMode: container.UsernsMode(s.UserNS), SecurityOpt: s.SecurityOpt,
		CapAdd: s.CapAdd, CapDrop: s.CapDrop,
		Resources: container.Resources{Memory: s.Memory, NanoCPUs: s.NanoCPUs},
	}
	host.ConsoleSize = [2]uint{s.Rows, s.Cols}
	if s.Init {
		host.Init = &s.Init
	}
	for _, b := range s.Binds {
		host.Mounts = append(host.Mounts, mount.Mount{
			Type: mount.TypeBind, Source: b.Source, Target: b.Target, ReadOnly: b.ReadOnly,
			BindOptions: &mount.BindOptions{Propagation: mount.PropagationRPrivate},
		})
	}
	made, err := e.api.ContainerCreate(ctx, config, host, nil, nil, s.Name)
	if err != nil {
		return "", nil, fmt.Errorf("make a container of %s: %w", s.Image, err)
	}
	return made.ID, made.Warnings, nil
}

// Start starts a container.
func (e *Engine) Start(ctx context.Context, id string) error {
	if err := e.api.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		return fmt.Errorf("start the container: %w", err)
	}
	return nil
}

// Ending is how a container ended.
type Ending struct {
	Code int
	Err  error // it is not known how
}

// Wait returns a channel that gets the end of a container. Ask before it starts, and its end can't be missed.
func (e *Engine) Wait(ctx context.Context, id string, condition Condition) <-chan Ending {
	out := make(chan Ending, 1)
	bodies, errs := e.api.ContainerWait(ctx, id, container.WaitCondition(condition))
	go func() {
		select {
		case b := <-bodies:
			end := Ending{Code: int(b.StatusCode)}
			if b.Error != nil && b.Error.Message != "" {
				end.Err = errors.New(b.Error.Message)
			}
			out <- end
		case err := <-errs:
			out <- Ending{Err: fmt.Errorf("wait for the container: %w", err)}
		}
	}()
	return out
}

// Condition is what Wait waits for.
type Condition string

// NextExit is the next end of a container that need not run yet; NotRunning holds at once for one that has ended.
const (
	NextExit   Condition = Condition(container.WaitConditionNextExit)
	NotRunning Condition = Condition(container.WaitConditionNotRunning)
)

// Signal sends a signal, by name or number, to the container's first process.
func (e *Engine) Signal(ctx context.Context, id, signal string) error {
	return gone(e.api.ContainerKill(ctx, id, signal))
}

// gone makes ErrNoContainer of the engine's word for it, and of a container that does not run any more.
func gone(err error) error {
	if cerrdefs.IsNotFound(err) || cerrdefs.IsConflict(err) {
		return fmt.Errorf("%w: %w", ErrNoContainer, err)
	}
	return err
}

// Stop asks a container to end and kills it after the grace period.
func (e *Engine) Stop(ctx context.Context, id string, grace time.Duration) error {
	seconds := int((grace + time.Second - 1) / time.Second)
	return gone(e.api.ContainerStop(ctx, id, container.StopOptions{Timeout: &seconds}))
}

// Resize gives a container's terminal its size.
func (e *Engine) Resize(ctx context.Context, id string, rows, cols uint) error {
	return e.api.ContainerResize(ctx, id, container.ResizeOptions{Height: rows, Width: cols})
}

// Remove removes a container, running or not, and its anonymous volumes.
func (e *Engine) Remove(ctx context.Context, id string) error {
	err := e.api.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove container %.12s: %w", id, err)
	}
	return nil
}

// Container is one that the engine has.
type Container struct {
	ID      string
	Name    string
	Image   string // its id
	Labels  map[string]string
	Running bool
	Exited  bool // and Code is known
	Code    int
	Pid     int
}

// Find returns the containers that carry all labels ("k" or "k=v"), running or not, by id.
func (e *Engine) Find(ctx context.Context, labels ...string) ([]Container, error) {
	args := filters.NewArgs()
	for _, l := range labels {
		args.Add("label", l)
	}
	list, err := e.api.ContainerList(ctx, container.ListOptions{All: true, Filters: args})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var out []Container
	for _, c := range list {
		out = append(out, Container{ID: c.ID, Image: c.ImageID, Labels: c.Labels, Running: c.State == "running"})
	}
	slices.SortFunc(out, func(a, b Container) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// Look describes one container; ErrNoContainer when it is not there.
func (e *Engine) Look(ctx context.Context, id string) (Container, error) {
	c, err := e.api.ContainerInspect(ctx, id)
	if cerrdefs.IsNotFound(err) {
		return Container{}, fmt.Errorf("%s: %w", id, ErrNoContainer)
	}
	if err != nil {
		return Container{}, fmt.Errorf("look at container %s: %w", id, err)
	}
	out := Container{ID: c.ID, Name: strings.TrimPrefix(c.Name, "/"), Image: c.Image}
	if c.Config != nil {
		out.Labels = c.Config.Labels
	}
	if c.State != nil {
		out.Running, out.Exited, out.Code, out.Pid = c.State.Running, exited(c.State.Status), c.State.ExitCode, c.State.Pid
	}
	return out, nil
}

// exited reports whether the first process has ended and its code is known. Podman says so a second before it has cleaned up.
func exited(status container.ContainerState) bool {
	return status == container.StateExited || status == "stopped"
}

// ReadFile reads a file in a container, which need not run; nil where there is none.
func (e *Engine) ReadFile(ctx context.Context, id, path string) ([]byte, error) {
	stream, _, err := e.api.CopyFromContainer(ctx, id, path)
	if cerrdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s in the container: %w", path, err)
	}
	defer stream.Close()
	return firstFile(stream)
}
