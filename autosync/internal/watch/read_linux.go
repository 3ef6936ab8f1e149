package watch

import (
	"errors"
	"fmt"
	"os"

	"github.com/alca-mount/alca-mount/safety"
	"golang.org/x/sys/unix"
)

// batch works through what one read of the instance returned.
type batch struct {
	in    *inotify
	hints []Hint

	// The path of the last event's directory: events come in runs.
	wd    int32
	moves uint64
	dir   safety.RelPath

	// The rename whose first event came last: the second follows, unless it leads to where nothing is watched.
	link uint32
	from safety.RelPath
	hint int // of from, in hints
}

// read passes on what the kernel tells, until the instance is closed.
func (in *inotify) read(file *os.File) {
	buf := make([]byte, 1<<17)
	b := batch{in: in}
	for {
		n, err := file.Read(buf)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			in.w.health.blind(fmt.Sprintf("reading events: %v", err))
			return
		}
		b.handle(buf[:n])
	}
}

func (b *batch) handle(buf []byte) {
	for e, rest, ok := next(buf); ok; e, rest, ok = next(rest) {
		b.event(e)
	}
	b.in.w.tell(b.hints)
	b.hints, b.hint = b.hints[:0], -1
	if cap(b.hints) > 1<<12 {
		b.hints = nil
	}
}

func (b *batch) event(e event) {
	what, urgency := meaningOf(e.mask, e.name != "")
	switch what {
	case nothing:
	case overflow:
		b.in.w.lost("changes came faster than the kernel queues them (fs.inotify.max_queued_events)")
	case vanished:
		b.in.vanished(e.wd)
	case moved:
		b.in.w.checkRoot()
	case self:
		b.selfChanged(e.wd)
	default:
		b.entry(e, what, urgency)
	}
}

// entry handles an event of an entry of a watched directory.
func (b *batch) entry(e event, what meaning, urgency Urgency) {
	dir, ok := b.pathOf(e.wd)
	if !ok {
		b.in.fromAbove(e)
		return
	}
	p := dir.Join(e.name)
	if what == changed && isUnnamed(e.name) && e.mask&(unix.IN_DELETE|unix.IN_MOVED_FROM) == 0 && !b.in.exists(p) {
		return
	}
	away := e.mask&unix.IN_MOVED_FROM != 0
	b.hints = append(b.hints, Hint{Path: p, Urgency: urgency, IsDir: what != changed, Away: away, NewDir: what == came})
	b.rename(e, p)
	switch what {
	case came, left:
		b.in.w.arrive(p)
	case touched:
		if !b.in.watches(p) {
			b.in.w.arrive(p)
		}
	}
}

// rename puts the two events of a rename together.
func (b *batch) rename(e event, p safety.RelPath) {
	switch {
	case e.mask&unix.IN_MOVED_FROM != 0:
		b.link, b.from, b.hint = e.link, p, len(b.hints)-1
	case e.mask&unix.IN_MOVED_TO != 0 && e.link != 0 && e.link == b.link:
		if b.hint >= 0 { // else it was told as gone away already: that is the safe side
			b.hints[b.hint].Away = false
		}
		b.link = 0
		b.in.w.moved(b.from, p)
	}
}

func (b *batch) selfChanged(wd int32) {
	if dir, ok := b.pathOf(wd); ok && dir == safety.Top { // of other directories the one above tells
		b.hints = append(b.hints, Hint{Path: safety.Top, Urgency: Probe, IsDir: true})
	}
}

// pathOf is where the directory of a watch is now; false when the watch was taken away meanwhile. Then what the event
// tells of is found by the listing when the directory turns up again, or lies outside.
func (b *batch) pathOf(wd int32) (safety.RelPath, bool) {
	in := b.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if b.wd == wd && b.moves == in.dirs.moves && b.dir != "" {
		return b.dir, true
	}
	d := in.dirs.byWD[wd]
	if d == nil {
		return "", false
	}
	b.wd, b.moves, b.dir = wd, in.dirs.moves, in.dirs.path(d)
	return b.dir, true
}

func (in *inotify) exists(p safety.RelPath) bool {
	info, err := in.w.root.Lstat(p)
	return err != nil || info.Kind != safety.Absent
}

func (in *inotify) watches(p safety.RelPath) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	d := in.dirs.at(p)
	return d != nil && d.wd != 0
}

// fromAbove handles an event of the directory above the root.
func (in *inotify) fromAbove(e event) {
	in.mu.Lock()
	ours := e.wd == in.above && e.name == in.base
	in.mu.Unlock()
	if ours {
		in.w.checkRoot()
	}
}

// vanished handles that a watch is no more: its directory was removed, its file system unmounted. What is at the path
// now, if anything, is watched anew.
func (in *inotify) vanished(wd int32) {
	in.mu.Lock()
	d := in.dirs.byWD[wd]
	if d == nil { // we took it away
		in.mu.Unlock()
		return
	}
	p := in.dirs.path(d)
	delete(in.dirs.byWD, wd)
	d.wd = 0
	in.dropAt(p)
	in.dirs.moves++
	in.mu.Unlock()
	if p == safety.Top {
		in.w.checkRoot()
	}
	in.w.arrive(p)
}
