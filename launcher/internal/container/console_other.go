//go:build !unix

package container

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/alca-mount/alca-mount/launcher/internal/docker"
)

func passedOn(syscall.Signal) bool { return true }

type console struct{}

func lookConsole(_, _, _ *os.File) console { return console{} }

func (*console) take() error {
	return fmt.Errorf("containers on this system: %w", errors.ErrUnsupported)
}

func (*console) tty() bool                           { return false }
func (*console) resized() <-chan os.Signal           { return nil }
func (*console) gone() <-chan struct{}               { return nil }
func (*console) unheard() <-chan struct{}            { return nil }
func (*console) size() (rows, cols uint, ok bool)    { return 0, 0, false }
func (*console) hear(*docker.Stream) <-chan struct{} { return nil }
func (*console) speak(*docker.Stream)                {}
func (*console) close()                              {}
