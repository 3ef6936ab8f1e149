package autosync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

const (
	batchSize   = 64 // how many files share one sync of the journal
	syncsAtOnce = 32 // files and directories on their way to the disk: those of a moment share a commit of its file system
)

// putAll makes directories, then files and links in batches: a batch is staged in parallel, announced by one durable
// write of the journal, and placed.
func (e *engine) putAll(ctx context.Context, steps []step) error {
	var files []step
	for _, s := range steps {
		switch {
		case s.to.Kind == safety.Directory:
			if err := e.makeDir(s); err != nil {
				e.fail(s.path, err)
			}
		case onlyExec(s):
			if err := e.chmod(s); err != nil {
				e.fail(s.path, err)
			}
		default:
			files = append(files, s)
		}
	}
	for len(files) > 0 {
		n := min(batchSize, len(files))
		unannounced, err := e.putBatch(ctx, files[:n])
		if err != nil {
			return err
		}
		if unannounced != nil { // the disk of the journal is full, say: no batch would fare better now
			for _, s := range files {
				e.fail(s.path, unannounced)
			}
			return nil
		}
		files = files[n:]
	}
	return nil
}

// onlyExec reports whether a step changes nothing but the execute bit.
func onlyExec(s step) bool {
	a, b := s.from, s.to
	a.Exec, b.Exec = false, false
	return s.from.Kind == safety.File && a == b && s.from != s.to
}

// pending is a step whose content is staged.
type pending struct {
	step
	staged *safety.Staged
	source safety.Info // of the side that it comes from
	hashed mirror.Content
	open   bool // for writing when it was copied, by somebody
}

// putBatch puts at most batchSize files and links. Where their intents could not be written nothing of it was done, and
// unannounced says why.
func (e *engine) putBatch(ctx context.Context, steps []step) (unannounced, err error) {
	for _, store := range e.stores {
		store.Forget()
	}
	found := make([]ready, len(steps))
	for i, s := range steps {
		e.unlock(s.side, s.path.Dir())
		found[i] = e.showFirst(s)
	}
	staged := make([]*pending, len(steps))
	errs := make([]error, len(steps))
	first := e.seq + 1
	e.seq += uint64(len(steps))
	// Staging waits for the disk most of the time.
	err = inParallel(ctx, syncsAtOnce, len(steps), func(ctx context.Context, i int) {
		staged[i], errs[i] = e.stage(ctx, first+uint64(i), steps[i], found[i])
	})
	if err != nil {
		discardAll(staged)
		return nil, err
	}
	defer discardAll(staged) // no-op for what was placed
	if err := e.announce(staged); err != nil {
		return err, nil
	}
	for i, s := range steps {
		err := errs[i]
		if err == nil {
			if err = e.place(staged[i]); err != nil {
				e.none(staged[i].staged.Seq())
			}
		}
		if err != nil && !isLeftOut(s, err) {
			e.fail(s.path, err)
		}
	}
	return nil, nil
}

// isLeftOut reports whether a file of the project may not be read by us and so is not in the mirror: nothing failed.
func isLeftOut(s step, err error) bool {
	return s.side == mirror.MirrorSide && s.base.Absent() && s.from.Absent() && errors.Is(err, fs.ErrPermission)
}

func discardAll(staged []*pending) {
	for _, p := range staged {
		if p != nil {
			_ = p.staged.Discard() // what is left in the store is removed with it
		}
	}
}

// announce writes the intents of a batch.
func (e *engine) announce(staged []*pending) error {
	var intents []record
	durable := false
	for _, p := range staged {
		if p == nil {
			continue
		}
		expect, info := mirror.StampOf(e.expectation(p.step)), mirror.StampOf(p.staged.Info())
		r := record{
			Seq: p.staged.Seq(), Op: p.staged.Placing().String(), Side: p.side, Path: []byte(p.path), Keep: p.keep,
			Expect: &expect, Staged: &info, Birth: p.staged.Birth(),
		}
		r.setEntry(e.entry(p))
		intents = append(intents, r)
		durable = durable || p.side == mirror.ProjectSide
	}
	if len(intents) == 0 {
		return nil
	}
	return e.intend(durable, intents...)
}

// stage copies the source's version to where one call can place it.
func (e *engine) stage(ctx context.Context, seq uint64, s step, found ready) (*pending, error) {
	expect := found.expect
	store := e.stores[s.side]
	if s.to.Kind == safety.Symlink {
		st, err := store.StageLink(seq, s.to.Target, s.path, expect)
		if err != nil {
			return nil, err
		}
		return &pending{step: s, staged: st, source: e.tree(other(s.side)).Get(s.path).Info}, nil
	}
	src, err := e.openSource(s)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	info := src.Info()
	var st *safety.Staged
	shape := e.shape(s, info)
	shape.Stay = found.stays
	if expect.Kind == safety.Absent {
		st, err = store.StageNew(ctx, seq, src, shape, s.path)
	} else {
		st, err = store.StageReplacement(ctx, seq, src, shape, s.path, expect)
	}
	if err != nil {
		return nil, err
	}
	if s.from.Content.Known() {
		st.ExpectSum(s.from.Content.Sum) // sees a save of the same size, with its time put back, in the last instant
	}
	p := &pending{step: s, staged: st, source: info}
	if err := e.identify(ctx, p, src); err != nil {
		_ = st.Discard()
		return nil, err
	}
	p.open = src.Writing() == safety.Writes
	if after, err := src.Stat(); err != nil || mirror.StampOf(after) != mirror.StampOf(info) {
		_ = st.Discard()
		return nil, fmt.Errorf("copy %s: %w", s.path, safety.ErrChanged)
	}
	return p, nil
}

// identify hashes a source that shared its bytes with the copy and that its stamp does not prove: by the next look only
// the content tells that it has not changed since.
func (e *engine) identify(ctx context.Context, p *pending, src *safety.Source) (err error) {
	known := p.to.Content.Known() || mirror.Content{Sum: p.staged.Copied().Sum}.Known()
	if known || mirror.SeenStamp(p.source, e.view.began) == mirror.StampOf(p.source) {
		return nil
	}
	if p.hashed, err = mirror.HashSource(ctx, src); err != nil {
		return err // it names the call and the path
	}
	return nil
}

// expectation is what the step will displace: nothing where it was cleared away before.
func (e *engine) expectation(s step) safety.Info {
	if s.from.Absent() {
		return safety.Info{}
	}
	return e.tree(s.side).Get(s.path).Info
}

// openSource opens the version to carry, which must still be the one that was decided on.
func (e *engine) openSource(s step) (*safety.Source, error) {
	from := other(s.side)
	f, err := e.root(from).OpenSource(s.path)
	if errors.Is(err, fs.ErrPermission) && from == mirror.MirrorSide {
		err = openUp(e.m.Root, s.path, e.tree(from).Get(s.path).Info, err)
	}
	if err != nil {
		return nil, err
	}
	if mirror.StampOf(f.Info()) != mirror.StampOf(e.tree(from).Get(s.path).Info) {
		f.Close()
		return nil, fmt.Errorf("open %s: %w", s.path, safety.ErrChanged)
	}
	return f, nil
}

// shape is how the placed file is to look. The mirror follows the project's mode, without write bits where the agent
// may not write; the project's files keep their own mode but for the execute bits.
func (e *engine) shape(s step, source safety.Info) safety.Shape {
	shape := safety.Shape{Mode: source.Mode & 0o777, Mtime: source.Mtime}
	if info := e.view.project.Get(s.path).Info; s.side == mirror.ProjectSide && info.Nlink > 1 {
		shape.Apart = e.view.writableLinks(info) < info.Nlink
	}
	if s.side == mirror.MirrorSide {
		// A file of the mirror has other names only where the agent made them, also outside, and each is a file of its own to
		// the project.
		shape.Exact, shape.Apart = true, true
		if e.m.Policy.Access(string(s.path), false) == dotfiles.ReadOnly {
			shape.Mode &^= 0o222
		}
	}
	return shape
}

// place brings a staged file to its path and deals with what came out.
func (e *engine) place(p *pending) error {
	displaced, err := e.stores[p.side].Place(p.staged)
	if err != nil {
		e.keepStray(p.step, p.staged.Seq(), displaced)
		return err
	}
	if p.side == mirror.MirrorSide && displaced.Slot != "" && !displaced.Expected {
		return e.takeBack(p, displaced)
	}
	e.dirTimes = p.staged.DirTimes()
	entry := e.entry(p)
	kept := e.settleDisplaced(p.step, p.staged.Seq(), displaced)
	e.done(p.step, p.staged.Placing().String(), p.staged.Seq(), entry, kept)
	if p.staged.Placing() == safety.InPlace {
		e.rewritten = append(e.rewritten, p.path)
	} else {
		e.showNew(p.step) // before it is told: who waits for that may count on it
	}
	e.report(p.step, kept)
	return nil
}

// takeBack gives the mirror back what was saved in it while the project's version came in: the agent's newer version wins,
// so it has to be there when both sides are looked at again.
func (e *engine) takeBack(p *pending, displaced safety.Displaced) error {
	if err := e.stores[p.side].TakeBack(p.staged); err != nil {
		e.keepStray(p.step, p.staged.Seq(), displaced) // the next look finds both sides equal: it would never be told
		return fmt.Errorf("give the mirror its newer %s back: %w", p.path, err)
	}
	return fmt.Errorf("copy %s: %w", p.path, safety.ErrChanged)
}

// entry is the base after a placement. The placed side's stamp is that of the staged descriptor, never of a look at the
// path, where somebody else's file may be by now.
func (e *engine) entry(p *pending) mirror.Entry {
	entry := mirror.Entry{State: p.to}
	if copied := p.staged.Copied(); p.to.Kind == safety.File {
		entry.State.Content = mirror.Content{Size: copied.Bytes, Sum: copied.Sum}
		switch {
		case p.to.Content.Known():
			entry.State.Content = p.to.Content
		case p.hashed.Known():
			entry.State.Content = p.hashed
		}
	}
	placed, source := mirror.PlacedStamp(p.staged.Info()), mirror.SeenStamp(p.source, e.view.began)
	if p.open {
		source = mirror.Stamp{} // a store into a mapped page moves no time of the file: as if it had not been looked at
	}
	entry.Project, entry.Mirror = placed, source
	if p.side == mirror.MirrorSide {
		entry.Project, entry.Mirror = source, placed
	}
	return entry
}
