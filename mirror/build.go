package mirror

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
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
	base   *Base
	copier *safety.Copier
	owner  owner
	parts  []buildPart
	held   atomic.Int32 // places that are open
	late   bool         // something is still to be made in any of the directories when the workers are done

	files, bytes atomic.Int64
	progress     progress
}

func newBuilder(v view, m *Mirror) *builder {
	return &builder{
		view: v, to: m.Root, base: m.Base, copier: m.Root.Copier(), owner: newOwner(),
		parts: make([]buildPart, workersOr(m.Options.Workers)), progress: progress{call: m.Options.Progress},
	}
}

// buildJob is a directory to make and fill, or some entries of one that was made.
type buildJob struct {
	scanJob
	up    *place // the directory above; nil: this is the first
	at    *place // the directory itself, once it is made
	names []safety.Dirent
}

// buildPart is what one worker made.
type buildPart struct {
	entries  []namedEntry // of the job that it is at, sorted by name
	places   []*place
	skipped  []Skipped
	readOnly []ReadOnly
	built    Built
	copiedBy [safety.ReadWrite + 1]int64 // bytes, by method
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
	w := &dirWork{builder: b, part: part, job: job, push: push}
	open := w.begin
	if job.at != nil {
		open = w.open
	}
	if err := open(); err != nil {
		return err
	}
	if w.src == nil { // left out
		return b.done(cmp.Or(job.at, job.up))
	}
	defer w.close()
	for len(w.job.names) > chunkFiles {
		rest := w.job
		rest.names = w.job.names[len(w.job.names)-chunkFiles:]
		w.job.names = w.job.names[:len(w.job.names)-chunkFiles]
		w.later(rest)
	}
	for _, n := range w.job.names {
		if err := w.entry(ctx, n); err != nil {
			return err
		}
	}
	b.base.putAll(job.path, part.entries) // now: a million of them would be in memory twice
	clear(part.entries)
	part.entries = part.entries[:0]
	return b.done(w.job.at)
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
	_, name := split(path)
	p.entries = append(p.entries, namedEntry{name, e})
}

// dirWork is the work on the entries of one directory.
type dirWork struct {
	*builder
	part     *buildPart
	job      buildJob
	src, dst *safety.Dir
	ours     bool // src and dst are this job's alone, and not held by the place
	push     func(buildJob)
}

// later leaves a job in this directory, or a directory in it, to whoever comes to it.
func (w *dirWork) later(job buildJob) {
	w.job.at.pending.Add(1)
	w.push(job)
}

func (w *dirWork) entry(ctx context.Context, n safety.Dirent) error {
	p := w.job.path.Join(n.Name)
	if n.Name == safety.MarkerName && w.job.path == safety.Top {
		w.part.skip(p, "the name is alca-mount's own")
		return nil
	}
	if n.Kind == safety.Absent { // it could not be looked at a moment ago
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
	if !w.view.counts(w.job.scanJob, n, access) {
		w.noteNested(p, access)
		if n.Kind == safety.Directory {
			w.view.pass(p)
		}
		return nil
	}
	switch n.Kind {
	case safety.File:
		return w.file(ctx, p, n, access)
	case safety.Directory:
		w.later(buildJob{scanJob: scanJob{p, access}, up: w.job.at})
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
	made, err := w.dressLink(name, info)
	if err != nil {
		return err
	}
	w.part.built.Links++
	w.part.protect(w.job.scanJob, p, safety.Symlink, access)
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
func (b *builder) stamp(i safety.Info) Stamp { return SeenStamp(i, time.Now()) }

// collect puts together what the workers made.
func (b *builder) collect() Built {
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
