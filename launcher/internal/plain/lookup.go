//go:build linux || darwin

package plain

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// defaultPath is where commands are looked for without a PATH, as execvp does.
const defaultPath = "/bin:/usr/bin"

// errUnseen marks a file that may be there, in a directory that we may not search.
var errUnseen = errors.New("can't be seen")

// checkDir tells a working directory that can't be entered from a command that can't be found: the kernel answers both alike.
func checkDir(dir string) error {
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "chdir", Path: dir, Err: unix.ENOTDIR}
	}
	if err == nil {
		err = unix.Access(dir, unix.X_OK)
	}
	if err != nil {
		return fmt.Errorf("enter working directory %s: %w", dir, err)
	}
	return nil
}

// lookup finds the file that a shell in dir with this environment would run for name.
// A relative name or PATH entry means one below dir; an empty entry is dir itself. A match that can't be executed is passed over.
func lookup(name, dir string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return executable(name, below(dir, name))
	}
	worst := fmt.Errorf("%s: %w", name, ErrNotFound)
	if name == "" {
		return "", worst
	}
	for _, entry := range strings.Split(searchPath(env), ":") {
		if entry == "" {
			entry = "."
		}
		file, err := executable(name, below(dir, entry+"/"+name))
		if err == nil {
			return file, nil
		}
		// A directory that we may not search has nothing for us, as for the shells.
		if errors.Is(err, ErrNotExecutable) && !errors.Is(err, errUnseen) {
			worst = err
		}
	}
	return "", worst
}

// find looks for a command that PATH leads to. One with a slash may be in a directory that is made yet.
func find(name, dir string, env []string) error {
	if strings.Contains(name, "/") {
		return nil
	}
	_, err := lookup(name, dir, env)
	return err
}

// below makes a path absolute: a relative one is meant from dir. It is not cleaned, so that ".." follows links as the kernel does.
func below(dir, path string) string {
	if dir == "" || strings.HasPrefix(path, "/") {
		return path
	}
	return dir + "/" + path
}

// executable checks that file can be run. Directories can't, though they have the bits.
func executable(name, file string) (string, error) {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR):
		return "", fmt.Errorf("%s: %w", name, ErrNotFound)
	case err != nil:
		return "", fmt.Errorf("%s: %w: %w: %w", name, ErrNotExecutable, errUnseen, err)
	case info.IsDir():
		return "", fmt.Errorf("%s: %w: is a directory", name, ErrNotExecutable)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, file, unix.X_OK, unix.AT_EACCESS); err != nil {
		return "", fmt.Errorf("%s: %w: %w", name, ErrNotExecutable, err)
	}
	return file, nil
}

// searchPath is the last PATH of an environment, as execve's receivers read it.
func searchPath(env []string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(env[i], "PATH="); ok {
			return value
		}
	}
	return defaultPath
}

// Lookup finds the file that Run would run, with the same errors. dir is where relative names start, and must be one that
// can be entered.
func Lookup(name, dir string, env []string) (string, error) {
	if err := checkDir(dir); err != nil {
		return "", err
	}
	return lookup(name, dir, env)
}
