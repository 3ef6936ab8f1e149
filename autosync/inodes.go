package autosync

import (
	"context"
	"sync"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// hiddenInodes remembers what the project hides by its rules, so that a rename to a visible name does not show it.
// It stays hidden until the session ends. Its methods may be called concurrently.
//
// RACE: a file that was made below a hidden directory that is not watched (see liveRules.watched) since the last walk,
// or had a hidden name for less time than a hint takes and another link, is not known.
type hiddenInodes struct {
	mu    sync.Mutex
	known map[fileID]identity
	shown map[safety.RelPath]fileID // under visible names, as they were found last
	gone  map[safety.RelPath]bool   // something hidden was renamed to here, and was elsewhere before we looked
	whole bool                      // a walk of everything has ended
	birth func(*safety.Root, safety.RelPath, safety.Info) int64
}

// identity tells a renamed inode from another that got its number: by its time of birth; where there is none, by what
// a rename leaves as it is.
type identity struct {
	birth       int64
	size, mtime int64
}

func newHiddenInodes() *hiddenInodes {
	return &hiddenInodes{known: map[fileID]identity{}, shown: map[safety.RelPath]fileID{}, gone: map[safety.RelPath]bool{}, birth: birthOf}
}

func (h *hiddenInodes) identify(root *safety.Root, p safety.RelPath, info safety.Info) identity {
	if birth := h.birth(root, p, info); birth != 0 {
		return identity{birth: birth}
	}
	return identity{size: info.Size, mtime: info.Mtime}
}

// walk remembers all that is hidden in the project now.
func (h *hiddenInodes) walk(ctx context.Context, m *mirror.Mirror) {
	h.below(ctx, m, safety.Top, false)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.whole = h.whole || ctx.Err() == nil
}

func (h *hiddenInodes) walked() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.whole
}

// below remembers what is hidden in the directory at and below it; all there is, when it is hidden itself.
func (h *hiddenInodes) below(ctx context.Context, m *mirror.Mirror, at safety.RelPath, hidden bool) {
	if ctx.Err() != nil {
		return
	}
	d, err := m.Project.OpenDir(at)
	if err != nil {
		return // nobody can move what is in it without a hint of the directory
	}
	defer d.Close()
	names, err := d.ReadDir()
	if err != nil {
		return
	}
	for _, n := range names {
		p := at.Join(n.Name)
		access := dotfiles.Hidden
		if !hidden {
			access = m.Policy.Access(string(p), n.Kind == safety.Directory)
		}
		if access == dotfiles.Hidden {
			if info, err := d.Lstat(n.Name); err == nil {
				h.remember(m.Project, p, info)
			}
		}
		if n.Kind == safety.Directory && (access == dotfiles.Hidden || access.Mirrored()) {
			h.below(ctx, m, p, access == dotfiles.Hidden)
		}
	}
}

func (h *hiddenInodes) remember(root *safety.Root, p safety.RelPath, info safety.Info) {
	if info.Kind == safety.Absent {
		return
	}
	id := h.identify(root, p, info)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known[fileOf(info)] = id
}

// isHidden reports whether p is hidden whatever it is.
func isHidden(policy *dotfiles.Policy, p safety.RelPath) bool {
	return policy.Access(string(p), false) == dotfiles.Hidden && policy.Access(string(p), true) == dotfiles.Hidden
}

// renamed remembers what was renamed from a hidden name, however shortly it had had it. It is called for each rename in
// their order.
func (h *hiddenInodes) renamed(root *safety.Root, policy *dotfiles.Policy, from, to safety.RelPath) {
	h.mu.Lock()
	_, shown := h.shown[from]
	was := h.gone[from] || shown
	delete(h.gone, from)
	delete(h.gone, to)
	delete(h.shown, from)
	h.mu.Unlock()
	if !was && policy.Access(string(from), false) != dotfiles.Hidden && policy.Access(string(from), true) != dotfiles.Hidden {
		return
	}
	info, err := root.Lstat(to)
	switch {
	case err != nil:
	case info.Kind == safety.Absent:
		h.mu.Lock()
		h.gone[to] = true
		h.mu.Unlock()
	case was || policy.Access(string(from), info.Kind == safety.Directory) == dotfiles.Hidden:
		h.remember(root, to, info)
	}
}

// note remembers the hidden ones of paths that were hinted at.
func (h *hiddenInodes) note(m *mirror.Mirror, hinted []safety.RelPath) {
	for _, p := range hinted {
		if m.Policy.Access(string(p), false) != dotfiles.Hidden && m.Policy.Access(string(p), true) != dotfiles.Hidden {
			continue
		}
		info, err := m.Project.Lstat(p)
		if err != nil || info.Kind == safety.Absent || m.Policy.Access(string(p), info.Kind == safety.Directory) != dotfiles.Hidden {
			continue
		}
		h.remember(m.Project, p, info)
		if info.Kind == safety.Directory {
			h.below(context.Background(), m, p, true)
		}
	}
}

// has reports whether what is at p was hidden under another name in this session. Where no time of birth tells, an edit
// under the visible name makes it no other file: what was found at p once stays hidden there for as long as its inode does.
func (h *hiddenInodes) has(root *safety.Root, p safety.RelPath, info safety.Info) bool {
	file := fileOf(info)
	h.mu.Lock()
	id, known := h.known[file]
	stays := h.shown[p] == file && id.birth == 0
	h.mu.Unlock()
	hidden := known && info.Kind != safety.Absent && (stays || id == h.identify(root, p, info))
	h.mu.Lock()
	defer h.mu.Unlock()
	if hidden {
		h.shown[p] = file
	} else {
		delete(h.shown, p)
	}
	return hidden
}

// bar takes what was hidden under another name, and all below it, for absent in the project, and returns these paths.
// What was visible at its path when both sides last agreed stays so: a hidden name may be another link to it.
func (h *hiddenInodes) bar(m *mirror.Mirror, v *view) []safety.RelPath {
	var barred []safety.RelPath
	isBarred := map[safety.RelPath]bool{}
	for i := range v.looks {
		lk := &v.looks[i]
		if lk.project.Absent() || !lk.access.Mirrored() {
			continue
		}
		p := lk.path
		for _, at := range append(p.Parents(), p) {
			if _, asked := isBarred[at]; !asked {
				isBarred[at] = h.bars(m, at, v.project.Get(at).Info)
			}
			if isBarred[at] {
				lk.project, lk.barred, lk.hiddenBelow = mirror.State{}, "the project has something there that was hidden under another name", false
				barred = append(barred, p)
				break
			}
		}
		if lk.project.Kind == safety.Directory && lk.mirrored.Kind != safety.Directory && !lk.hiddenBelow {
			lk.hiddenBelow = h.barsBelow(m, p)
		}
	}
	return barred
}

// bars reports whether what is at p was hidden, and was not visible there before.
func (h *hiddenInodes) bars(m *mirror.Mirror, p safety.RelPath, info safety.Info) bool {
	was := m.Base.Get(p).Project
	return (was.Ino != info.Ino || was.Dev != info.Dev) && h.has(m.Project, p, info)
}

// barsBelow reports whether something below the project's directory at p is barred: the agent's file can't take its
// place then, as it can't where hidden files lie in it.
func (h *hiddenInodes) barsBelow(m *mirror.Mirror, p safety.RelPath) bool {
	return anyBelow(m.Project, p, func(d *safety.Dir, at safety.RelPath, n safety.Dirent) bool {
		info, err := d.Lstat(n.Name)
		return err == nil && h.bars(m, at, info)
	})
}
