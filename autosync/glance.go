package autosync

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// glance is lookAround of a few hinted paths, the directories above them, and what adders find to belong to them. unseen
// are the hidden and excluded entries that the mirror is known to hold.
func glance(ctx context.Context, m *mirror.Mirror, g *guard, hinted, unseen []safety.RelPath) (*view, error) {
	paths := map[safety.RelPath]bool{}
	for _, p := range hinted {
		addWithParents(paths, p)
	}
	v := &view{began: time.Now(), guard: g}
	if err := v.glance(ctx, m, paths); err != nil {
		return nil, err
	}
	for _, add := range [...]adder{addTwins, addLinked, addGoneDirectories} {
		added, err := add(m, v, paths)
		if err == nil && added {
			err = v.glance(ctx, m, paths)
		}
		if err != nil {
			return nil, err
		}
	}
	g.learn(v.project)
	l := looker{m: m, view: v, unseen: unseen, partial: true}
	var moved []safety.RelPath
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		if l.differs(p, m.Base.Get(p)) && !l.unknown(p) {
			moved = append(moved, p)
		}
	}
	l.noteTrouble(v.project, "in the project: ")
	l.noteTrouble(v.mirrored, "in the mirror: ")
	return v, l.lookAt(ctx, moved)
}

func (v *view) glance(ctx context.Context, m *mirror.Mirror, paths map[safety.RelPath]bool) (err error) {
	list := slices.Collect(maps.Keys(paths))
	if v.project, err = m.Glance(ctx, mirror.ProjectSide, list); err != nil {
		return err
	}
	v.mirrored, err = m.Glance(ctx, mirror.MirrorSide, list)
	return err
}

// adder adds what has to be looked at together with paths, as far as a look at those can tell, and reports whether there was
// any.
type adder func(m *mirror.Mirror, v *view, paths map[safety.RelPath]bool) (added bool, err error)

func addWithParents(paths map[safety.RelPath]bool, p safety.RelPath) {
	paths[p] = true
	for _, dir := range p.Parents() {
		paths[dir] = true
	}
}

// addGoneDirectories adds what the base has below directories that are none any more on some side.
func addGoneDirectories(m *mirror.Mirror, v *view, paths map[safety.RelPath]bool) (added bool, err error) {
	for p := range maps.Clone(paths) {
		both := v.project.Get(p).Info.Kind == safety.Directory && v.mirrored.Get(p).Info.Kind == safety.Directory
		if both || m.Base.Get(p).State.Kind != safety.Directory {
			continue
		}
		for _, q := range m.Base.Below(p) {
			added = added || !paths[q]
			paths[q] = true
		}
	}
	return added, nil
}
