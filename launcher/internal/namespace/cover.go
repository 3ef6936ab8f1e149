package namespace

import (
	"fmt"
	"slices"
	"strings"
)

// tree is a directory or file as its file system knows it, whatever path leads to it.
type tree struct {
	dev  string
	path string // in the file system
}

// secret is a path all of whose other names are to be covered.
type secret struct {
	path string
	keep bool // the path itself gets something else in its place
}

// pseudo file systems show the kernel and no files of anybody's: one that is mounted in the project too is no copy of it.
func pseudo(fstype string) bool {
	return slices.Contains([]string{
		"proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "mqueue", "debugfs", "tracefs", "securityfs", "bpf",
		"configfs", "pstore", "efivarfs", "binfmt_misc", "hugetlbfs", "nsfs", "autofs", "fusectl", "ramfs",
	}, fstype)
}

// covers decides which paths have to be covered so that no secret is reached by a path, sorted; none lies below another.
// resolve gives the real path of a layer, "" where there is none.
func covers(mounts []mount, secrets []secret, resolve func(string) string) ([]string, error) {
	c := &coverer{mounts: mounts, resolve: resolve, seen: map[tree]bool{}}
	for _, s := range secrets {
		if s.keep {
			c.kept = append(c.kept, s.path)
		}
	}
	for _, s := range secrets {
		if !s.keep {
			c.add(s.path)
		}
		c.follow(s.path)
	}
	if c.err != nil {
		return nil, c.err
	}
	slices.Sort(c.found)
	var out []string
	for _, p := range c.found {
		if len(out) == 0 || !within(out[len(out)-1], p) {
			out = append(out, p)
		}
	}
	return out, nil
}

type coverer struct {
	mounts  []mount
	resolve func(string) string
	kept    []string
	seen    map[tree]bool
	found   []string
	err     error
}

// follow takes up what is at a path, the mounts below it, and the layers that they are made of.
func (c *coverer) follow(p string) {
	at, ok := locate(c.mounts, p)
	if !ok {
		return
	}
	c.take(at, tree{at.dev, under(at.root, at.point, p)})
	for _, m := range c.mounts {
		if m.point != p && within(p, m.point) && !pseudo(m.fstype) {
			c.take(m, tree{m.dev, m.root})
		}
	}
}

// take covers every other path of a tree, and of the same files in the layers of the mount that shows it.
func (c *coverer) take(shown mount, t tree) {
	if c.seen[t] {
		return
	}
	c.seen[t] = true
	for _, m := range c.mounts {
		if m.dev == t.dev {
			c.through(m, m.root, t.path)
		}
		for _, l := range c.placed(m) {
			if l.dev == t.dev {
				c.inLayer(m, l.path, t.path)
			}
		}
	}
	for _, layer := range shown.layers() {
		if dir := c.resolve(layer); dir != "" {
			p := under(dir, "/", t.path)
			c.add(p)
			c.follow(p)
		}
	}
}

// placed are a mount's layers as their file systems know them.
func (c *coverer) placed(m mount) []tree {
	var out []tree
	for _, layer := range m.layers() {
		dir := c.resolve(layer)
		if dir == "" {
			continue
		}
		if at, ok := locate(c.mounts, dir); ok {
			out = append(out, tree{at.dev, under(at.root, at.point, dir)})
		}
	}
	return out
}

// inLayer covers what an overlay shows of path when one of its layers is the directory layer of the same file system.
func (c *coverer) inLayer(m mount, layer, path string) {
	switch {
	case within(layer, path):
		c.through(m, m.root, under("/", layer, path))
	case within(path, layer):
		c.cover(m, m.point)
	}
}

// through covers what a mount of root shows of path.
func (c *coverer) through(m mount, root, path string) {
	switch {
	case within(root, path):
		c.cover(m, under(m.point, root, path))
	case within(path, root):
		c.cover(m, m.point)
	}
}

// cover adds a path, unless another mount lies over it there.
func (c *coverer) cover(m mount, p string) {
	if at, ok := locate(c.mounts, p); ok && at.point == m.point && at.dev == m.dev && at.root == m.root {
		c.add(p)
	}
}

func (c *coverer) add(p string) {
	for _, kept := range c.kept {
		switch {
		case within(kept, p): // what is put there hides it
			return
		case within(p, kept):
			if c.err == nil {
				c.err = fmt.Errorf("%s shows files of the project, and can't be covered because %s lies in it", p, kept)
			}
			return
		}
	}
	if p == "/" || strings.HasPrefix(p, "/proc/") {
		return
	}
	c.found = append(c.found, p)
}
