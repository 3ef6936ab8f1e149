package safety

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// OpenStore finds the first of dirs, then of the fallbacks, in which a probe exchange with root works: the same device
// number is not enough (EXDEV across bind mounts and btrfs subvolumes). Where none works, the first from which a
// rename works. The fallbacks are a 0700 folder ".alca-mount-UID/NAME" at the top of the root's mount, then the
// reserved name ".alca-mount-store/NAME" in root itself.
// With durable set, what is staged and placed is fsynced before it may replace anything.
func OpenStore(root *Root, durable bool, name string, dirs ...string) (*Store, error) {
	if !validName(name) {
		return nil, fmt.Errorf("open store %q: %w", name, ErrBadPath)
	}
	var second *Store
	var errs []error
	for _, c := range candidates(root, name, dirs) {
		s, err := openCandidate(root, c)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.durable = durable
		if s.placing == Exchange {
			second.Abandon()
			return s, s.hideFromGit()
		}
		if second == nil {
			second = s
			continue
		}
		s.Abandon()
	}
	if second != nil {
		return second, second.hideFromGit()
	}
	return nil, fmt.Errorf("no place on the file system of %q for a store: %w", root.path, errors.Join(errs...))
}

// ReopenStore opens a store that is there to settle what is in it, also where nothing can be placed from it at the
// moment: the version that a slot holds is in that folder and in no other.
func ReopenStore(root *Root, dir string) (*Store, error) {
	fd, pathOnly, err := root.sys.openRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", dir, err)
	}
	return &Store{root: root, dir: dir, durable: true, folder: &Dir{sys: root.sys, name: dir, fd: fd, pathOnly: pathOnly}}, nil
}

// hideFromGit keeps a store that has to lie inside its root out of git's sight: what is in it is old versions, some of
// them hidden by rules made since.
func (s *Store) hideFromGit() error {
	if !strings.HasPrefix(s.dir, s.root.path+string(filepath.Separator)) {
		return nil
	}
	f, err := s.folder.Create(".gitignore", 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString("*\n")
	return errors.Join(err, f.Close())
}

// candidate is a folder that may become a store: parents are made if missing, 0700 and ours.
type candidate struct {
	parent string // "": dir's own parent must exist
	dir    string
}

func candidates(root *Root, name string, dirs []string) []candidate {
	var out []candidate
	for _, d := range dirs {
		out = append(out, candidate{dir: d})
	}
	if top := mountTop(root); top != root.path {
		own := filepath.Join(top, reservedPrefix+strconv.Itoa(os.Geteuid()))
		out = append(out, candidate{own, filepath.Join(own, name)})
	}
	own := filepath.Join(root.path, reservedPrefix+"store")
	return append(out, candidate{own, filepath.Join(own, name)})
}

// mountTop is the highest directory above root from which a rename into root is possible: the top of its mount.
func mountTop(root *Root) string {
	top := root.path
	for dir := filepath.Dir(top); dir != top && reaches(root, dir); dir = filepath.Dir(dir) {
		top = dir
	}
	return top
}

func reaches(root *Root, dir string) bool {
	fd, _, err := root.sys.openRoot(dir)
	if err != nil {
		return false
	}
	defer closeFD(fd)
	info, err := root.sys.fstat(OpProbe, fd, dir)
	if err != nil || info.Dev != root.info.Dev {
		return false
	}
	return root.top.use(func(rootfd int) error { return probeMount(root.sys, fd, rootfd) }) == nil
}

// probeMount asks the kernel itself whether names can be moved between the two directories. It tries to move a name
// that does not exist, so that nothing shows in the root: ENOENT means that both are on one mount.
func probeMount(s *sys, a, b int) error {
	absent := reservedPrefix + "probe-" + rand.Text()
	err := s.rename(OpProbe, a, absent, b, absent, overwrite)
	if isAbsent(err) {
		return nil
	}
	if err == nil {
		return errors.New("a rename of nothing worked")
	}
	return err
}

func openCandidate(root *Root, c candidate) (*Store, error) {
	if c.parent != "" {
		if err := makePrivate(root.sys, c.parent); err != nil {
			removeEmptied(c.dir)
			return nil, err
		}
	}
	if err := makePrivate(root.sys, c.dir); err != nil {
		removeEmptied(c.dir)
		return nil, err
	}
	fd, pathOnly, err := root.sys.openRoot(c.dir)
	if err != nil {
		removeEmptied(c.dir)
		return nil, fmt.Errorf("open store %q: %w", c.dir, err)
	}
	s := &Store{root: root, dir: c.dir, folder: &Dir{sys: root.sys, name: c.dir, fd: fd, pathOnly: pathOnly}}
	s.placing, err = s.probe()
	if err != nil {
		s.Abandon()
		return nil, fmt.Errorf("probe store %q: %w", c.dir, err)
	}
	return s, nil
}

// makePrivate makes the directory, 0700; one that is there must belong to us and be open to nobody else: at the top of
// a shared mount anybody may have put one.
func makePrivate(s *sys, dir string) error {
	err := s.mkdirPath(OpMkdir, dir, 0o700)
	if err != nil && !isExist(err) {
		return fmt.Errorf("make store %q: %w", dir, err)
	}
	info, err := s.lstatPath(OpDirStat, dir)
	if err != nil {
		return fmt.Errorf("look at store %q: %w", dir, err)
	}
	if uid, _ := ownIDs(); info.Kind != Directory || info.UID != uid || info.Mode&0o077 != 0 {
		return fmt.Errorf("store %q is a %v of user %d with mode %04o: %w", dir, info.Kind, info.UID, info.Mode, os.ErrPermission)
	}
	return nil
}

// Abandon closes the store of a start that failed, and removes its folder where nothing is kept in it: what could not be
// used must not be left in a project. The nil Store has nothing to close.
func (s *Store) Abandon() {
	if s != nil {
		s.folder.Close()
		removeEmptied(s.dir)
	}
}

// removeEmptied removes a store's folder, and the reserved one above it, where nothing is in them.
func removeEmptied(dir string) {
	if list, err := os.ReadDir(dir); err == nil && len(list) == 1 && list[0].Name() == ".gitignore" {
		os.Remove(filepath.Join(dir, ".gitignore")) // of hideFromGit
	}
	os.Remove(dir)
	if parent := filepath.Dir(dir); Reserved(filepath.Base(parent)) {
		os.Remove(parent)
	}
}

// probe finds out how files can be replaced from this folder: one mount and one device with the root, and then a real
// exchange of two files. (A directory of the root may still refuse, by its project quota or encryption: EXDEV then
// comes from Place, with nothing changed.)
func (s *Store) probe() (Placing, error) {
	var way Placing
	err := s.root.top.use(func(rootfd int) error {
		return s.folder.use(func(folder int) (err error) {
			if err := probeMount(s.root.sys, folder, rootfd); err != nil {
				return err
			}
			info, err := s.root.sys.fstat(OpProbe, folder, s.dir)
			if err != nil {
				return err
			}
			if info.Dev != s.root.info.Dev {
				return fmt.Errorf("on another device than %q", s.root.path)
			}
			way, err = probeExchange(s.root.sys, folder)
			return err
		})
	})
	return way, err
}

func probeExchange(s *sys, folder int) (Placing, error) {
	a, b := "probe-a-"+rand.Text(), "probe-b-"+rand.Text()
	var was [2]Info
	for i, name := range []string{a, b} {
		fd, err := s.create(OpProbe, folder, name, 0o600)
		if err != nil {
			return 0, err
		}
		defer s.unlink(OpProbe, folder, name)
		was[i], err = s.fstat(OpProbe, fd, name)
		closeFD(fd)
		if err != nil {
			return 0, err
		}
	}
	if err := s.rename(OpProbe, folder, a, folder, b, exchange); err != nil {
		return RenameAway, nil
	}
	now, err := s.lstat(OpProbe, folder, a)
	if err != nil || !now.SameFile(was[1]) {
		return RenameAway, err // says it works and does not
	}
	return Exchange, nil
}
