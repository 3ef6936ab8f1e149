package mirror

import (
	"slices"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// Spelling is p as the directories of a tree spell it: a file system that folds case finds "readme" where "README" is
// listed. "" where there is nothing at p, in any spelling.
func Spelling(root *safety.Root, p safety.RelPath) (safety.RelPath, error) {
	info, err := root.Lstat(p)
	if err != nil || info.Kind == safety.Absent {
		return "", err
	}
	real := safety.Top
	for _, dir := range append(p.Parents(), p) {
		if dir == safety.Top {
			continue
		}
		name, err := listed(root, real, dir.Base())
		if err != nil || name == "" {
			return "", err
		}
		real = real.Join(name)
	}
	return real, nil
}

// listed is the name that dir lists for what it finds under name; "": none.
func listed(root *safety.Root, dir safety.RelPath, name string) (string, error) {
	d, err := root.OpenDir(dir)
	if err != nil {
		return "", err
	}
	defer d.Close()
	names, err := d.ReadDir()
	if err != nil {
		return "", err
	}
	return spelled(names, name), nil
}

// spelled is the one of names that is the name, or else that a folding file system takes for it; "": none.
func spelled(names []safety.Dirent, name string) string {
	other := ""
	for _, n := range names {
		switch {
		case n.Name == name:
			return name
		case dotfiles.OneName(n.Name, name):
			other = n.Name
		}
	}
	return other
}

// spells reports whether p, and each directory above it, is listed in just this spelling.
func (g *glancer) spells(p safety.RelPath) (bool, error) {
	if p == safety.Top || !g.policy.Folds() {
		return true, nil
	}
	dir, name := split(p)
	if ok, err := g.spells(dir); !ok || err != nil {
		return false, err
	}
	names, err := g.listing(dir)
	return slices.ContainsFunc(names, func(n safety.Dirent) bool { return n.Name == name }), err
}

// listing is what a directory lists, read once.
func (g *glancer) listing(dir safety.RelPath) ([]safety.Dirent, error) {
	if names, ok := g.listings[dir]; ok {
		return names, nil
	}
	d, err := g.root.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.ReadDir()
	if err == nil {
		g.listings[dir] = names
	}
	return names, err
}
