package namespace

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// copyVersion makes to a copy of a file, with the owner that it is to be seen with, its time and mode but for the write bits.
func copyVersion(to string, version *os.File, owner func(uid, gid int) (int, int)) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(version.Fd()), &st); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, io.NewSectionReader(version, 0, 1<<62)); err != nil {
		return fmt.Errorf("copy to %s: %w", to, err)
	}
	if os.Getuid() == 0 {
		if err := out.Chown(owner(int(st.Uid), int(st.Gid))); err != nil {
			return err
		}
	}
	if err := out.Chmod(os.FileMode(st.Mode & 0o555)); err != nil {
		return err
	}
	times := []unix.Timespec{st.Atim, st.Mtim}
	return unix.UtimesNanoAt(unix.AT_FDCWD, to, times, unix.AT_SYMLINK_NOFOLLOW)
}
