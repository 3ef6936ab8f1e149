package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// chunkFiles is how many entries of one directory are one job: a directory of a hundred thousand files is shared out.
const chunkFiles = 256

// builder fills an empty mirror. What workers find out goes to parts, one for each, and is put together at the end.
type builder struct {
	view   view // of the project
	to     *safety.Root
	copier *safety.Copier
	extras *extras
	owner  owner
	parts  []buildPart

	files, bytes atomic.Int64
	progress     progress
}

func newBuilder(v view, m *Mirror, extras *extras) *builder {
	return &builder{
		view: v, to: m.Root, copier: m.Root.Copier(), extras: extras, owner: newOwner(),
		parts: make([]buildPart, workersOr(m.Options.Workers)), progress: progress{call: m.Options.Progress},
	}
}

// buildJob is a directory to make and fill, or some entries of one that was made.
type buildJob struct {
	scanJob
	info  safety.Info // of the project's directory; zero: not known yet
	names []safety.Dirent
}

// buildPart is what one worker made.
type buildPart struct {
	entries  []basedEntry
	dirs     []madeDir
	skipped  []Skipped
	built    Built
	copiedBy [safety.ReadWrite + 1]int64 // bytes, by method
}

type basedEntry struct {
	path safety.RelPath
	Entry
}

// madeDir is a directory that gets its mode and times when all in it is made.
type madeDir struct {
	path   safety.RelPath
	source safety.Info
	access dotfiles.Access
	has    uint32 // mode that came out
}

func (b *builder) run(ctx context.Context) error {
	return b.runFrom(ctx, buildJob{scanJob: scanJob{path: safety.Top, access: dotfiles.Writable}})
}

func (b *builder) runFrom(ctx context.Context, first buildJob) error {
	return runPool(ctx, len(b.parts), first, func(worker int, job buildJob, push func(buildJob)) error {
		return b.do(ctx, &b.parts[worker], job, push)
	})
}

func (b *builder) do(ctx context.Context, part *buildPart, job buildJob, push func(buildJob)) error {
	src, err := b.view.root.OpenDir(job.path)
	if err != nil {
		return part.leaveOut(job.path, err)
	}
	defer src.Close()
	whole := job.names == nil
	if whole {
		if job.info, job.names, err = describeDir(src); err != nil {
			return part.leaveOut(job.path, err)
		}
	}
	dst, err := b.open(part, job, whole)
	if err != nil {
		return err
	}
	defer dst.Close()
	for len(job.names) > chunkFiles {
		rest := job
		rest.names = job.names[len(job.names)-chunkFiles:]
		job.names = job.names[:len(job.names)-chunkFiles]
		push(rest)
	}
	w := &dirWork{builder: b, part: part, job: job, src: src, dst: dst, push: push}
	for _, n := range job.names {
		if err := w.entry(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func describeDir(d *safety.Dir) (safety.Info, []safety.Dirent, error) {
	info, err := d.Stat()
	if err != nil {
		return info, nil, err
	}
	names, err := d.ReadDir()
	return info, names, err
}

// open opens the mirror's directory of a job, which it makes when the job is the directory as a whole.
func (b *builder) open(part *buildPart, job buildJob, make bool) (*safety.Dir, error) {
	if !make {
		return b.to.OpenDir(job.path)
	}
	if job.path == safety.Top {
		part.dirs = append(part.dirs, madeDir{path: job.path, source: job.info, access: job.access})
		return b.to.OpenDir(safety.Top)
	}
	dir, name := split(job.path)
	parent, err := b.to.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	// Nobody else gets into the mirror while it is built: its top is 0700 until then.
	dst, err := parent.Mkdir(name, job.info.Mode&0o777|0o700)
	if err != nil {
		return nil, err
	}
	part.dirs = append(part.dirs, madeDir{path: job.path, source: job.info, access: job.access})
	return dst, nil
}

func (d madeDir) entry() Entry {
	return Entry{
		State:   State{Kind: safety.Directory},
		Project: StampOf(d.source), Mirror: Stamp{Kind: safety.Directory, Mode: d.has},
	}
}

// leaveOut notes an entry that can't be had. Only the top is needed.
func (p *buildPart) leaveOut(path safety.RelPath, err error) error {
	if path == safety.Top {
		return err
	}
	if !errors.Is(err, fs.ErrNotExist) { // what vanished meanwhile is simply not there
		p.skip(path, reason(err))
	}
	return nil
}

func (p *buildPart) skip(path safety.RelPath, why string) {
	p.skipped = append(p.skipped, Skipped{Path: path, Why: why})
}

func (p *buildPart) add(path safety.RelPath, e Entry) {
	p.entries = append(p.entries, basedEntry{path, e})
}

// dirWork is the work on the entries of one directory.
type dirWork struct {
	*builder
	part     *buildPart
	job      buildJob
	src, dst *safety.Dir
	push     func(buildJob)
}

func (w *dirWork) entry(ctx context.Context, n safety.Dirent) error {
	p := w.job.path.Join(n.Name)
	if safety.Reserved(n.Name) && w.job.path == safety.Top {
		w.part.skip(p, "the name is alca-mount's own")
		return nil
	}
	if n.Kind == safety.Absent { // the file system does not tell kinds with names
		info, err := w.src.Lstat(n.Name)
		if err != nil {
			return w.part.leaveOut(p, err)
		}
		n.Kind = info.Kind
	}
	access := w.view.access(w.job.scanJob, n.Name, n.Kind)
	if access == dotfiles.Hidden {
		w.part.built.Hidden++
	}
	if !w.view.counts(w.job.scanJob, n.Name, n.Kind) {
		w.noteNested(p, access)
		return nil
	}
	switch n.Kind {
	case safety.File:
		return w.file(ctx, p, n.Name, access)
	case safety.Directory:
		w.push(buildJob{scanJob: scanJob{p, access}})
	case safety.Symlink:
		return w.link(ctx, p, n.Name, access)
	case safety.Special:
		w.part.skip(p, "not a regular file, directory or link")
	}
	return nil
}

// noteNested names repositories inside the project: only its own .git is copied.
func (w *dirWork) noteNested(p safety.RelPath, access dotfiles.Access) {
	if access == dotfiles.OneWay && w.job.path != safety.Top {
		w.part.skip(p, "the repository of a directory inside the project is left out")
	}
}

// link makes the link called name, or what stands for it.
func (w *dirWork) link(ctx context.Context, p safety.RelPath, name string, access dotfiles.Access) error {
	info, err := w.src.Lstat(name)
	if err != nil || info.Kind != safety.Symlink {
		return w.part.leaveOut(p, errors.Join(err, kindMoved(info, safety.Symlink)))
	}
	target, err := w.src.Readlink(name)
	if err != nil {
		return w.part.leaveOut(p, err)
	}
	verdict := w.view.decideLink(p, target)
	switch verdict.Action {
	case LeaveOut:
		w.part.skip(p, "symbolic link: "+verdict.Why)
		return nil
	case CopyTarget:
		return w.follow(ctx, p, name, verdict.File)
	}
	if err := w.dst.Symlink(verdict.Target, name); err != nil {
		return err
	}
	made, err := w.dressLink(p, name, info)
	if err != nil {
		return err
	}
	w.part.built.Links++
	w.part.add(p, Entry{
		State:   State{Kind: safety.Symlink, Target: verdict.Target},
		Project: w.stamp(info), Mirror: PlacedStamp(made),
	})
	return nil
}

func kindMoved(info safety.Info, want safety.Kind) error {
	switch info.Kind {
	case want:
		return nil
	case safety.Absent:
		return fs.ErrNotExist
	}
	return safety.ErrChanged
}

// stamp is the project's stamp of an entry as it was looked at now.
func (b *builder) stamp(i safety.Info) Stamp {
	if young(i, time.Now().UnixNano()) {
		return Stamp{}
	}
	return StampOf(i)
}

// finish gives the directories their attributes, owners, modes and times, children before parents: what is still to
// come would inherit a default ACL or a group, or be kept out by a mode, and every entry made moves its directory's
// time. It returns their number.
func (b *builder) finish(base *Base) (int, error) {
	var all []*madeDir
	for i := range b.parts {
		for j := range b.parts[i].dirs {
			all = append(all, &b.parts[i].dirs[j])
		}
	}
	slices.SortFunc(all, func(x, y *madeDir) int { return strings.Compare(y.key(), x.key()) })
	for _, d := range all {
		if err := b.finishDir(d); err != nil {
			return 0, fmt.Errorf("finish %s: %w", d.path, err)
		}
		if d.path != safety.Top {
			base.Put(d.path, d.entry())
		}
	}
	return len(all) - 1, nil
}

// key sorts Top before everything.
func (d *madeDir) key() string {
	if d.path == safety.Top {
		return ""
	}
	return string(d.path)
}

func (b *builder) finishDir(d *madeDir) error {
	dir, err := b.to.OpenDir(d.path)
	if err != nil {
		return err
	}
	defer dir.Close()
	mode, has, err := b.dressDir(dir, d)
	if err != nil {
		return err
	}
	if d.path == safety.Top {
		mode |= 0o700 // a mirror that its owner can't enter is of no use
	}
	if d.has = has; has != mode {
		if d.has, err = setMode(dir, mode); err != nil {
			return err
		}
	}
	return dir.SetOwnTimes(d.source.Mtime)
}

// setMode returns the mode that came out: some file systems have no modes.
func setMode(dir *safety.Dir, mode uint32) (uint32, error) {
	err := dir.Chmod(mode)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return 0, err
	}
	info, err := dir.Stat()
	return info.Mode, err
}

// collect puts together what the workers made of files and links.
func (b *builder) collect(base *Base) Built {
	var out Built
	var by [safety.ReadWrite + 1]int64
	for _, part := range b.parts {
		out.Files += part.built.Files
		out.Links += part.built.Links
		out.Bytes += part.built.Bytes
		out.Hidden += part.built.Hidden
		out.ReadOnly += part.built.ReadOnly
		out.Unguarded += part.built.Unguarded
		out.Skipped = append(out.Skipped, part.skipped...)
		for m, n := range part.copiedBy {
			by[m] += n
		}
		for _, e := range part.entries {
			base.Put(e.path, e.Entry)
		}
	}
	for m, n := range by {
		if n > by[out.CopiedBy] {
			out.CopiedBy = safety.Method(m)
		}
	}
	return out
}

// progress calls back at most every 100 ms, one call at a time.
type progress struct {
	call func(Progress)
	mu   sync.Mutex
	last atomic.Int64
}

const progressEvery = 100 * time.Millisecond

func (p *progress) tell(files, bytes int64) {
	if p.call == nil {
		return
	}
	now := time.Now().UnixNano()
	if now-p.last.Load() < int64(progressEvery) || !p.mu.TryLock() {
		return
	}
	defer p.mu.Unlock()
	if now-p.last.Load() >= int64(progressEvery) {
		p.last.Store(now)
		p.call(Progress{Files: files, Bytes: bytes})
	}
}

// newOwner says who copies belong to if nothing is done.
func newOwner() owner {
	return owner{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid()), root: os.Geteuid() == 0}
}
