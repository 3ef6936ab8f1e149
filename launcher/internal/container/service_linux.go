package container

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// idleSeconds is after which time without a connection the service ends by itself: when we were killed. While we live we
// hold one, or end it ourselves.
const idleSeconds = "30"

const servicePrefix = "alca-mount-podman-"

// sweepServices removes what launches that were killed have left: directories of ours whose socket nobody answers at. Their
// services have ended by themselves.
func sweepServices() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), servicePrefix+"*"))
	for _, dir := range left {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || info.Sys().(*syscall.Stat_t).Uid != uint32(os.Geteuid()) || time.Since(info.ModTime()) < time.Minute {
			continue // another's, or just being started
		}
		sock := filepath.Join(dir, "podman.sock")
		conn, err := net.Dial("unix", sock)
		if err == nil {
			conn.Close()
			continue
		}
		_ = os.Remove(sock)
		_ = os.Remove(dir) // only what is empty: it is a name that anybody may take
	}
}

// startService starts Podman's service on a socket that only we can reach; where it answers, is for await to see.
func startService() (*service, error) {
	podman, err := exec.LookPath("podman")
	if err != nil {
		return nil, fmt.Errorf("%w: podman is not installed", errAbsent)
	}
	dir, err := os.MkdirTemp("", servicePrefix)
	if err != nil {
		return nil, err
	}
	sock := filepath.Join(dir, "podman.sock")
	cmd := exec.Command(podman, "system", "service", "--time", idleSeconds, "unix://"+sock)
	// A session of its own: the terminal's Ctrl-C is CMD's, and the containers' monitors are its children.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	said := &bytes.Buffer{}
	cmd.Stderr = said
	cmd.WaitDelay = time.Second // what it leaves running has its stderr
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	end := func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		return os.RemoveAll(dir)
	}
	await := func(ctx context.Context) error {
		sweepServices()
		err := answers(ctx, sock, ended)
		if err != nil {
			ended := end() // after it, nothing more is said
			err = errors.Join(fmt.Errorf("%w: %s", err, strings.TrimSpace(said.String())), ended)
		}
		return err
	}
	return &service{host: "unix://" + sock, await: await, end: end}, nil
}

// answers waits until somebody listens at the socket.
func answers(ctx context.Context, sock string, ended <-chan struct{}) error {
	for {
		conn, err := net.Dial("unix", sock)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", ctx.Err())
		case <-ended:
			return errors.New("it ended")
		case <-time.After(time.Millisecond): // it is what a launch waits for
		}
	}
}
