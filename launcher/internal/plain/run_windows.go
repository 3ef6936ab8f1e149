package plain

import (
	"context"
	"errors"
	"fmt"
)

// Leftovers reports whether processes that outlive the command are found and ended here.
func Leftovers() error { return fmt.Errorf("end left-over processes: %w", errors.ErrUnsupported) }

func runCommand(context.Context, Spec) (Exit, error) {
	return Exit{}, fmt.Errorf("run commands on Windows: %w", errors.ErrUnsupported)
}
