//go:build unix

package mirror

import (
	"os"

	"github.com/alca-mount/alca-mount/safety"
	"golang.org/x/sys/unix"
)

// statFile describes an open regular file.
func statFile(f *os.File) (safety.Info, error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return safety.Info{}, err
	}
	var st unix.Stat_t
	var statErr error
	if err := conn.Control(func(fd uintptr) { statErr = unix.Fstat(int(fd), &st) }); err != nil {
		return safety.Info{}, err
	}
	return safety.Info{
		Kind: safety.File, Mode: uint32(st.Mode) & 0o7777, Size: st.Size, Mtime: st.Mtim.Nano(), Ctime: st.Ctim.Nano(),
		Ino: st.Ino, Dev: uint64(st.Dev), Nlink: uint64(st.Nlink), UID: st.Uid, GID: st.Gid, Blocks: st.Blocks,
	}, statErr
}
