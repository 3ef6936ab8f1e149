//go:build !linux

package namespace

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/alca-mount/alca-mount/launcher/internal/plain"
	"github.com/alca-mount/alca-mount/safety"
)

// Namespace is a place that a command runs in. There is none here.
type Namespace struct{}

// Inside does nothing here.
func Inside() {}

// Landlock is Linux's.
func Landlock() int { return 0 }

// Start says that there are no namespaces.
func Start(bool) (*Namespace, error) {
	return nil, fmt.Errorf("namespaces are Linux's: %w", errors.ErrUnsupported)
}

// Build is never reached.
func (*Namespace) Build(context.Context, Options) (Facts, error) {
	return Facts{}, errors.ErrUnsupported
}

// Run is never reached.
func (*Namespace) Run(context.Context, plain.Spec) (plain.Exit, error) {
	return plain.Exit{}, errors.ErrUnsupported
}

// Show is never reached.
func (*Namespace) Show(safety.RelPath, *os.File) error { return errors.ErrUnsupported }

// Protect is never reached.
func (*Namespace) Protect(safety.RelPath, bool) error { return errors.ErrUnsupported }

// Close has nothing to do.
func (*Namespace) Close() error { return nil }
