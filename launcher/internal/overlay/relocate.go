package overlay

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
)

// maxScript is how long a script of a Python environment may be to be looked at.
const maxScript = 1 << 20

// Relocate makes a Python environment in dir, which was used at the absolute path from, work at to: its scripts name the
// interpreter by its whole path, and would run the one at from. Other directories are left alone. Everything happens
// below dir, whatever links the agent made in it.
func Relocate(dir, from, to string) error {
	if from == "" || from == to {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if info, err := root.Lstat("pyvenv.cfg"); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	names := []string{"pyvenv.cfg"}
	entries, err := fs.ReadDir(root.FS(), "bin")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, path.Join("bin", e.Name()))
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if err := rewrite(root, name, []byte(from), []byte(to)); err != nil {
			return err
		}
	}
	return nil
}

// rewrite replaces the file rather than write into it: it may be a hard link.
func rewrite(root *os.Root, name string, from, to []byte) error {
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxScript {
		return err
	}
	text, err := root.ReadFile(name)
	if err != nil || bytes.IndexByte(text, 0) >= 0 || !bytes.Contains(text, from) {
		return err
	}
	temp := name + ".alca-mount-new"
	_ = root.Remove(temp)
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(bytes.ReplaceAll(text, from, to))
	err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Close())
	if err == nil {
		err = root.Rename(temp, name)
	}
	return err
}
