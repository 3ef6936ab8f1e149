package safety

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Another worker looks, under another name of the file, whether somebody writes to it.
func TestOpenForRewritingWaitsForALookAtWriters(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "f"), "f")
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		fd, err := unix.Open(filepath.Join(dir, "f"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		for err == nil {
			writing(fd)
			select {
			case <-quit:
				unix.Close(fd)
				return
			default:
			}
		}
	}()
	for range 2000 {
		fd, err := new(sys).openRewrite(OpInOpen, unix.AT_FDCWD, filepath.Join(dir, "f"))
		if err != nil {
			t.Error(err)
			break
		}
		closeFD(fd)
	}
	close(quit)
	<-done
}
