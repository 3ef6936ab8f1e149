package safety

import "golang.org/x/sys/unix"

// statBirth describes what fd is open on, and says when that inode was made, in nanoseconds since 1970; 0 where the file
// system does not say.
func (s *sys) statBirth(op Op, fd int, name string) (Info, int64, error) {
	stx, err := s.statx(op, fd, name, unix.STATX_BASIC_STATS|unix.STATX_BTIME)
	if err != nil {
		return Info{}, 0, err
	}
	if stx.Mask&unix.STATX_BTIME == 0 {
		return infoOfX(stx), 0, nil
	}
	return infoOfX(stx), nanos(stx.Btime), nil
}

// pinned describes what pin opened, and says whether something is mounted there; where the kernel can't tell, Place says
// EBUSY.
func (s *sys) pinned(op Op, fd, parent int, name string) (Info, bool, error) {
	stx, err := s.statx(op, fd, name, unix.STATX_BASIC_STATS)
	if err != nil {
		return Info{}, false, err
	}
	return infoOfX(stx), stx.Attributes&stx.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// statx describes what fd is open on. Where a filter refuses the call, as old container engines' do, it says less.
func (s *sys) statx(op Op, fd int, name string, mask int) (*unix.Statx_t, error) {
	if err := s.may(op, name); err != nil {
		return nil, err
	}
	var stx unix.Statx_t
	err := retry(func() error { return unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_NO_AUTOMOUNT, mask, &stx) })
	if err == nil {
		return &stx, nil
	}
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return nil, err
	}
	return basicOf(&st), nil
}

// basicOf is what statx would say if it knew no more than fstat.
func basicOf(st *unix.Stat_t) *unix.Statx_t {
	return &unix.Statx_t{
		Mask: unix.STATX_BASIC_STATS, Mode: uint16(st.Mode), Ino: st.Ino, Size: uint64(st.Size), Blocks: uint64(st.Blocks),
		Nlink: uint32(st.Nlink), Uid: st.Uid, Gid: st.Gid, Dev_major: unix.Major(uint64(st.Dev)), Dev_minor: unix.Minor(uint64(st.Dev)),
		Mtime: unix.StatxTimestamp{Sec: st.Mtim.Sec, Nsec: uint32(st.Mtim.Nsec)},
		Ctime: unix.StatxTimestamp{Sec: st.Ctim.Sec, Nsec: uint32(st.Ctim.Nsec)},
	}
}

func infoOfX(x *unix.Statx_t) Info {
	return Info{
		Kind: kindOf(uint32(x.Mode)), Mode: uint32(x.Mode) & 0o7777, Size: int64(x.Size),
		Mtime: nanos(x.Mtime), Ctime: nanos(x.Ctime), Ino: x.Ino, Dev: unix.Mkdev(x.Dev_major, x.Dev_minor),
		Nlink: uint64(x.Nlink), UID: x.Uid, GID: x.Gid, Blocks: int64(x.Blocks),
	}
}

func nanos(t unix.StatxTimestamp) int64 { return t.Sec*1e9 + int64(t.Nsec) }
