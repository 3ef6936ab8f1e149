package safety

import "os"

// Stat describes an open file.
func Stat(f *os.File) (info Info, err error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return Info{}, err
	}
	if cerr := conn.Control(func(fd uintptr) { info, err = (&sys{}).fstat(OpFileStat, int(fd), f.Name()) }); cerr != nil {
		return Info{}, cerr
	}
	return info, err
}
