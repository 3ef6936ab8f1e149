//go:build !unix

package launcher

import "github.com/alca-mount/alca-mount/launcher/internal/container"

func ownerOf(string) container.Owner { return container.Owner{} }
