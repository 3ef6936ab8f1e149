package launcher

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/launcher/internal/container"
	"github.com/alca-mount/alca-mount/launcher/internal/docker"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// Stay makes the launch's container one that stays: what runs in it only waits, until a signal ends it. Whoever launched
// it keeps the mirror in step; commands come by Enter, from other processes.
type Stay struct {
	// Settings are what the container is made with, a text for each, for Drift to compare.
	Settings map[string]string
	// Ready is called once the container runs and Container.Up has succeeded.
	Ready func(session string)
	// Flush asks for all that has changed so far to be carried; each is called with the outcome.
	Flush <-chan func(error)
}

// waiting is a shell command that does nothing until it is told to end. mark is said when Container.Up is through. As the
// first process of its container it gets no signal that it has no trap for.
func waitingCommand(mark string) []string {
	return []string{"sh", "-c", `trap 'exit 0' TERM INT HUP; echo "$0"; while :; do sleep 86400 & wait $!; done`, mark}
}

func (s *Stay) check(o Options) error {
	switch {
	case !o.inContainer():
		return errors.New("only a container stays: name its image with --image IMG, or image in .alca.toml")
	case o.Sync != SyncLive:
		return fmt.Errorf("sync %s: a container that stays is synced live", o.Sync)
	}
	return nil
}

// stayName is the file in a session's folder that describes its container that stays.
const stayName = "stay.json"

// Standing is a container that stays.
type Standing struct {
	Workdir  string            `json:"workdir"`
	Image    string            `json:"image"` // its id
	Enter    string            `json:"enter,omitempty"`
	Settings map[string]string `json:"settings"`
}

// ReadStanding returns the container that stays of a session; fs.ErrNotExist where it has none.
func ReadStanding(s *mirror.Session) (Standing, error) {
	var out Standing
	data, err := os.ReadFile(filepath.Join(s.Dir(), stayName))
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		return Standing{}, fmt.Errorf("session %s: %w", s.ID, err)
	}
	return out, nil
}

// FindStanding returns the session of a project whose container stays and is looked after; nil: there is none.
func FindStanding(state *mirror.StateDir, project string) (*mirror.Session, Standing, error) {
	all, err := state.List(project)
	if err != nil {
		return nil, Standing{}, err
	}
	for _, s := range all {
		if holder, err := s.Holder(); err != nil || holder.PID <= 0 || s.Damaged != nil {
			continue
		}
		at, err := ReadStanding(s)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return s, at, err
	}
	return nil, Standing{}, nil
}

// Drift names the settings that are not those of then, sorted, as "KEY: OLD, now NEW".
func Drift(then, now map[string]string) []string {
	keys := maps.Clone(then)
	maps.Copy(keys, now)
	var out []string
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if then[k] != now[k] {
			out = append(out, k+": "+changed(then[k], now[k]))
		}
	}
	return out
}

// Digest begins a setting of which only a digest is kept.
const Digest = "sha256:"

// shown is up to how long settings are shown.
const shown = 60

func changed(then, now string) string {
	if len(then) > shown || len(now) > shown || strings.HasPrefix(then+now, Digest) {
		return "changed"
	}
	return fmt.Sprintf("%s, now %s", cmp.Or(then, "none"), cmp.Or(now, "none"))
}

// ImageNow is the id of the image that ref names now, at the engine of a session.
func ImageNow(ctx context.Context, s *mirror.Session, ref string) (string, error) {
	engine, err := connect(ctx, s.Engine)
	if err != nil {
		return "", err
	}
	image, err := engine.Image(ctx, ref)
	return image.ID, errors.Join(err, engine.Close())
}

// stays runs the container that stays: its first word is that it is ready.
func (r *containerRuntime) stays(ctx context.Context, s container.Spec) (container.Exit, error) {
	stay, mark := r.l.opts.Stay, "alca-mount: up: "+r.l.session.ID
	s.Command = r.opts.command(waitingCommand(mark))
	out, in, err := os.Pipe()
	if err != nil {
		return container.Exit{}, err
	}
	defer out.Close()
	if s.Stdin, err = os.Open(os.DevNull); err != nil {
		return container.Exit{}, errors.Join(err, in.Close())
	}
	defer s.Stdin.Close()
	to := s.Stdout
	s.Stdout = in
	ctx, cancel := context.WithCancel(ctx)
	read := make(chan error, 1)
	go func() {
		read <- listen(out, to, mark, func() error {
			if err := r.saveStanding(); err != nil {
				cancel() // nobody could find the container
				return err
			}
			stay.Ready(r.l.session.ID)
			return nil
		})
	}()
	flushed := r.l.flushes(ctx)
	exit, gone, err := container.Run(ctx, r.engine, s, nil)
	r.leave(gone)
	cancel()
	<-flushed
	in.Close()
	return exit, errors.Join(<-read, err)
}

// listen passes on what a container that stays says, to its end, but for its word that it is up.
func listen(from io.Reader, to io.StringWriter, mark string, up func() error) (failed error) {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadString('\n')
		if strings.TrimRight(line, "\r\n") != mark {
			_, _ = to.WriteString(line)
		} else {
			failed = errors.Join(failed, up())
		}
		if err != nil {
			return failed
		}
	}
}

func (r *containerRuntime) saveStanding() error {
	data, err := json.MarshalIndent(Standing{r.opts.Workdir, r.image.ID, r.opts.Enter, r.l.opts.Stay.Settings}, "", "  ")
	if err != nil {
		return err
	}
	return safety.WriteFileDurably(filepath.Join(r.l.session.Dir(), stayName), append(data, '\n'), 0o600)
}

// flushes answers what asks for it, until ctx is done. The channel is closed when that is over.
func (l *launch) flushes(ctx context.Context) <-chan struct{} {
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case answer := <-l.opts.Stay.Flush:
				answer(l.flushAll(ctx))
			case <-ctx.Done():
				return
			}
		}
	}()
	return over
}

func (l *launch) flushAll(ctx context.Context) error {
	_, err := l.syncer.Reconcile(ctx)
	for _, m := range l.mounts {
		if m.launch != nil && m.launch.syncer != nil {
			_, merr := m.launch.syncer.Reconcile(ctx)
			err = errors.Join(err, merr)
		}
	}
	return err
}

// EnterOptions are a further command in a container that stays.
type EnterOptions struct {
	Command               []string
	Dir                   safety.RelPath // below the container's working directory
	Env                   []string       // K=V set, or K passed on
	Stdin, Stdout, Stderr *os.File
	Signals               <-chan os.Signal
}

// ErrDown means that a session's container does not run.
var ErrDown = errors.New("its container does not run")

// Enter runs a command in a session's container that stays, and returns the code it ended with.
func Enter(ctx context.Context, state *mirror.StateDir, s *mirror.Session, at Standing, o EnterOptions) (code int, err error) {
	engine, err := connect(ctx, s.Engine)
	if err != nil {
		return ownFailure, fmt.Errorf("session %s: %w", s.ID, err)
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	found, err := engine.Find(ctx, labelSession+"="+s.ID, labelState+"="+stateLabel(state))
	if err != nil {
		return ownFailure, err
	}
	running := slices.IndexFunc(found, func(c docker.Container) bool { return c.Running })
	if running < 0 {
		return ownFailure, fmt.Errorf("session %s: %w", s.ID, ErrDown)
	}
	dir := at.Workdir
	if o.Dir != safety.Top {
		dir += "/" + string(o.Dir)
	}
	c := Container{Enter: cmp.Or(at.Enter, ":")} // a shell in any case: engines differ in the code of what is not found
	exit, err := container.Exec(ctx, engine, found[running].ID, container.ExecSpec{
		Command: c.command(o.Command), Env: containerEnv(s.ID, s.Project, nil, o.Env, dir), Dir: dir,
		Stdin: cmp.Or(o.Stdin, os.Stdin), Stdout: cmp.Or(o.Stdout, os.Stdout), Stderr: cmp.Or(o.Stderr, os.Stderr), Signals: o.Signals,
	})
	if err != nil && exit.Code == 0 {
		exit.Code = ownFailure
	}
	return exit.Code, err
}
