//go:build !linux

package container

import (
	"fmt"
)

// startService: elsewhere Podman runs in a virtual machine, which is the user's to start.
func startService() (*service, error) {
	return nil, fmt.Errorf("%w: Podman's machine does not run (podman machine start)", errAbsent)
}
