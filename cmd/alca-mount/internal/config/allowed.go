package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/alca-mount/alca-mount/safety"
)

// allowedName is the file in a project's folder of the state directory that remembers what the user allowed.
const allowedName = "allowed.json"

// grant is what the user allowed: these files as they were, and what they asked for, with variables and links resolved.
type grant struct {
	Project string   `json:"project"`
	Sum     string   `json:"sum"`
	Needs   []string `json:"needs"`
}

// grantFor is the grant that all needs of m take, with those beside an agent's login: what is shown is what is allowed.
func (m *Merged) grantFor() grant {
	g := grant{Project: m.Project, Sum: m.Sum(), Needs: []string{}}
	for _, n := range append(m.Needs(), m.ProfileNeeds()...) {
		g.Needs = append(g.Needs, n.Key+": "+n.Text)
	}
	return g
}

// Sum is one hash of names and content of all files of the project's layer, in hex. The names are whole paths: what is
// allowed for one project is not for another.
func (m *Merged) Sum() string {
	h := sha256.New()
	for _, f := range m.Files {
		if f.Layer == Project {
			fmt.Fprintf(h, "%q %s\n", f.Path, f.Sum)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Allowed reports whether the user has allowed the project's layer as it is now. dir is the project's folder in the
// state directory. Where that can't be told it is not allowed, and the error says why.
func (m *Merged) Allowed(dir string) (bool, error) {
	data, err := os.ReadFile(filepath.Join(dir, allowedName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	var given grant
	if err == nil {
		err = json.Unmarshal(data, &given)
	}
	if err != nil {
		return false, fmt.Errorf("what was allowed: %w", err)
	}
	want := m.grantFor()
	if given.Sum != want.Sum {
		return false, nil
	}
	for _, need := range want.Needs {
		if !slices.Contains(given.Needs, need) {
			return false, nil
		}
	}
	return true, nil
}

// Allow remembers that the user allows the project's layer as it is now. dir must be there, and be the user's alone.
func (m *Merged) Allow(dir string) error {
	data, err := json.MarshalIndent(m.grantFor(), "", "  ")
	if err != nil {
		return err
	}
	return safety.WriteFileDurably(filepath.Join(dir, allowedName), append(data, '\n'), 0o600)
}

// Revoke forgets what was allowed and reports whether there was anything.
func Revoke(dir string) (bool, error) {
	err := os.Remove(filepath.Join(dir, allowedName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
