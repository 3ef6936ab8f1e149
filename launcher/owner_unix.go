//go:build unix

package launcher

import (
	"os"
	"syscall"

	"github.com/alca-mount/alca-mount/launcher/internal/container"
)

// ownerOf is whom the mirror's files belong to: us, and as root whoever has the project.
func ownerOf(project string) container.Owner {
	own := container.Owner{UID: os.Geteuid(), GID: os.Getegid()}
	info, err := os.Stat(project)
	if err != nil || own.UID != 0 {
		return own
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return container.Owner{UID: int(st.Uid), GID: int(st.Gid)}
	}
	return own
}
