package mirror

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"

	"github.com/alca-mount/alca-mount/safety"
)

// GitMoved reports whether the mirror's repository has other branches, tags or another HEAD than when it was copied:
// the agent has committed, and the commits are nowhere else. A repository
// in a mirror that was given none is the agent's altogether.
func (m *Mirror) GitMoved() (bool, error) {
	if m.Session.GitRefs == "" {
		info, err := m.Root.Lstat(".git")
		return info.Kind != safety.Absent, err
	}
	now, err := gitRefs(m.Root)
	return now != m.Session.GitRefs, err
}

// gitRefs is a digest of all that names commits in the repository at the top of root.
func gitRefs(root *safety.Root) (string, error) {
	h := sha256.New()
	for _, name := range []safety.RelPath{".git/HEAD", ".git/packed-refs"} {
		if err := addFile(h, root, name); err != nil {
			return "", err
		}
	}
	err := root.Walk(".git/refs", func(p safety.RelPath, info safety.Info) error {
		if info.Kind != safety.File {
			return nil
		}
		return addFile(h, root, p)
	})
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// addFile adds a file's name and content; one that is not there adds nothing.
func addFile(h hash.Hash, root *safety.Root, p safety.RelPath) error {
	f, info, err := root.Open(p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	fmt.Fprintf(h, "%q %d\n", p, info.Size)
	_, err = io.Copy(h, f)
	return err
}
