package namespace

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// harmless are the devices that a program expects and that lead to nobody's files.
func harmless() []string {
	return []string{"null", "zero", "full", "random", "urandom", "tty", "dri/*", "nvidia*", "kfd", "kvm"}
}

// devices gives CMD a /dev without disks, and without anybody's terminals but its own.
func (b *builder) devices() error {
	var kept []*os.File
	defer func() { closeAll(kept) }()
	for _, pattern := range harmless() {
		names, err := filepath.Glob("/dev/" + pattern)
		if err != nil {
			return err
		}
		for _, name := range names {
			f, err := openPath(name)
			if err != nil {
				return err
			}
			kept = append(kept, f)
		}
	}
	const nosuid = unix.MS_NOSUID | unix.MS_NOEXEC
	if err := unix.Mount("tmpfs", "/dev", "tmpfs", nosuid, "size=1m,mode=0755"); err != nil {
		return fmt.Errorf("mount a /dev of our own: %w", err)
	}
	for _, f := range kept {
		if err := keepDevice(f); err != nil {
			return err
		}
	}
	for name, to := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx",
	} {
		if err := os.Symlink(to, "/dev/"+name); err != nil {
			return err
		}
	}
	for _, dir := range []string{"/dev/pts", "/dev/shm"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	const options = "newinstance,ptmxmode=0666,mode=0620"
	err := unix.Mount("devpts", "/dev/pts", "devpts", nosuid, options+",gid=5")
	if err == unix.EINVAL { // the group of terminals is not known in here
		err = unix.Mount("devpts", "/dev/pts", "devpts", nosuid, options)
	}
	if err != nil {
		return fmt.Errorf("mount terminals of our own: %w", err)
	}
	if err := tmpfs("/dev/shm", "mode=1777", 0); err != nil {
		return err
	}
	return unix.Mount("", "/dev", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|nosuid, "")
}

func keepDevice(f *os.File) error {
	at := f.Name()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		if !strings.HasPrefix(filepath.Base(at), "nvidia") {
			return nil // names of names
		}
		if err := os.Mkdir(at, 0o755); err != nil {
			return err
		}
		return bind(procPath(f), at)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR {
		return nil
	}
	if err := os.WriteFile(at, nil, 0o600); err != nil {
		return err
	}
	return bind(procPath(f), at)
}
