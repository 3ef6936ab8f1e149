package mirror

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"syscall"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// Glance is Scan of some paths alone: not of what is below them. A path that counts for nothing there, or is below
// something hidden, is absent in the Tree.
func (m *Mirror) Glance(ctx context.Context, side Side, paths []safety.RelPath) (*Tree, error) {
	g := glancer{view: m.view(side), tree: &Tree{dirs: map[safety.RelPath]*treeDir{}}, listings: map[safety.RelPath][]safety.Dirent{}}
	if m.Built.Population == Git {
		ignored := newIgnoring(m.Project, m.Root)
		g.only = func(p safety.RelPath, isDir bool) bool {
			return !m.Base.Get(p).State.Absent() || !ignored.ignores(p, isDir)
		}
	}
	for dir, names := range byDirectory(paths) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		g.look(dir, names)
	}
	sortSkipped(g.tree.Trouble)
	return g.tree, nil
}

func byDirectory(paths []safety.RelPath) map[safety.RelPath][]string {
	out := map[safety.RelPath][]string{}
	for _, p := range paths {
		if p != safety.Top {
			dir, name := split(p)
			out[dir] = append(out[dir], name)
		}
	}
	return out
}

type glancer struct {
	view
	tree     *Tree
	listings map[safety.RelPath][]safety.Dirent // of directories where spelling counts
}

func (g *glancer) look(dir safety.RelPath, names []string) {
	access := dotfiles.Writable
	if dir != safety.Top {
		access = g.policy.Access(string(dir), true)
	}
	if !g.enters(dir, access) {
		return
	}
	d, err := g.root.OpenDir(dir)
	if isNoDir(err) {
		return // there is no such directory: nothing is in it
	}
	if err != nil {
		g.trouble(dir, err)
		return
	}
	defer d.Close()
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		g.entry(d, scanJob{dir, access}, name)
	}
}

func isNoDir(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, safety.ErrChanged)
}

func (g *glancer) trouble(p safety.RelPath, err error) {
	g.tree.Trouble = append(g.tree.Trouble, Skipped{Path: p, Why: reason(err)})
}

func (g *glancer) entry(d *safety.Dir, job scanJob, name string) {
	if g.ours(job.path, name) {
		return
	}
	p := job.path.Join(name)
	found, err := g.view.look(d, job, safety.Dirent{Name: name})
	if err != nil {
		g.trouble(p, err)
		return
	}
	if found.Info.Kind == safety.Absent {
		return
	}
	if listed, err := g.spells(p); !listed { // another name's file, where names are folded
		if err != nil && !isNoDir(err) {
			g.trouble(p, err)
		}
		return
	}
	in := g.tree.dirs[job.path]
	if in == nil {
		in = &treeDir{}
		g.tree.dirs[job.path] = in
	}
	in.other = append(in.other, named{name, found})
	g.tree.count++
}

// Below lists the base's entries below the directory p, unsorted.
func (b *Base) Below(p safety.RelPath) []safety.RelPath {
	var out []safety.RelPath
	for _, dir := range b.Directories() {
		if !dir.In(p) {
			continue
		}
		for name := range entriesIn(b.in(dir)) {
			out = append(out, dir.Join(name))
		}
	}
	return out
}
