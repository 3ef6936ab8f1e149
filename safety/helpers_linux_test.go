package safety

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// makeSpecials makes what may not be opened: a FIFO, a socket and, as root, devices.
func makeSpecials(t *testing.T, dir string) {
	must(t, unix.Mkfifo(dir+"/fifo", 0o666))
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	// A socket's address is short; the name is not.
	wd, err := os.Open(dir)
	must(t, err)
	defer wd.Close()
	must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: procPath(int(wd.Fd())) + "/sock"}))
	if os.Geteuid() == 0 {
		must(t, unix.Mknod(dir+"/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	}
}

func setUmask(mask int) (restore func()) {
	old := unix.Umask(mask)
	return func() { unix.Umask(old) }
}
