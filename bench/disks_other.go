//go:build !linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
)

type disk struct{ kind, dir string }

func newDisk(_ context.Context, kind, _ string) (*disk, error) {
	return nil, fmt.Errorf("a %s of its own: %w", kind, errors.ErrUnsupported)
}

func (d *disk) remove() error { return nil }

func settle() {}

func highest(*exec.Cmd) int64 { return 0 }
