package autosync

import (
	"path/filepath"

	"github.com/alca-mount/alca-mount/safety"
	"golang.org/x/sys/unix"
)

// birthOf is when an inode was made, in nanoseconds since 1970; 0 where the file system does not tell.
//
// RACE: the path may lead elsewhere by now, even outside. Nothing is read there but times, and they count only when
// inode and device are those that were seen inside the root.
func birthOf(root *safety.Root, p safety.RelPath, info safety.Info) int64 {
	var st unix.Statx_t
	full := filepath.Join(root.Path(), filepath.FromSlash(string(p)))
	err := unix.Statx(unix.AT_FDCWD, full, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BTIME|unix.STATX_INO, &st)
	if err != nil || st.Mask&unix.STATX_BTIME == 0 || st.Ino != info.Ino || unix.Mkdev(st.Dev_major, st.Dev_minor) != info.Dev {
		return 0
	}
	return st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
}
