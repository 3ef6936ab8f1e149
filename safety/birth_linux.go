package safety

import "golang.org/x/sys/unix"

// Birth is when the staged inode was made, in nanoseconds since 1970, which tells it from a later one of its number; 0
// where the file system does not say. Of what is no longer staged it is 0, too.
func (st *Staged) Birth() int64 {
	if st.fd < 0 || st.store.root.sys.may(OpStageStat, st.name) != nil {
		return 0
	}
	var stx unix.Statx_t
	err := retry(func() error { return unix.Statx(st.fd, "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &stx) })
	if err != nil || stx.Mask&unix.STATX_BTIME == 0 {
		return 0
	}
	return stx.Btime.Sec*1e9 + int64(stx.Btime.Nsec)
}
