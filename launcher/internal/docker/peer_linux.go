package docker

import (
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ownerOfSocket is the user who listens at a host's socket, as the kernel saw it when the listening began.
func ownerOfSocket(host string) (uid int, known bool) {
	path, isUnix := strings.CutPrefix(host, "unix://")
	if !isUnix {
		return 0, false
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return 0, false
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			uid, known = int(cred.Uid), true
		}
	})
	return uid, known && err == nil
}

// hasSELinux reports whether the kernel labels files.
func hasSELinux() bool {
	_, err := os.Stat("/sys/fs/selinux/enforce")
	return err == nil
}
