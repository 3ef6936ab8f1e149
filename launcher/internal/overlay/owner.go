package overlay

import (
	"io/fs"
	"os"
	"slices"
)

// Owner is whom an overlay's files are given to. Without Give, they are whoever's who makes them.
type Owner struct {
	UID, GID int
	Give     bool
}

// GiveAll gives a directory and all in it away. Its top is last: after a kill in between it counts as not given.
func GiveAll(dir string, owner Owner) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	var names []string
	err = fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.Type().IsRegular() && linkedElsewhere(d) {
			return err // it may be somebody else's file
		}
		names = append(names, p)
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range slices.Backward(names) {
		if err := root.Lchown(name, owner.UID, owner.GID); err != nil {
			return err
		}
	}
	return nil
}
