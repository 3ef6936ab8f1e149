package mirror

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// maxHeld is how many places are held open at one time. What is in others is opened by its path: a tree may be deeper
// than a process may have directories open.
const maxHeld = 100

// place is a directory of the project and its copy. It gets its attributes, owner, mode and time when all in it and below
// it is made: what is still to come would inherit a default ACL or a group, or be kept out by a mode, and every entry
// made moves its directory's time.
type place struct {
	path     safety.RelPath
	access   dotfiles.Access
	up       *place // nil: the first
	source   safety.Info
	pending  atomic.Int32 // jobs in it and directories in it that are not done
	finished bool
	has      uint32 // mode that came out

	held     bool // src and dst stay open until it is finished
	src, dst *safety.Dir
}

func (p *place) entry() Entry {
	return Entry{
		State:   State{Kind: safety.Directory},
		Project: StampOf(p.source), Mirror: Stamp{Kind: safety.Directory, Mode: p.has},
	}
}

func (p *place) close() {
	if p.held {
		p.src.Close()
		p.dst.Close()
	}
	p.held = false
}

// begin opens the job's directory and makes its copy. One that can't be had is left out; then job.at stays nil.
func (w *dirWork) begin() error {
	p := &place{path: w.job.path, access: w.job.access, up: w.job.up}
	if len(p.path) > safety.MaxDirPath {
		return w.part.leaveOut(p.path, safety.ErrTooDeep)
	}
	src, err := w.source(p)
	if err != nil {
		return w.part.leaveOut(p.path, err)
	}
	w.view.enter(p.path, src)
	if p.source, w.job.names, err = describeDir(src); err != nil {
		src.Close()
		return w.part.leaveOut(p.path, err)
	}
	dst, err := w.makeCopy(p)
	if err != nil {
		src.Close()
		return err
	}
	if p.held = w.held.Add(1) <= maxHeld; p.held {
		p.src, p.dst = src, dst
	} else {
		w.held.Add(-1)
	}
	p.pending.Store(1)
	w.part.places = append(w.part.places, p)
	if p.up != nil {
		w.part.protect(scanJob{p.up.path, p.up.access}, p.path, safety.Directory, p.access)
	}
	w.job.at, w.src, w.dst, w.ours = p, src, dst, !p.held
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

func (b *builder) source(p *place) (*safety.Dir, error) {
	if p.up != nil && p.up.held {
		return p.up.src.OpenDir(p.path.Base())
	}
	return b.view.root.OpenDir(p.path)
}

func (b *builder) makeCopy(p *place) (*safety.Dir, error) {
	if p.path == safety.Top {
		return b.to.OpenDir(safety.Top)
	}
	dir, name := split(p.path)
	// Nobody else gets into the mirror while it is built: its top is 0700 until then.
	mode := p.source.Mode&0o777 | 0o700
	if p.up != nil && p.up.held {
		return p.up.dst.MakeDir(name, mode)
	}
	parent, err := b.to.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	return parent.MakeDir(name, mode)
}

// open opens the job's place, which was made before.
func (w *dirWork) open() (err error) {
	p := w.job.at
	if p.held {
		w.src, w.dst = p.src, p.dst
		return nil
	}
	w.ours = true
	if w.dst, err = w.to.OpenDir(p.path); err != nil {
		return err
	}
	if w.src, err = w.view.root.OpenDir(p.path); err != nil {
		w.dst.Close()
		return w.part.leaveOut(p.path, err)
	}
	return nil
}

// close may come when the place is closed already: others may have done the last in it meanwhile.
func (w *dirWork) close() {
	if w.ours {
		w.src.Close()
		w.dst.Close()
	}
}

// done notes that a job in a place is done, and finishes the places in which nothing is left to be made. The first is left
// to finish: what is alca-mount's own is made in it.
func (b *builder) done(p *place) error {
	for ; p != nil && p.pending.Add(-1) == 0 && p.up != nil; p = p.up {
		if !b.late {
			if err := b.finishPlace(p); err != nil {
				return err
			}
		}
		if p.held {
			p.close()
			b.held.Add(-1)
		}
	}
	return nil
}

// places yields all that were made.
func (b *builder) places() iter.Seq[*place] {
	return func(yield func(*place) bool) {
		for _, part := range b.parts {
			for _, p := range part.places {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// close releases what is held open.
func (b *builder) close() {
	for p := range b.places() {
		p.close()
	}
}

// finish finishes the places that are left, children before parents, adds all to the base, and returns how many there are
// below the first.
func (b *builder) finish() (int, error) {
	all := slices.SortedFunc(b.places(), func(x, y *place) int { return strings.Compare(y.key(), x.key()) })
	entries := map[safety.RelPath][]namedEntry{}
	for _, p := range all {
		if !p.finished {
			if err := b.finishPlace(p); err != nil {
				return 0, err
			}
		}
		if p.path != safety.Top {
			dir, name := split(p.path)
			entries[dir] = append(entries[dir], namedEntry{name, p.entry()})
		}
	}
	for dir, in := range entries {
		slices.Reverse(in) // by name
		b.base.putAll(dir, in)
	}
	return len(all) - 1, nil
}

// key sorts Top before everything.
func (p *place) key() string {
	if p.path == safety.Top {
		return ""
	}
	return string(p.path)
}

// finishPlace gives a copy what its directory has.
func (b *builder) finishPlace(p *place) error {
	err := b.withPlace(p, func(src, dst *safety.Dir) error {
		mode, has, err := b.dressDir(src, dst, p)
		if err != nil {
			return err
		}
		if p.path == safety.Top {
			mode |= 0o700 // a mirror that its owner can't enter is of no use
		}
		// Before the mode: of a directory that may not be searched an ordinary user can't set times either.
		if err := dst.SetOwnTimes(p.source.Mtime); err != nil {
			return err
		}
		if p.has = has; has != mode {
			p.has, err = setMode(dst, mode)
		}
		if err == nil && b.view.meeting.Made != nil {
			b.view.meeting.Made(p.path, dst)
		}
		return err
	})
	p.finished = true
	if err != nil {
		return fmt.Errorf("finish %s: %w", p.path, err)
	}
	return nil
}

// withPlace calls do with both directories of a place; src is nil where it is not there any more.
func (b *builder) withPlace(p *place, do func(src, dst *safety.Dir) error) error {
	if p.held {
		return do(p.src, p.dst)
	}
	dst, err := b.to.OpenDir(p.path)
	if err != nil {
		return err
	}
	defer dst.Close()
	src, err := b.view.root.OpenDir(p.path)
	if err != nil {
		return do(nil, dst) // it changed meanwhile; a later look finds it
	}
	defer src.Close()
	return do(src, dst)
}
