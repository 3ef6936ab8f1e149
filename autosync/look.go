package autosync

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// view is both sides as one pass saw them.
type view struct {
	project, mirrored *mirror.Tree
	began             time.Time
	looks             []look // only paths at which a side moved, sorted
	trouble           []PathNote
	again             []PathNote // what changed while it was looked at
	startFiles        int
	guard             *guard
	interrupted       bool      // the mirror went through a power cut: its stamps prove nothing
	alive             time.Time // then: when the machine ran last

	countLinks sync.Once // files are staged in parallel
	links      map[fileID]uint64
}

// lookAround scans both sides and looks at every path whose stamps moved since the base.
func lookAround(ctx context.Context, m *mirror.Mirror, g *guard, w *Watched) (*view, error) {
	v := &view{began: time.Now(), guard: g}
	if err := v.scanWatching(ctx, m, w); err != nil {
		return nil, err
	}
	v.afterPowerCut(m)
	g.learn(v.project)
	l := looker{m: m, view: v, unseen: []safety.RelPath{safety.Top}}
	return v, l.lookAt(ctx, l.moved())
}

// scanMoved lists the paths at which a side moved since the base.
func scanMoved(ctx context.Context, m *mirror.Mirror) ([]safety.RelPath, error) {
	v := &view{}
	if err := v.scan(ctx, m); err != nil {
		return nil, err
	}
	l := looker{m: m, view: v}
	return l.moved(), nil
}

func (v *view) scan(ctx context.Context, m *mirror.Mirror) error { return v.scanWatching(ctx, m, nil) }

// scanWatching is scan that sets watches on its way; nil: none.
func (v *view) scanWatching(ctx context.Context, m *mirror.Mirror, w *Watched) error {
	trees, err := m.ScanBoth(ctx, [2]mirror.Meeting{w.meeting(ctx, mirror.ProjectSide), w.meeting(ctx, mirror.MirrorSide)})
	v.project, v.mirrored = trees[mirror.ProjectSide], trees[mirror.MirrorSide]
	return err
}

// lookAt looks at paths, in parallel: most of the work is hashing.
func (l *looker) lookAt(ctx context.Context, paths []safety.RelPath) error {
	l.looks = make([]look, len(paths))
	errs := make([]error, len(paths))
	err := inParallel(ctx, runtime.GOMAXPROCS(0), len(paths), func(ctx context.Context, i int) {
		l.looks[i], errs[i] = l.look(ctx, paths[i])
	})
	if err != nil {
		return err
	}
	l.dropFailed(errs)
	err = l.trace(ctx)
	l.weigh()
	return err
}

// dropFailed takes paths out that could not be looked at: nothing may be concluded of them.
func (v *view) dropFailed(errs []error) {
	good := v.looks[:0]
	for i, err := range errs {
		if err != nil {
			n := PathNote{Path: v.looks[i].path, Why: err.Error()}
			if errors.Is(err, safety.ErrChanged) || errors.Is(err, safety.ErrNotRegular) || isAbsent(err) {
				v.again = append(v.again, n)
			} else {
				v.trouble = append(v.trouble, n)
			}
			continue
		}
		good = append(good, v.looks[i])
	}
	v.looks = good
}

// state is what both sides of an adopted path are.
func (v *view) state(p safety.RelPath) mirror.State { return v.lookOf(p).project }

// lookOf is the look at p; the zero look where there was none.
func (v *view) lookOf(p safety.RelPath) look {
	i, ok := slices.BinarySearchFunc(v.looks, p, func(lk look, p safety.RelPath) int { return cmp.Compare(lk.path, p) })
	if !ok {
		return look{}
	}
	return v.looks[i]
}

// writableLinks is how many of a file's names are paths of the project that the agent may write. The others must not
// change with them: they are read-only, guarded or hidden, or outside.
func (v *view) writableLinks(info safety.Info) uint64 {
	v.countLinks.Do(func() {
		v.links = map[fileID]uint64{}
		for p, f := range v.project.All() {
			if f.Info.Kind == safety.File && f.Info.Nlink > 1 && f.Access == dotfiles.Writable && v.guard.why(p, safety.File) == "" {
				v.links[fileOf(f.Info)]++
			}
		}
	})
	return v.links[fileOf(info)]
}

type looker struct {
	m *mirror.Mirror
	*view
	partial bool             // the trees hold only what was asked for
	unseen  []safety.RelPath // directories of the mirror below which a scan does not list everything
}

// moved lists the paths at which a stamp differs from the base's, sorted, and counts the base's files.
func (l *looker) moved() []safety.RelPath {
	l.startFiles = l.m.Base.Files()
	l.noteTrouble(l.project, "in the project: ")
	l.noteTrouble(l.mirrored, "in the mirror: ")
	paths := mirror.Moved(l.m.Base, l.project, l.mirrored)
	if l.interrupted {
		paths = l.withAll(paths)
	}
	return slices.DeleteFunc(paths, l.unknown)
}

// withAll adds all of the base to paths.
func (l *looker) withAll(paths []safety.RelPath) []safety.RelPath {
	for p := range l.m.Base.All() {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// differs reports whether a side is not as the base has it.
func (l *looker) differs(p safety.RelPath, e mirror.Entry) bool {
	return mirror.HasMoved(e.Project, l.project.Get(p)) || mirror.HasMoved(e.Mirror, l.mirrored.Get(p))
}

// unknown reports whether p could not be looked at on some side.
func (l *looker) unknown(p safety.RelPath) bool {
	for _, t := range []*mirror.Tree{l.project, l.mirrored} {
		for _, bad := range t.Trouble {
			if p.In(bad.Path) {
				return true
			}
		}
	}
	return false
}

// noteTrouble reports what could not be looked at and concerns syncing: what was not readable when the mirror was built,
// and is not in it, does not.
func (l *looker) noteTrouble(t *mirror.Tree, where string) {
	for _, bad := range t.Trouble {
		concerned := t == l.mirrored || !l.m.Base.Get(bad.Path).State.Absent() || l.mirrored.Get(bad.Path).Info.Kind != safety.Absent
		if concerned {
			l.trouble = append(l.trouble, PathNote{Path: bad.Path, Why: where + bad.Why})
		}
	}
}

func (l *looker) look(ctx context.Context, p safety.RelPath) (look, error) {
	base := l.m.Base.Get(p)
	lk := look{path: p, base: base.State}
	pf, mf := l.project.Get(p), l.mirrored.Get(p)
	lk.access = l.access(p, base.State.Kind, pf, mf)
	if !lk.access.Mirrored() {
		pf = mirror.Found{} // what is hidden is not looked at
	}
	c := comparison{ctx: ctx, path: p, base: base}
	c.sides[mirror.ProjectSide] = sideNow{root: l.m.Project, found: pf, moved: base.State.Absent() || mirror.HasMoved(base.Project, pf)}
	c.sides[mirror.MirrorSide] = sideNow{root: l.m.Root, found: mf, moved: l.interrupted || base.State.Absent() || mirror.HasMoved(base.Mirror, mf)}
	var err error
	if lk.base, lk.project, lk.mirrored, err = c.states(); err != nil {
		return lk, err
	}
	if lk.twins, err = twinsOf(l.m, p, pf.Info.Kind != safety.Absent, mf.Info.Kind != safety.Absent); err != nil {
		return lk, err
	}
	l.lookAtLinks(&lk, pf, mf)
	lk.guarded = l.guard.why(p, base.State.Kind, pf.Info.Kind, mf.Info.Kind)
	if lk.project.Absent() && !lk.mirrored.Absent() && lk.barred == "" && l.occupied(p) {
		lk.barred = "the project has something hidden there"
	}
	if lk.project.Kind == safety.Directory && lk.mirrored.Kind != safety.Directory {
		lk.hiddenBelow = l.hidesBelow(p)
	}
	return lk, nil
}

// occupied reports whether the project holds something at p that the scan did not show: a directory that a rule for
// directories hides, where the agent made a file.
func (l *looker) occupied(p safety.RelPath) bool {
	info, err := l.m.Project.Lstat(p)
	return err != nil || info.Kind != safety.Absent && !l.m.Policy.Access(string(p), info.Kind == safety.Directory).Mirrored()
}

// access is the strictest of what the path is on any side: a rule may be for directories alone.
func (l *looker) access(p safety.RelPath, baseKind safety.Kind, pf, mf mirror.Found) dotfiles.Access {
	access := dotfiles.Writable
	for _, kind := range []safety.Kind{baseKind, pf.Info.Kind, mf.Info.Kind} {
		if kind != safety.Absent {
			access = min(access, l.m.Policy.Access(string(p), kind == safety.Directory))
		}
	}
	return access
}

// lookAtLinks makes a project link comparable with its mirror copy and bars what may not cross.
func (l *looker) lookAtLinks(lk *look, pf, mf mirror.Found) {
	if !lk.access.Mirrored() {
		return
	}
	mode := l.m.Options.Links
	if lk.project.Kind == safety.Symlink {
		lk.lookAtLink(l.m.Project, l.m.Policy, mode, pf.Target)
	}
	if lk.mirrored.Kind == safety.Symlink && lk.mirrored != lk.base {
		if mode != mirror.KeepLinks {
			lk.barred = "links do not cross"
			return
		}
		v := mirror.DecideLink(l.m.Root, l.m.Policy, mode, l.m.Root.Path(), lk.path, mf.Target)
		if v.Action != mirror.KeepLink || v.Target != mf.Target {
			lk.barred = orElse(v.Why, "a link with an absolute target")
		}
	}
}

// lookAtLink makes the link that the project has at the path comparable with what the mirror has of it.
func (lk *look) lookAtLink(project *safety.Root, policy *dotfiles.Policy, mode mirror.Links, target string) {
	v := mirror.DecideLink(project, policy, mode, project.Path(), lk.path, target)
	switch {
	case v.Action == mirror.KeepLink:
		lk.project.Target = v.Target
	case mode == mirror.FollowLinks && lk.base.Kind == safety.File: // followed: the mirror has a copy of the file that the link leads to
		lk.project, lk.followed, lk.barred = lk.base, true, "a copy of a linked file: change the file that the link leads to"
	default:
		lk.project, lk.barred = mirror.State{}, "the project has a link there that was left out"
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// hidesBelow reports whether the project's directory holds something, at any depth, that the scan left out.
func (l *looker) hidesBelow(p safety.RelPath) bool {
	return anyBelow(l.m.Project, p, func(_ *safety.Dir, at safety.RelPath, n safety.Dirent) bool {
		return !l.shows(at, n.Kind) || l.leavesOut(at, n.Kind)
	})
}

// anyBelow reports whether an entry below the directory p, at any depth, is of a sort; what can't be listed counts as one.
func anyBelow(root *safety.Root, p safety.RelPath, is func(d *safety.Dir, at safety.RelPath, n safety.Dirent) bool) bool {
	d, err := root.OpenDir(p)
	if err != nil {
		return true
	}
	defer d.Close()
	names, err := d.ReadDir()
	if err != nil {
		return true
	}
	for _, n := range names {
		at := p.Join(n.Name)
		if is(d, at, n) || n.Kind == safety.Directory && anyBelow(root, at, is) {
			return true
		}
	}
	return false
}

// leavesOut reports whether an entry of the project never comes into the mirror, though no rule hides it.
func (l *looker) leavesOut(p safety.RelPath, kind safety.Kind) bool {
	if kind != safety.Symlink {
		return kind == safety.Special
	}
	target, err := l.m.Project.Readlink(p)
	v := mirror.DecideLink(l.m.Project, l.m.Policy, l.m.Options.Links, l.m.Project.Path(), p, target)
	return err != nil || v.Action != mirror.KeepLink
}

// shows reports whether the mirror shows an entry of the project: whether the scan lists it, or would.
func (l *looker) shows(p safety.RelPath, kind safety.Kind) bool {
	if !l.partial {
		return l.project.Get(p).Info.Kind != safety.Absent
	}
	if l.m.Built.Population == mirror.Git && l.m.Base.Get(p).State.Absent() {
		return false // git may ignore it: the safe side
	}
	return l.m.Policy.Access(string(p), kind == safety.Directory).Mirrored()
}

// trace finds out where files went that are gone in the mirror.
func (l *looker) trace(ctx context.Context) error {
	gone := map[moved]*look{}
	for i := range l.looks {
		lk := &l.looks[i]
		if lk.base.Kind == safety.File && lk.mirrored.Absent() && lk.access == dotfiles.Writable {
			s := l.m.Base.Get(lk.path).Mirror
			gone[traceOf(s)] = lk
		}
	}
	if len(gone) == 0 {
		return nil
	}
	for i := range l.looks {
		p := l.looks[i].path
		info := l.mirrored.Get(p).Info
		if lk := gone[movedFrom(info)]; lk != nil && info.Kind == safety.File {
			lk.movedTo, lk.stranded = p, l.looks[i].access != dotfiles.Writable || l.looks[i].guarded != ""
		}
	}
	return l.traceUnseen(ctx, gone)
}

type fileID struct{ dev, ino uint64 }

func fileOf(i safety.Info) fileID { return fileID{i.Dev, i.Ino} }

func idOf(s mirror.Stamp) fileID { return fileID{s.Dev, s.Ino} }

// moved is what a rename leaves as it is. An inode alone is no proof: a file system gives the number of a deleted file
// to the next that is made.
type moved struct {
	fileID
	size, mtime int64
}

func movedFrom(i safety.Info) moved { return moved{fileOf(i), i.Size, i.Mtime} }

// traceUnseen looks for gone files where a scan of the mirror does not: below hidden and excluded directories.
func (l *looker) traceUnseen(ctx context.Context, gone map[moved]*look) error {
	for _, dir := range l.unseen {
		if info, err := l.m.Root.Lstat(dir); err == nil && info.Kind == safety.File {
			if lk := gone[movedFrom(info)]; lk != nil {
				lk.movedTo, lk.stranded = dir, true
			}
		}
		err := l.walkUnseen(ctx, dir, func(p safety.RelPath, info safety.Info) {
			if lk := gone[movedFrom(info)]; lk != nil && info.Kind == safety.File {
				lk.movedTo, lk.stranded = p, true
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// walkUnseen calls visit for everything in the mirror's directory at and below it that a scan does not list.
func (l *looker) walkUnseen(ctx context.Context, at safety.RelPath, visit func(safety.RelPath, safety.Info)) error {
	d, err := l.m.Root.OpenDir(at)
	if err != nil {
		return nil // gone or unreadable: nothing was found there
	}
	defer d.Close()
	names, err := d.ReadDir()
	if err != nil {
		return nil
	}
	for _, n := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		child := at.Join(n.Name)
		info, err := d.Lstat(n.Name)
		if err != nil {
			continue
		}
		if l.isUnseen(child, info) {
			visit(child, info)
		}
		if info.Kind == safety.Directory {
			if err := l.walkUnseen(ctx, child, visit); err != nil {
				return err
			}
		}
	}
	return nil
}

// isUnseen reports whether a scan of the mirror does not list what is at p, or only as something that does not cross.
func (l *looker) isUnseen(p safety.RelPath, info safety.Info) bool {
	if l.partial {
		return !l.m.Policy.Access(string(p), info.Kind == safety.Directory).Mirrored()
	}
	found := l.mirrored.Get(p)
	return found.Info.Kind == safety.Absent || !found.Access.Mirrored()
}
