package launcher

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// homeTarget is the agent's home directory in a container.
const homeTarget = "/alca-home"

// ProfileUsed is what a container got of its user's home directory and environment.
type ProfileUsed struct {
	Name   string
	Home   string   // the host's directory that is the agent's home, kept for the project
	Files  []string // copied now, relative to the home directory
	Env    []string // passed on
	Before []string // copied before, and not changed by the user since
}

// prepareHome makes the agent's home for a project, and brings those files of the user's there that are new or have
// changed since they were brought last: what the agent made of them meanwhile stays otherwise. Nothing ever goes back.
func prepareHome(state *mirror.StateDir, project, userHome string, p Profile) (*ProfileUsed, error) {
	dir, err := state.MakeProjectDir(project)
	if err != nil {
		return nil, err
	}
	used := &ProfileUsed{Name: p.Name, Home: filepath.Join(dir, "homes", p.Name)}
	if err := os.MkdirAll(used.Home, 0o700); err != nil {
		return nil, err
	}
	home, err := os.OpenRoot(used.Home) // the agent may have left links in it: nothing is written through one that leads out
	if err != nil {
		return nil, err
	}
	defer home.Close()
	b := bringer{home: home, owner: ownerOf(project).UID, group: ownerOf(project).GID}
	brought := readBrought(used.Home + ".json")
	for _, file := range p.Files {
		stamp, err := b.bring(filepath.Join(userHome, filepath.FromSlash(file)), file, brought[file])
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, fmt.Errorf("profile %s: %s: %w; --no-profile leaves it out, and without %s it begins anew", p.Name, file, err, used.Home)
		case stamp == brought[file]:
			used.Before = append(used.Before, file)
		default:
			used.Files = append(used.Files, file)
		}
		brought[file] = stamp
	}
	for _, file := range slices.Sorted(maps.Keys(p.Made)) {
		if _, err := home.Lstat(file); errors.Is(err, fs.ErrNotExist) {
			if err := b.write(file, []byte(p.Made[file]), 0o600); err != nil {
				return nil, fmt.Errorf("profile %s: %s: %w", p.Name, file, err)
			}
		}
	}
	if err := b.own("."); err != nil {
		return nil, err
	}
	data, err := json.Marshal(brought)
	if err == nil {
		err = safety.WriteFileDurably(used.Home+".json", data, 0o600)
	}
	return used, err
}

func readBrought(file string) map[string]string {
	brought := map[string]string{}
	data, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(data, &brought) != nil || brought == nil {
		return map[string]string{} // all is brought anew
	}
	return brought
}

// bringer writes to an agent's home, as whom the container runs as.
type bringer struct {
	home         *os.Root
	owner, group int
}

// mostBrought is the size above which a file is no settings file.
const mostBrought = 4 << 20

// bring copies the user's file from, unless it is the one that was brought before.
func (b bringer) bring(from, to, before string) (stamp string, err error) {
	info, err := os.Stat(from) // settings may be links to where the user keeps them
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > mostBrought {
		return "", fmt.Errorf("expected a file of at most %d bytes", mostBrought)
	}
	stamp = fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano())
	if _, err := b.home.Lstat(to); err == nil && stamp == before {
		return stamp, nil
	}
	f, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, mostBrought))
	if err != nil {
		return "", err
	}
	return stamp, b.write(to, data, 0o600)
}

// write places a file in one step.
func (b bringer) write(to string, data []byte, mode fs.FileMode) error {
	for dir := path.Dir(to); dir != "."; dir = path.Dir(dir) {
		defer func() { _ = b.own(dir) }() // a directory that can't be given away is seen when the file is
	}
	if err := b.home.MkdirAll(path.Dir(to), 0o700); err != nil {
		return err
	}
	temp := path.Join(path.Dir(to), ".alca-mount-brought")
	if err := b.home.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := b.home.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close(), b.own(temp)); err == nil {
		err = b.home.Rename(temp, to)
	}
	if err != nil {
		return errors.Join(err, b.home.Remove(temp))
	}
	return nil
}

// own gives a path to whom the container runs as: only root can, and only root has to.
func (b bringer) own(name string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return b.home.Lchown(name, b.owner, b.group)
}
