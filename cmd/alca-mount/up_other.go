//go:build !unix

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/alca-mount/alca-mount/mirror"
)

func (a *app) startKeeper(*mirror.StateDir, string) error {
	return fmt.Errorf("containers that stay, on this system: %w", errors.ErrUnsupported)
}

func (a *app) endKeeper(context.Context, *mirror.Session) error { return errors.ErrUnsupported }

func askFlush(context.Context, *mirror.Session) error { return errors.ErrUnsupported }

func tellParent(string) {}

func allTold(*mirror.StateDir, string) {}

func flushRequests(*mirror.StateDir, string) (<-chan func(error), func()) { return nil, func() {} }
